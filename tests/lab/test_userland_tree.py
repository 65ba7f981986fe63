"""Files made in a tree: kept, replaced, with exact modes, and never outside."""

import contextlib
import io
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjail.lab.userland import Kind, Tree, UserlandError


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "top").mkdir()
    return tmp_path / "top"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_modes_are_exact_whatever_the_umask(top: Path):
    old = os.umask(0o077)
    try:
        with Tree(str(top)) as tree:
            tree.put("/etc/rc", b"x", 0o644)
            tree.copy("/bin/sh", "/bin/sh", 0o555)
            tree.make("/tmp", 0o1777)
            tree.make("/tmp", 0o700)
    finally:
        os.umask(old)
    assert [mode(top / p) for p in ("etc", "etc/rc", "bin/sh", "tmp")] == [0o755, 0o644, 0o555, 0o1777]


def test_what_is_there_stays_unless_it_is_replaced(top: Path):
    (top / "a").write_text("mine")
    (top / "l").symlink_to("nowhere")
    with Tree(str(top)) as tree:
        assert not tree.put("/a", b"theirs")
        assert not tree.copy("/a", "/bin/sh", 0o555)
        assert not tree.link("/a", "x")
        assert not tree.put("/l", b"theirs")
        assert tree.contains("/l")
        assert tree.kind("/l") is None
        assert (top / "a").read_text() == "mine"
        assert tree.replace("/a", "/bin/sh", 0o555)
        assert tree.replace("/l", "/bin/sh", 0o555)
        assert not tree.replace("/new", "/bin/sh", 0o555)
    assert (top / "a").read_bytes() == (top / "l").read_bytes() == Path("/bin/sh").read_bytes()


def test_a_tree_grows_what_it_lacks_with_modes_links_and_names_of_one_file(top: Path, tmp_path: Path):
    other = tmp_path / "other"
    (other / "bin").mkdir(parents=True)
    (other / "bin/bash").write_text("shell")
    (other / "bin/bash").chmod(0o555)
    os.link(other / "bin/bash", other / "bin/sh")
    (other / "bin/vi").symlink_to("ex")
    (other / "secret").mkdir(mode=0o700)
    (other / "secret/key").write_text("key")
    (other / "secret/key").chmod(0o600)
    (other / "left").mkdir()
    (top / "bin").mkdir(mode=0o711)
    (top / "bin/vi").write_text("mine")
    with Tree(str(top)) as tree:
        tree.grow(str(other), without=["left"])
    assert sorted(os.listdir(top)) == ["bin", "secret"]
    assert [mode(top / p) for p in ("bin", "bin/sh", "secret", "secret/key")] == [0o711, 0o555, 0o700, 0o600]
    assert (top / "bin/vi").read_text() == "mine"
    assert (top / "bin/sh").samefile(top / "bin/bash")
    assert not (top / "bin/sh").samefile(other / "bin/sh")


LINKS = ["/", "..", "../..", "/outside", "../outside", "/etc/../../outside", "a/b", "/a", "."]


