"""The tree of a lab host and of its bases, with mounts that are only noted: what is written where."""

import os
import stat
from pathlib import Path

import pytest
from userland_support import NoMounter, NotedMounter, distribution, program, userland

from vjail.command.registry import PATHS
from vjail.kernel.linux.syscalls import MACHINE
from vjail.lab.userland import Directory, Extent, Natives, Part, Plan, Root, Source, Tree, UserlandError
from vjail.lab.userland.skeleton import EVERYTHING, OTHERS

AGENT = Path(Natives.shipped(MACHINE).agent).read_bytes()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """A host with a small /usr: nothing of it is mounted."""
    place = tmp_path_factory.mktemp("small")
    (place / "root").mkdir()
    provided = userland(place / "store", NoMounter(), extent=Extent.SMALL).provide_host(
        str(place / "root"), hostid="6e18acd4-6c4d-11ee-8c99-0242ac120002"
    )
    assert (provided.mounts, provided.notes) == ([], [])
    return place / "root"


def test_the_top_level_is_freebsds_and_real(small: Path):
    freebsd = {
        "bin",
        "boot",
        "dev",
        "etc",
        "home",
        "lib",
        "libexec",
        "media",
        "mnt",
        "proc",
        "root",
        "sbin",
        "tmp",
        "usr",
        "var",
    }
    names = set(os.listdir(small))
    assert freebsd <= names
    assert names - freebsd <= {"lib64", "run"}, "what this machine's programs need besides"
    for name in freebsd:
        assert (small / name).is_dir()
        assert not (small / name).is_symlink()
    assert {name: mode(small / name) for name in ("tmp", "root", "var/empty", "var/cron/tabs", "dev")} == {
        "tmp": 0o1777,
        "root": 0o750,
        "var/empty": 0o555,
        "var/cron/tabs": 0o700,
        "dev": 0o555,
    }


def test_every_command_of_vjails_is_at_its_path(small: Path):
    for path in (*PATHS, "/libexec/vjail-agent"):
        found = small / path.lstrip("/")
        assert found.read_bytes() == AGENT
        assert mode(found) == 0o555
        assert found.stat().st_nlink == 1, "a write to one must not change another"
    for name in ("syslogd", "cron"):
        shipped = getattr(Natives.shipped(MACHINE), name)
        assert (small / "usr/sbin" / name).read_bytes() == Path(shipped).read_bytes()


@pytest.mark.parametrize(
    ("path", "bits"),
    [
        ("passwd", 0o644),
        ("group", 0o644),
        ("master.passwd", 0o600),
        ("shadow", 0o600),
        ("rc", 0o644),
        ("crontab", 0o644),
        ("ssl", 0o755),
        ("jail.conf.d", 0o755),
        ("defaults/rc.conf", 0o644),
        ("defaults/devfs.rules", 0o644),
        ("rc.d/jail", 0o555),
    ],
)
def test_modes_in_etc(small: Path, path: str, bits: int):
    assert mode(small / "etc" / path) == bits


def test_etc_is_what_rc_and_programs_look_for(small: Path):
    etc = small / "etc"
    assert (etc / "rc").read_text() == '#!/bin/sh\nexec /libexec/rc "$@"\n'
    assert (etc / "rc.shutdown").read_text() == '#!/bin/sh\nexec /libexec/rc.shutdown "$@"\n'
    assert (etc / "rc.conf").read_bytes() == (etc / "fstab").read_bytes() == b""
    assert (etc / "hostid").read_text() == "6e18acd4-6c4d-11ee-8c99-0242ac120002\n"
    assert not [line for line in (etc / "resolv.conf").read_text().splitlines() if not line.startswith("#")]
    assert "devfsrules_jail" in (etc / "defaults/devfs.rules").read_text()
    assert "22/tcp" in (etc / "services").read_text()
    assert not list(etc.rglob("*.py*"))
    for path in etc.rglob("*"):
        assert path.is_symlink() or path.stat().st_mode & 0o022 == 0, f"{path} may be written by others"


