"""The link that lets programs start in a jail with FreeBSD's directories only."""

import os
from pathlib import Path

import pytest
from userland_support import elf_file, program

from vjail.lab.userland import LoaderLink, loader_link

LOADER = "/lib64/ld-linux-x86-64.so.2"


def made(root: Path) -> LoaderLink | None:
    fd = os.open(root, os.O_PATH)
    try:
        return loader_link(fd)
    finally:
        os.close(fd)


def jail(root: Path, libraries: str, interpreter: str = LOADER) -> Path:
    program(root / "bin/sh", elf_file(interpreter=interpreter))
    program(root / libraries / Path(interpreter).name, b"loader")
    return root


@pytest.mark.parametrize("place", ["lib", "lib/x86_64-linux-gnu"])
def test_the_missing_directory_leads_to_where_the_libraries_are(tmp_path, place):
    root = jail(tmp_path, place)
    assert made(root) == LoaderLink("/lib64", place)
    assert str(LoaderLink("/lib64", place)) == f"/lib64 -> {place}"
    assert (root / LOADER.lstrip("/")).read_bytes() == b"loader"
    assert made(root) is None, "a second time nothing is to be done"


def test_a_directory_without_the_loader_gets_a_link_to_it(tmp_path):
    root = jail(tmp_path, "lib/x86_64-linux-gnu")
    (root / "lib64").mkdir()
    assert made(root) == LoaderLink(LOADER, "../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
    assert (root / LOADER.lstrip("/")).read_bytes() == b"loader"


def test_aarch64_has_its_loader_in_lib(tmp_path):
    root = jail(tmp_path, "lib/aarch64-linux-gnu", "/lib/ld-linux-aarch64.so.1")
    assert made(root) == LoaderLink("/lib/ld-linux-aarch64.so.1", "aarch64-linux-gnu/ld-linux-aarch64.so.1")
    assert (root / "lib/ld-linux-aarch64.so.1").read_bytes() == b"loader"


def test_nothing_is_done_where_nothing_is_needed_or_known(tmp_path):
    complete = jail(tmp_path / "complete", "lib64")
    static = tmp_path / "static"
    program(static / "bin/sh", elf_file())
    bare = tmp_path / "bare"
    bare.mkdir()
    script = tmp_path / "script"
    program(script / "bin/sh", b"#!/bin/other\n")
    without = tmp_path / "without"
    program(without / "bin/sh", elf_file(interpreter=LOADER))
    for root in (complete, static, bare, script, without):
        before = sorted(p for p in root.rglob("*"))
        assert made(root) is None
        assert sorted(p for p in root.rglob("*")) == before


@pytest.mark.parametrize(
    "interpreter", ["/lib64/../../escape/ld.so", "/etc/passwd", "relative/ld.so", "/a/b/c/ld.so.1"]
)
def test_a_shell_made_to_mislead_gets_nothing_outside(tmp_path, interpreter):
    root = tmp_path / "root"
    program(root / "bin/sh", elf_file(interpreter=interpreter))
    program(root / "lib" / Path(interpreter).name, b"loader")
    (tmp_path / "escape").mkdir()
    made(root)
    assert sorted(os.listdir(tmp_path)) == ["escape", "root"]
    assert os.listdir(tmp_path / "escape") == []


def test_links_of_the_jails_do_not_lead_out(tmp_path):
    outside = tmp_path / "outside"
    program(outside / "ld-linux-x86-64.so.2", b"")
    root = tmp_path / "root"
    program(root / "bin/sh", elf_file(interpreter=LOADER))
    (root / "lib").symlink_to(outside)
    assert made(root) is None
    (root / "lib").unlink()
    jail(root, "lib")
    (root / "lib64").symlink_to(outside)
    assert made(root) is None, "the name is taken by the jail's own link"
    assert os.listdir(outside) == ["ld-linux-x86-64.so.2"]


def test_a_shell_that_is_a_pipe_does_not_hold_the_server(tmp_path):
    (tmp_path / "bin").mkdir()
    os.mkfifo(tmp_path / "bin/sh")
    assert made(tmp_path) is None
