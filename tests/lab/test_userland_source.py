"""Where things of another machine's tree are found."""

from pathlib import Path

import pytest
from userland_support import program

from vjail.lab.userland import Source


def test_links_are_followed_inside(tmp_path: Path):
    program(tmp_path / "usr/bin/mawk", b"")
    (tmp_path / "etc/alternatives").mkdir(parents=True)
    (tmp_path / "usr/bin/awk").symlink_to("/etc/alternatives/awk")
    (tmp_path / "etc/alternatives/awk").symlink_to("../../../../../usr/./bin/mawk")
    (tmp_path / "bin").symlink_to("usr/bin")
    source = Source(str(tmp_path))
    assert source.resolve("/bin/awk") == "/usr/bin/mawk"
    assert source.program("awk") == str(tmp_path / "usr/bin/mawk")
    assert source.seen(str(tmp_path / "usr/bin/mawk")) == "/usr/bin/mawk"


@pytest.mark.parametrize("text", ["/nowhere", "link", "/etc/passwd/x"])
def test_links_that_lead_nowhere_are_nothing(tmp_path: Path, text: str):
    (tmp_path / "link").symlink_to(text)
    source = Source(str(tmp_path))
    assert source.resolve("/link") is None
    assert source.file("/link") is None
    assert source.list("/link") == []


def test_a_usr_alone_stands_for_its_machine(tmp_path: Path):
    program(tmp_path / "own/bin/sh", b"")
    program(tmp_path / "own/lib64/ld.so", b"")
    source = Source.at(str(tmp_path / "own"))
    assert source.path("/usr/share") == str(tmp_path / "own/share")
    assert source.program("sh") == str(tmp_path / "own/bin/sh")
    assert source.file("/lib64/ld.so") == str(tmp_path / "own/lib64/ld.so")
    assert source.seen(str(tmp_path / "own/bin/sh")) in ("/bin/sh", "/usr/bin/sh")


@pytest.mark.parametrize("given", [".", "usr"])
def test_a_usr_in_its_root_brings_that_along(tmp_path: Path, given: str):
    program(tmp_path / "usr/bin/awk", b"")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("x")
    source = Source.at(str(tmp_path / given))
    assert source.root == str(tmp_path)
    assert source.file("/etc/passwd") == str(tmp_path / "etc/passwd")


def test_only_regular_files_that_can_be_read_are_files(tmp_path: Path):
    (tmp_path / "directory").mkdir()
    source = Source(str(tmp_path))
    assert source.file("/directory") is None
    assert Source.machine().file("/dev/null") is None