def test_no_secret_of_the_machines_is_taken(small: Path):
    taken = {path.name for path in (small / "etc").rglob("*")}
    assert not taken & {"private", "opasswd", "gshadow", "ssh", "sudoers"}
    assert ":$" not in (small / "etc/shadow").read_text()


def test_a_small_usr_is_small_and_quick_to_copy(small: Path):
    files = [path for path in (small / "usr").rglob("*") if path.is_file() and not path.is_symlink()]
    assert sum(path.stat().st_size for path in files) < 40 << 20
    assert len(files) < 400
    assert {"grep", "sed", "awk", "sort", "id", "env"} <= set(os.listdir(small / "usr/bin"))


def test_what_make_installworld_copies_is_there(small: Path):
    for line in (small / "usr/src/world.files").read_text().splitlines():
        directory, *names = line.split(" ")
        assert names
        for name in names:
            assert (small / directory.lstrip("/") / name).is_file(), f"{directory}/{name}"
    for line in (small / "usr/src/world.directories").read_text().splitlines():
        bits, path = line.split(" ")
        assert mode(small / path.lstrip("/")) == int(bits, 8)


# --- the whole /usr of a machine --------------------------------------------------------------------------------------


@pytest.fixture
def machine(tmp_path: Path) -> Source:
    return distribution(tmp_path / "machine", directory="lib", loader="/lib64/ld-linux-x86-64.so.2", machine=MACHINE)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_the_layer_over_a_whole_usr(tmp_path: Path, root: Path, machine: Source):
    mounter = NotedMounter()
    made = userland(tmp_path / "store", mounter, source=machine, userxattr=True)
    provided = made.provide_host(str(root))
    assert (provided.mounts, provided.notes) == (["/usr"], [])
    ((lower, upper, target, userxattr),) = mounter.overlays
    assert lower == (str(tmp_path / "store/usr"), str(tmp_path / "machine/usr"))
    assert (target, userxattr) == (str(root / "usr"), True)
    assert os.listdir(upper) == []
    layer = Path(lower[0])
    assert (layer / "sbin/jail").read_bytes() == AGENT
    assert os.readlink(layer / "bin/mount") == "../../sbin/mount", "this machine's mount is not found first"
    assert not (layer / "bin/env").exists(), "what the machine has there is not copied"
    for name in ("csh", "tcsh"):
        assert (root / "bin" / name).read_text() == '#!/bin/sh\nexec /bin/sh "$@"\n', "this machine has none"
    assert (layer / "bin/make").read_text().startswith("#!/bin/sh\n# make(1) for /usr/src alone")
    for name in ("ports/distfiles", "src", "obj", "local/etc/rc.d", "libexec", "share"):
        assert (layer / name).is_dir()
    assert not list((root / "usr").iterdir())


def test_a_program_that_this_machine_has_elsewhere_is_where_freebsd_has_it(tmp_path: Path, root: Path, machine: Source):
    """Machines without a merged /usr have grep in /bin."""
    (tmp_path / "machine/bin").unlink()
    (tmp_path / "machine/usr/bin").rename(tmp_path / "machine/bin")
    (tmp_path / "machine/usr/bin").mkdir()
    userland(tmp_path / "store", NotedMounter(), source=machine).provide_host(str(root))
    assert (tmp_path / "store/usr/bin/env").read_bytes() == (tmp_path / "machine/bin/env").read_bytes()
    assert (root / "bin/ls").read_bytes() == (tmp_path / "machine/bin/ls").read_bytes()


