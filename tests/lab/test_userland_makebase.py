"""Bases in ordinary directories: from this machine, a directory, a tarball, an OCI image."""

import contextlib
import hashlib
import io
import json
import lzma
import os
import stat
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from userland_support import distribution, isolated, program, run_inside

from vjail.kernel.linux.syscalls import MACHINE
from vjail.lab.userland import Natives, Source, Tree, UserlandError, Writer, loader_link
from vjail.lab.userland.ids import Ids
from vjail.lab.userland.makebase import Machine, from_machine, make_base
from vjail.lab.userland.unpack import Unpacker

NATIVES = Natives.shipped(MACHINE)
AGENT = Path(NATIVES.agent).read_bytes()
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}[MACHINE]
LOADER = {"x86_64": "/lib64/ld-linux-x86-64.so.2", "aarch64": "/lib/ld-linux-aarch64.so.1"}[MACHINE]


def base(dest: Path, source: Machine | str) -> list[str]:
    return make_base(str(dest), source, machine=MACHINE, natives=NATIVES)


@pytest.fixture
def image_root(tmp_path: Path) -> Path:
    """A root file system as distributions pack it: merged directories, absolute links, files of others."""
    root = tmp_path / "rootfs"
    distribution(root, directory=f"lib/{MACHINE}-linux-gnu", loader=LOADER, machine=MACHINE)
    for path, text in {"usr/bin/perl": "perl", "usr/bin/mawk": "mawk", "usr/sbin/nginx": "nginx"}.items():
        program(root / path, text.encode())
    program(root / "usr/lib/terminfo/x", b"")
    (root / "etc/alternatives").mkdir()
    (root / "etc/alternatives/awk").symlink_to("/usr/bin/mawk")
    (root / "usr/bin/awk").symlink_to("/etc/alternatives/awk")
    (root / "etc/passwd").write_text("root:x:0:0:image:/root:/bin/sh\n")
    (root / "usr/bin/su").write_text("su")
    (root / "usr/bin/su").chmod(0o4755)
    os.link(root / "usr/bin/perl", root / "usr/bin/perl5")
    return root


def tarball(root: Path, path: Path, mode: str = "w", extra: Iterable[tarfile.TarInfo] = ()) -> str:
    with tarfile.open(path, mode) as archive:
        archive.add(root, arcname=".")
        for member in extra:
            archive.addfile(member)
    return str(path)


def check_base(dest: Path) -> None:
    """What every base made of a root file system has."""
    for name in ("bin", "sbin", "lib", "libexec", "etc", "usr", "var", "root", "home", "tmp", "dev", "proc", "mnt"):
        assert (dest / name).is_dir()
        assert not (dest / name).is_symlink(), name
    assert stat.S_IMODE((dest / "tmp").stat().st_mode) == 0o1777
    for path in (
        "sbin/ifconfig",
        "usr/sbin/jail",
        "libexec/rc",
        "libexec/vjail-agent",
        "bin/hostname",
        "etc/rc.d/netif",
    ):
        assert (dest / path).read_bytes() == AGENT
    assert (dest / "etc/rc").read_text() == '#!/bin/sh\nexec /libexec/rc "$@"\n'


def check_image_base(dest: Path, root: Path) -> None:
    check_base(dest)
    assert (dest / "etc/passwd").read_text() == "root:x:0:0:image:/root:/bin/sh\n", "the image's own stays"
    assert (dest / "bin/sh").read_bytes() == (root / "usr/bin/sh").read_bytes()
    assert not (dest / "bin/sh").is_symlink()
    assert os.readlink(dest / "bin/perl") == "../usr/bin/perl", "paths into the merged directories work"
    assert os.readlink(dest / "sbin/nginx") == "../usr/sbin/nginx"
    assert os.readlink(dest / "lib/terminfo") == "../usr/lib/terminfo"
    assert os.readlink(dest / "usr/bin/awk") == "/etc/alternatives/awk"
    assert os.readlink(dest / "usr/bin/mount") == "../../sbin/mount"
    assert (dest / f"lib/{MACHINE}-linux-gnu/libc.so.6").is_file()
    assert (dest / "usr/bin/su").stat().st_mode & 0o7777 == 0o755
    assert (dest / "usr/bin/perl5").stat().st_ino == (dest / "usr/bin/perl").stat().st_ino


# --- where it comes from ----------------------------------------------------------------------------------------------