@given(
    links=st.dictionaries(st.sampled_from(["a", "b", "a/c", "b/c"]), st.sampled_from(LINKS), max_size=4),
    path=st.lists(st.sampled_from(["a", "b", "c", ".."]), min_size=1, max_size=4).map("/".join),
    what=st.integers(0, 8),
)
def test_nothing_is_made_or_removed_outside(tmp_path_factory, links, path, what):
    """Whatever links are in a tree, absolute ones and `..` included, they lead to places in it."""
    place = tmp_path_factory.mktemp("tree")
    top, outside = place / "top", place / "outside"
    top.mkdir()
    outside.mkdir()
    (outside / "c").write_text("sentinel")
    for name, text in links.items():
        if not (top / name).parent.is_symlink() and not os.path.lexists(top / name):
            (top / name).parent.mkdir(exist_ok=True)
            (top / name).symlink_to(text.replace("/outside", str(outside)))
    before = sorted(os.listdir(place)), outside.stat().st_mode
    with Tree(str(top)) as tree:
        actions = [
            lambda: tree.put(f"/{path}", b"x"),
            lambda: tree.make(f"/{path}", 0o700),
            lambda: tree.link(f"/{path}", "x"),
            lambda: tree.remove_all(f"/{path}"),
            lambda: tree.replace(f"/{path}", "/bin/sh", 0o600),
            lambda: tree.write(f"/{path}", io.BytesIO(b"x"), 0o600),
            lambda: tree.lay(str(outside), at=f"/{path}"),
            lambda: tree.same("/other", f"/{path}"),
            lambda: tree.set_time(f"/{path}", 0),
        ]
        with contextlib.suppress(UserlandError, OSError, ValueError):
            actions[what]()
    assert (sorted(os.listdir(place)), outside.stat().st_mode) == before
    assert os.listdir(outside) == ["c"]
    assert (outside / "c").read_text() == "sentinel"
    assert (outside / "c").stat().st_nlink == 1


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/file/below", "a file is there where a directory should be"),
        ("/loop/below", "the symbolic links there go in circles"),
        ("/dangling/below", "a symbolic link to nowhere is there"),
    ],
)
def test_what_is_in_the_way_is_said(top: Path, path: str, text: str):
    (top / "file").touch()
    (top / "loop").symlink_to("loop")
    (top / "dangling").symlink_to("/gone")
    with Tree(str(top)) as tree, pytest.raises(UserlandError, match=text):
        tree.put(path, b"")


def test_a_directory_is_not_replaced_by_a_file(top: Path):
    (top / "etc").mkdir()
    with (
        Tree(str(top)) as tree,
        pytest.raises(UserlandError, match="/etc: a directory is there where a file should be"),
    ):
        tree.replace("/etc", "/bin/sh", 0o555)


def test_laying_replaces_and_filling_keeps(top: Path, tmp_path: Path):
    source = tmp_path / "source"
    (source / "etc/private").mkdir(parents=True, mode=0o755)
    for name, text, bits in (("rc.conf", "new", 0o640), ("secret", "s", 0o600), ("tool", "t", 0o4755)):
        (source / "etc" / name).write_text(text)
        (source / "etc" / name).chmod(bits)
    (source / "etc/private/key").write_text("k")
    (source / "etc/private").chmod(0o700)
    (source / "etc/link").symlink_to("rc.conf")
    os.mkfifo(source / "etc/pipe")
    (source / "usr").mkdir()
    (top / "laid/etc").mkdir(parents=True)
    (top / "laid/etc/rc.conf").write_text("old")
    (top / "laid/etc/link").write_text("a file")
    (top / "filled/etc").mkdir(parents=True)
    (top / "filled/etc/rc.conf").write_text("old")
    with Tree(str(top)) as tree:
        tree.lay(str(source), at="/laid")
        tree.fill(str(source), at="/filled", without=("usr",))
    laid, filled = top / "laid/etc", top / "filled/etc"
    assert sorted(os.listdir(laid)) == ["link", "private", "rc.conf", "secret", "tool"]
    assert ((laid / "rc.conf").read_text(), mode(laid / "rc.conf"), mode(laid / "tool")) == ("new", 0o640, 0o755)
    assert os.readlink(laid / "link") == "rc.conf"
    assert mode(laid / "private") == 0o700
    assert sorted(os.listdir(filled)) == ["link", "rc.conf", "tool"], "what not everyone may read is left out"
    assert (filled / "rc.conf").read_text() == "old"
    assert (top / "laid/usr").is_dir()
    assert not (top / "filled/usr").exists()


def test_a_tree_may_be_a_part_of_one(top: Path):
    with Tree(str(top), at="/usr") as tree:
        tree.put("/usr/bin/x", b"")
        assert tree.kind("/usr") is Kind.DIRECTORY
        with pytest.raises(ValueError, match="/etc is not below /usr"):
            tree.put("/etc/x", b"")
    assert (top / "bin/x").exists()


def test_more_directories_than_may_be_open_at_once(top: Path):
    with Tree(str(top)) as tree:
        for i in range(450):
            tree.put(f"/d{i}/file", b"x")
            tree.same(f"/d{i}/other", f"/d{i // 2}/file")
    assert len(os.listdir(top)) == 450
    assert (top / "d0/file").stat().st_nlink == 3