def test_a_usr_that_cannot_be_overlaid_as_a_whole_is_mounted_in_pieces(tmp_path: Path, root: Path, machine: Source):
    for name in ("share/misc", "lib/wsl", "include"):
        (tmp_path / "machine/usr" / name).mkdir(parents=True)
    refused = {str(root / "usr"), str(root / "usr/lib"), str(root / "usr/sbin")}
    mounter = NotedMounter(refuses=refused.__contains__)
    provided = userland(tmp_path / "store", mounter, source=machine).provide_host(str(root))
    assert {target for _, _, target, _ in mounter.overlays} == {
        str(root / f"usr/{n}") for n in ("bin", "share", "include")
    }
    assert mounter.binds == [(str(tmp_path / "machine/usr/lib"), str(root / "usr/lib"), True)]
    assert sorted(provided.mounts) == ["/usr/bin", "/usr/include", "/usr/lib", "/usr/share"]
    assert (root / "usr/sbin/jail").read_bytes() == AGENT, "commands are never hidden"
    assert len(provided.notes) == 1
    assert provided.notes[0].startswith("/usr: the kernel refuses an overlay of ")


def test_a_usr_without_programs_is_mounted_over_this_machines(tmp_path: Path, root: Path):
    program(tmp_path / "own/share/data", b"x")
    mounter = NotedMounter()
    userland(tmp_path / "store", mounter, source=Source.at(str(tmp_path / "own"))).provide_host(str(root))
    assert mounter.overlays[0][0][1] == str(tmp_path / "own")
    assert (root / "bin/sh").read_bytes() == Path(os.path.realpath("/bin/sh")).read_bytes()


# --- the user's own files ---------------------------------------------------------------------------------------------


def test_the_users_files_stay_and_vjails_commands_win(tmp_path: Path, root: Path, machine: Source):
    files = tmp_path / "files"
    for path, text in {
        "etc/motd": "mine",
        "etc/rc.d/mine": "#!/bin/sh\n",
        "sbin/ifconfig": "mine",
        "usr/local/etc/frr/frr.conf": "frr",
        "usr/sbin/jail": "mine",
        "home/jail/base/etc/rc.conf": "base",
        "home/jail/base/usr/local/bin/tool": "tool",
        "home/jail/base/sbin/route": "mine",
        "home/jail/base/usr/sbin/arp": "mine",
    }.items():
        program(files / path, text.encode())
    mounter = NotedMounter()
    made = userland(tmp_path / "store", mounter, source=machine)
    made.provide_host(str(root), files=str(files), given={"/etc/rc.conf": b"given", "/etc/motd": b"given too"})
    upper = Path(mounter.overlays[0][1])
    assert (root / "etc/motd").read_text() == "given too"
    assert (root / "etc/rc.conf").read_text() == "given"
    assert (root / "etc/rc.d/mine").exists()
    assert (root / "sbin/ifconfig").read_bytes() == AGENT
    assert (upper / "local/etc/frr/frr.conf").read_text() == "frr"
    assert not (upper / "sbin/jail").exists(), "vjail's in the layer below is seen"
    made.provide_base(str(root), "/home/jail/base")
    (base_lower, base_upper, base_target, _), (_, usr_upper, usr_target, _) = mounter.overlays[1:]
    assert base_lower == (str(tmp_path / "store/base"),)
    assert (base_target, usr_target) == (str(root / "home/jail/base"), str(root / "home/jail/base/usr"))
    assert (Path(base_upper) / "etc/rc.conf").read_text() == "base"
    assert not (Path(base_upper) / "sbin/route").exists()
    assert (Path(usr_upper) / "local/bin/tool").read_text() == "tool"
    assert not (Path(usr_upper) / "sbin/arp").exists()


def test_links_in_the_users_files_do_not_lead_out_of_the_tree(tmp_path: Path, root: Path, machine: Source):
    files, outside = tmp_path / "files", tmp_path / "outside"
    (files / "var").mkdir(parents=True)
    outside.mkdir()
    (files / "jails").symlink_to(outside)
    (files / "var/run").symlink_to("/../../../tmp")
    (files / "tmp").mkdir()
    made = userland(tmp_path / "store", NoMounter(), extent=Extent.SMALL, source=machine)
    made.provide_host(str(root), files=str(files))
    with pytest.raises(UserlandError, match="/jails: a symbolic link to nowhere is there"):
        made.provide_base(str(root), "/jails/j")
    assert os.listdir(outside) == []