def test_from_a_directory(tmp_path: Path, image_root: Path):
    (image_root / "proc/1").mkdir(parents=True)
    os.mkfifo(image_root / "pipe")
    notes = base(tmp_path / "base", str(image_root))
    check_image_base(tmp_path / "base", image_root)
    assert not (tmp_path / "base/proc/1").exists()
    assert "1 files lost their set-user-id or set-group-id bits" in notes
    assert "1 devices and sockets were left out; a jail's /dev comes from devfs" in notes
    assert any(
        note.startswith("vjail's own commands took the places of ") and "/usr/bin/mount" in note for note in notes
    )
    assert sorted(os.listdir(tmp_path)) == ["base", "rootfs"], "nothing is left over"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz", "w:bz2"])
def test_from_a_tarball(tmp_path: Path, image_root: Path, mode: str):
    path = tarball(image_root, tmp_path / "root.tar", mode)
    base(tmp_path / "deep/er/base", path)
    check_image_base(tmp_path / "deep/er/base", image_root)


def test_from_this_machine(tmp_path: Path):
    assert base(tmp_path / "base", Machine.SMALL) == []
    check_base(tmp_path / "base")
    files = [path for path in (tmp_path / "base").rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < 40 << 20
    assert {"grep", "id", "env"} <= set(os.listdir(tmp_path / "base/usr/bin"))
    assert stat.S_IMODE((tmp_path / "base").stat().st_mode) == 0o755


def test_from_the_whole_of_a_machine(tmp_path: Path, image_root: Path):
    (image_root / "usr/bin/secret").write_text("x")
    (image_root / "usr/bin/secret").chmod(0o700)
    (tmp_path / "base").mkdir()
    with Tree(str(tmp_path / "base")) as tree:
        notes = from_machine(tree, Machine.FULL, Writer(Source(str(image_root)), MACHINE, NATIVES))
    check_base(tmp_path / "base")
    assert (tmp_path / "base/usr/bin/perl").read_text() == "perl"
    assert os.readlink(tmp_path / "base/usr/bin/mount") == "../../sbin/mount"
    assert not (tmp_path / "base/usr/bin/secret").exists()
    assert len(notes) == 1


@pytest.mark.real
@pytest.mark.parametrize(
    "one_id", [pytest.param(False, marks=pytest.mark.skipif(os.geteuid() != 0, reason="needs root")), True]
)
def test_a_base_of_this_machine_runs(one_id: bool):
    def check(place: Path) -> None:
        base(place / "base", Machine.SMALL)
        fd = os.open(place / "base", os.O_PATH)
        assert loader_link(fd) is None, "a base of its own has everything"
        os.close(fd)
        code, output = run_inside(place / "base", "id && ls / && env")
        assert code == 0, output
        packed = tarball(place / "base", place / "base.tar")
        base(place / "again", packed)
        code, output = run_inside(place / "again", "id && ls / && env")
        assert code == 0, output

    isolated(check, one_id=one_id)


# --- images -----------------------------------------------------------------------------------------------------------


Entry = bytes | str | tuple[str] | None
"""What a layer has: a file's content, a link's text, the target of a hard link, a directory."""


class Layout:
    """An OCI image layout being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, content: bytes, media: str, **more: object) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        place = self.path / "blobs/sha256" / digest
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(content), **more}

    def document(self, content: object, media: str, **more: object) -> dict[str, object]:
        return self.blob(json.dumps(content).encode(), media, **more)

    def image(self, layers: Iterable[bytes], architecture: str = ARCHITECTURE, **more: object) -> dict[str, object]:
        config = self.document(
            {"architecture": architecture, "os": "linux"}, "application/vnd.oci.image.config.v1+json"
        )
        found = [self.blob(layer, "application/vnd.oci.image.layer.v1.tar+gzip") for layer in layers]
        manifest = {"schemaVersion": 2, "config": config, "layers": found}
        return self.document(manifest, "application/vnd.oci.image.manifest.v1+json", **more)

    def index(self, *manifests: dict[str, object]) -> None:
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))


def layer(entries: dict[str, Entry], compress: str = "gz") -> bytes:
    """A layer."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=f"w:{compress}") as archive:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.mode = 0o755
            if content is None:
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
            elif isinstance(content, str | tuple):
                member.type = tarfile.SYMTYPE if isinstance(content, str) else tarfile.LNKTYPE
                member.linkname = content if isinstance(content, str) else content[0]
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return data.getvalue()


def whole(root: Path) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as archive:
        archive.add(root, arcname="")
    return data.getvalue()


def layers_of_two(root: Path) -> list[bytes]:
    """A second layer changes, adds and takes away."""
    (root / "opt/gone").mkdir(parents=True)
    (root / "opt/gone/file").touch()
    (root / "opt/emptied/below").mkdir(parents=True)
    (root / "opt/emptied/old").touch()
    (root / "opt/file").write_text("a file")
    second = {
        "etc/motd": b"second",
        "opt/.wh.gone": b"",
        "opt/emptied/new": b"new",
        "opt/emptied/.wh..wh..opq": b"",
        "opt/emptied/below/kept": b"kept",
        "opt/file": None,
        "opt/file/inside": b"inside",
        "usr/bin/.wh.perl5": b"",
        ".wh.nothing": b"",
    }
    return [whole(root), layer(second), layer({"opt/.wh.file": b"", "opt/file": b"anew"})]


def check_layers(dest: Path) -> None:
    assert (dest / "etc/motd").read_text() == "second"
    assert not (dest / "opt/gone").exists()
    assert sorted(os.listdir(dest / "opt/emptied")) == ["below", "new"], (
        "an opaque directory hides what was below it only"
    )
    assert os.listdir(dest / "opt/emptied/below") == ["kept"]
    assert (dest / "opt/file").read_text() == "anew"
    assert not (dest / "usr/bin/perl5").exists()
    assert not list(dest.rglob(".wh.*"))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "layout")


def test_from_an_image(tmp_path: Path, layout: Layout, image_root: Path):
    layout.index(layout.image(layers_of_two(image_root)))
    base(tmp_path / "base", str(layout.path))
    check_base(tmp_path / "base")
    check_layers(tmp_path / "base")


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_from_an_image_in_a_tar_archive(tmp_path: Path, layout: Layout, image_root: Path, mode: str):
    """As `docker save` writes it, with what it puts beside."""
    layout.index(layout.image(layers_of_two(image_root)))
    (layout.path / "manifest.json").write_text("[]")
    base(tmp_path / "base", tarball(layout.path, tmp_path / "image.tar", mode))
    check_layers(tmp_path / "base")
    assert sorted(os.listdir(tmp_path)) == ["base", "image.tar", "layout", "rootfs"]


def test_the_image_for_this_machine_is_taken(tmp_path: Path, layout: Layout, image_root: Path):
    """Of several in an index in the index; provenance (platform unknown) is none."""
    other = "s390x"
    wrong = layout.image([layer({"wrong": b""})], other, platform={"architecture": other, "os": "linux"})
    right = layout.image([whole(image_root)], platform={"architecture": ARCHITECTURE, "os": "linux"})
    about = layout.image([], "unknown", platform={"architecture": "unknown", "os": "unknown"})
    inner = layout.document(
        {"schemaVersion": 2, "manifests": [wrong, right, about]}, "application/vnd.oci.image.index.v1+json"
    )
    layout.index(inner)
    base(tmp_path / "base", str(layout.path))
    check_image_base(tmp_path / "base", image_root)


def _flip(layout: Layout) -> None:
    blob = max((layout.path / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.write_bytes(data)


def _grow(layout: Layout) -> None:
    blob = max((layout.path / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size)
    blob.write_bytes(blob.read_bytes() + b"\0")


def _lose(layout: Layout) -> None:
    max((layout.path / "blobs/sha256").iterdir(), key=lambda path: path.stat().st_size).unlink()


def _rewrite(**changes: object) -> Callable[[Layout], None]:
    def change(layout: Layout) -> None:
        index = json.loads((layout.path / "index.json").read_text())
        index["manifests"][0].update(changes)
        layout.index(*index["manifests"])

    return change


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        (_flip, "is not what its name says"),
        (_grow, "is not what its name says"),
        (_lose, "is missing"),
        (_rewrite(digest="sha256:../../../../etc/passwd"), "is no digest that is known here"),
        (_rewrite(digest="md5:" + "0" * 32), "is no digest that is known here"),
        (_rewrite(digest="sha256:" + "0" * 64), "is missing"),
        (_rewrite(size=1), "is not what its name says"),
        (lambda layout: layout.index(), f"holds no image for {ARCHITECTURE}"),
        (lambda layout: (layout.path / "index.json").write_text("{"), "is no JSON"),
        (lambda layout: (layout.path / "index.json").write_text("[]"), "is no JSON object"),
        (_rewrite(platform={"architecture": "riscv64", "os": "linux"}), f"holds no image for {ARCHITECTURE}"),
    ],
)
def test_a_damaged_image_is_refused(tmp_path: Path, layout: Layout, image_root: Path, damage, text: str):
    layout.index(layout.image([whole(image_root)]))
    damage(layout)
    with pytest.raises(UserlandError, match=text):
        base(tmp_path / "base", str(layout.path))
    assert not (tmp_path / "base").exists()


def test_two_images_are_one_too_many(tmp_path: Path, layout: Layout):
    name = "org.opencontainers.image.ref.name"
    images = [layout.image([layer({n: b""})], annotations={name: n}) for n in ("one", "two")]
    layout.index(*images)
    with pytest.raises(UserlandError, match=r"holds several images \(one, two\); give a layout that holds one"):
        base(tmp_path / "base", str(layout.path))


# --- what does not lead out -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        {"link": "OUTSIDE", "link/new": b"1"},
        {"link": "OUTSIDE", "link/victim": b"1"},
        {"link": "../../../outside", "link/victim": b"1"},
        {"a": None, "a/link": "/../outside", "a/link/victim": b"1"},
        {"/outside/victim": b"1"},
        {"hard": ("OUTSIDE/victim",)},
        {"link": "OUTSIDE", "hard": ("link/victim",)},
    ],
)
@pytest.mark.parametrize("is_layer", [False, True])
def test_an_archive_made_to_escape_stays_in(tmp_path: Path, members: dict[str, Entry], is_layer: bool):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_text("sentinel")
    (tmp_path / "top").mkdir()
    (tmp_path / "evil.tar").write_bytes(
        layer({name: _placed(content, str(outside)) for name, content in members.items()} | {".wh.victim": b""})
    )
    with Tree(str(tmp_path / "top")) as tree, contextlib.suppress(UserlandError):
        unpacker = Unpacker(tree, Ids.of_this_process())
        unpacker.archive(str(tmp_path / "evil.tar"), layer=is_layer)
        unpacker.finish()
    assert os.listdir(outside) == ["victim"]
    assert (outside / "victim").read_text() == "sentinel"
    assert (outside / "victim").stat().st_nlink == 1