# --- bases ------------------------------------------------------------------------------------------------------------


def test_a_plan_is_carried_out(tmp_path: Path, root: Path, machine: Source):
    mounter = NotedMounter()
    made = userland(tmp_path / "store", mounter, source=machine)
    made.provide_host(str(root))
    plan = Plan(
        roots=(Root("/base", EVERYTHING), Root("/jails/j", frozenset({Part.ETC, Part.VAR}))),
        directories=(Directory("/jails/j/dev", 0o555), Directory("/data")),
        files=("/jails/j/file",),
    )
    provided = made.provide(str(root), plan)
    assert provided.mounts == ["/base", "/base/usr"]
    assert sorted(os.listdir(root / "jails/j")) == ["dev", "etc", "file", "var"]
    assert mode(root / "jails/j/dev") == 0o555
    assert (root / "jails/j/etc/rc").exists()
    assert (root / "data").is_dir()
    base = Path(mounter.overlays[1][0][0])
    assert set(os.listdir(base)) >= {
        "bin",
        "sbin",
        "lib",
        "libexec",
        "etc",
        "usr",
        "var",
        "root",
        "home",
        *(n[1:] for n in OTHERS),
    }
    assert (base / "sbin/ifconfig").read_bytes() == AGENT
    assert list((base / "usr").iterdir()) == []


def test_without_overlays_a_base_is_copies(tmp_path: Path, root: Path, machine: Source):
    made = userland(tmp_path / "store", NoMounter(), extent=Extent.SMALL, source=machine)
    made.provide_host(str(root))
    (root / "base/etc").mkdir(parents=True)
    (root / "base/etc/rc.conf").write_text("mine")
    provided = made.provide_base(str(root), "/base")
    assert provided.mounts == []
    assert provided.notes == ["/base: the kernel refuses an overlay there (No such device); it is copies instead"]
    assert (root / "base/etc/rc.conf").read_text() == "mine"
    for path in ("bin/sh", "lib/libc.so.6", "usr/sbin/jail", "etc/passwd", "usr/bin/env"):
        assert (root / "base" / path).is_file()
        assert (root / "base" / path).stat().st_ino != (root / path).stat().st_ino


def test_what_a_server_that_died_left_unfinished_is_made_anew(tmp_path: Path, root: Path, machine: Source):
    (tmp_path / "store/usr.unfinished/bin").mkdir(parents=True)
    (tmp_path / "store/usr.unfinished/bin/half").touch()
    mounter = NotedMounter()
    userland(tmp_path / "store", mounter, source=machine).provide_host(str(root))
    assert not (tmp_path / "store/usr/bin/half").exists()
    second = tmp_path / "second"
    second.mkdir()
    before = (tmp_path / "store/usr").stat().st_ino
    userland(tmp_path / "store", mounter, source=machine).provide_host(str(second))
    assert (tmp_path / "store/usr").stat().st_ino == before, "another server goes on with what there is"
    assert mounter.overlays[0][1] != mounter.overlays[1][1]


def test_what_is_in_the_way_is_named(tmp_path: Path, root: Path, machine: Source):
    made = userland(tmp_path / "store", NoMounter(), extent=Extent.SMALL, source=machine)
    (root / "jails").write_text("a file")
    with pytest.raises(UserlandError, match="/jails/j: a file is there where a directory should be"):
        made.provide_base(str(root), "/jails/j")


def test_the_tree_tells_what_is_there(small: Path):
    with Tree(str(small)) as tree:
        assert tree.kind("/usr/ports/distfiles") is not None
        assert tree.kind("/home/jail") is None