def _placed(content: Entry, outside: str) -> Entry:
    match content:
        case str():
            return content.replace("OUTSIDE", outside)
        case (target,):
            return (target.replace("OUTSIDE", outside),)
        case _:
            return content


def test_a_name_that_leads_out_is_refused(tmp_path: Path):
    (tmp_path / "evil.tar").write_bytes(layer({"a/../../escape": b""}))
    with pytest.raises(UserlandError, match="leads out of it"):
        base(tmp_path / "base", str(tmp_path / "evil.tar"))
    assert sorted(os.listdir(tmp_path)) == ["evil.tar"]


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b\x08\0broken", lzma.compress(b"x")[:20]])
def test_a_file_that_is_no_archive(tmp_path: Path, content: bytes):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(UserlandError, match="file: is no tar archive that can be read"):
        base(tmp_path / "base", str(tmp_path / "file"))
    assert sorted(os.listdir(tmp_path)) == ["file"]


@pytest.mark.skipif("zst" in tarfile.TarFile.OPEN_METH, reason="this Python reads zstd")
def test_zstd_is_named_where_python_cannot_read_it(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(
        UserlandError, match=r"is compressed with zstd, which Python reads from 3\.14 on; uncompress it"
    ):
        base(tmp_path / "base", str(tmp_path / "file"))


def test_a_tree_that_is_no_root_file_system(tmp_path: Path):
    (tmp_path / "some/thing").mkdir(parents=True)
    with pytest.raises(UserlandError, match="no root file system of this kind of machine: it has no sh that runs here"):
        base(tmp_path / "base", str(tmp_path / "some"))
    assert sorted(os.listdir(tmp_path)) == ["some"]


def test_the_place_must_be_free(tmp_path: Path):
    (tmp_path / "base").mkdir()
    base(tmp_path / "base", Machine.SMALL)
    with pytest.raises(
        UserlandError, match="base: is there already, and no empty directory; name another, or remove it"
    ):
        base(tmp_path / "base", Machine.SMALL)
    (tmp_path / "file").touch()
    with pytest.raises(UserlandError, match="file: is there already"):
        base(tmp_path / "file", Machine.SMALL)


def test_a_source_that_is_not_there(tmp_path: Path):
    with pytest.raises(UserlandError, match="gone: no such file or directory; give a directory, a tarball or an OCI"):
        base(tmp_path / "base", str(tmp_path / "gone"))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_owners_are_kept_by_root_and_counted_without(image_root: Path):
    os.chown(image_root / "usr/bin/perl", 12, 34)
    os.chown(image_root / "usr/bin/su", 65534, 65534)

    def check_as(one_id: bool) -> Callable[[Path], None]:
        def check(place: Path) -> None:
            (place / "root.tar").write_bytes(packed)
            notes = base(place / "base", str(place / "root.tar"))
            owner = (place / "base/usr/bin/perl").stat()
            assert (place / "base/usr/bin/su").stat().st_mode & 0o7777 == 0o755
            belongs = [note for note in notes if "belong to other users" in note]
            assert ((owner.st_uid, owner.st_gid), len(belongs)) == (((0, 0), 1) if one_id else ((12, 34), 0))

        return check

    packed = Path(tarball(image_root, image_root.parent / "root.tar")).read_bytes()
    for one_id in (False, True):
        isolated(check_as(one_id), one_id=one_id)
