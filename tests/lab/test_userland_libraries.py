"""Which libraries programs need, found as loaders find them, on distributions that were made up."""

import os
import struct
from pathlib import Path

import pytest
from userland_support import distribution, elf_file, program

from vjail.kernel.linux.syscalls import MACHINE
from vjail.lab.userland import Source, Tree, UserlandError
from vjail.lab.userland.libraries import Libraries, cache
from vjail.lab.userland.toolkit import collect, home, merged_links, write_libraries

DISTRIBUTIONS = {
    "debian": ("lib/x86_64-linux-gnu", "/lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu"),
    "fedora": ("lib64", "/lib64/ld-linux-x86-64.so.2", "lib"),
    "arch": ("lib", "/lib64/ld-linux-x86-64.so.2", "lib"),
    "alpine": ("lib", "/lib/ld-musl-x86_64.so.1", "lib"),
}


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_a_jail_that_has_only_freebsds_directories_finds_everything_in_lib(tmp_path, name):
    directory, loader, place = DISTRIBUTIONS[name]
    source = distribution(tmp_path / "machine", directory=directory, loader=loader)
    toolkit = collect(Libraries(source, "x86_64"))
    assert set(toolkit.bin) == {"sh", "ls"}
    assert set(toolkit.usr_bin) == {"env"}
    assert toolkit.root.directory == directory
    assert home(toolkit.root) == place
    top = tmp_path / "tree"
    top.mkdir()
    with Tree(str(top)) as tree:
        write_libraries(tree, toolkit.root)
    for wanted in ("libc.so.6", Path(loader).name):
        found = top / place / wanted
        assert found.is_file()
        assert not found.is_symlink()
    # The path the programs ask for, and where their libraries are looked for besides.
    assert (top / loader.lstrip("/")).resolve() == top / place / Path(loader).name
    assert (top / directory / "libc.so.6").resolve() == top / place / "libc.so.6"


def test_the_search_goes_as_ld_so_does(tmp_path):
    """DT_RPATH is inherited and goes without DT_RUNPATH; DT_RUNPATH and $ORIGIN are a file's own (ld.so(8))."""
    root = tmp_path / "machine"
    source = distribution(root, directory="lib/x86_64-linux-gnu", loader="/lib64/ld.so")
    (root / "etc/ld.so.conf.d").mkdir()
    (root / "etc/ld.so.conf").write_text("include /etc/ld.so.conf.d/*.conf\n/opt/last # or so\n")
    (root / "etc/ld.so.conf.d/a.conf").write_text("# here\n/opt/configured\n")
    (root / "etc/ld.so.conf.d/b.other").write_text("/opt/not\n")
    for path, content in {
        "opt/rpath/libinherited.so": elf_file(),
        "opt/rpath/libfirst.so": elf_file(needed=["libinherited.so"]),
        "opt/run/libown.so": elf_file(needed=["libconfigured.so"]),
        "opt/run/near/libnear.so": elf_file(),
        "opt/configured/libconfigured.so": elf_file(needed=["liblast.so"]),
        "opt/not/liblast.so": elf_file(),
        "opt/last/liblast.so": elf_file(),
        "usr/lib/libconfigured.so": elf_file(machine="aarch64"),
        "opt/old": elf_file(needed=["libfirst.so"], rpath="/opt/rpath"),
        "opt/run/new": elf_file(needed=["libown.so", "libnear.so"], runpath="$ORIGIN:${ORIGIN}/near", rpath="/opt/not"),
    }.items():
        program(root / path, content)
    libraries = Libraries(source, "x86_64")
    found = libraries.closure([str(root / "opt/old"), str(root / "opt/run/new")]).libraries
    assert {name: os.path.relpath(path, root) for name, path in found.items()} == {
        "libfirst.so": "opt/rpath/libfirst.so",
        "libinherited.so": "opt/rpath/libinherited.so",
        "libown.so": "opt/run/libown.so",
        "libnear.so": "opt/run/near/libnear.so",
        "libconfigured.so": "opt/configured/libconfigured.so",
        "liblast.so": "opt/last/liblast.so",
    }


def test_what_is_missing_is_named(tmp_path):
    source = distribution(tmp_path, directory="lib64", loader="/lib64/ld.so")
    program(tmp_path / "usr/bin/date", elf_file(needed=["libgone.so.1"], interpreter="/lib64/ld.so"))
    program(tmp_path / "usr/bin/df", elf_file(needed=["libc.so.6"], interpreter="/lib/other.so"))
    libraries = Libraries(source, "x86_64")
    with pytest.raises(UserlandError, match=r"usr/bin/date: needs libgone\.so\.1, which is nowhere on this machine"):
        libraries.closure([str(tmp_path / "usr/bin/date")])
    with pytest.raises(UserlandError, match=r"its loader /lib/other\.so is nowhere"):
        libraries.closure([str(tmp_path / "usr/bin/df")])
    assert set(collect(libraries).bin) == {"sh", "ls"}, "programs that cannot run are not taken"


def test_programs_of_another_machine_are_not_taken(tmp_path):
    source = distribution(tmp_path, directory="lib", loader="/lib/ld.so", machine="aarch64")
    with pytest.raises(UserlandError, match="no sh that runs on this machine"):
        collect(Libraries(source, "x86_64"))


@pytest.mark.parametrize(
    ("first", "taken"),
    [
        (b"#!/bin/sh\n", True),
        (b"#! /usr/bin/sh -e\n", True),
        (b"#!/bin/bash\n", False),
        (b"#!/usr/bin/perl\n", False),
        (b"#!\n", False),
        (b"\x00\x01", False),
    ],
)
def test_scripts_are_taken_where_their_interpreter_is(tmp_path, first, taken):
    source = distribution(tmp_path, directory="lib", loader="/lib/ld.so")
    program(tmp_path / "usr/bin/zcat", first)
    assert ("zcat" in collect(Libraries(source, "x86_64")).usr_bin) is taken


def test_none_of_vjails_commands_is_taken_from_the_machine():
    toolkit = collect(Libraries(Source.machine(), MACHINE))
    names = {*toolkit.bin, *toolkit.sbin, *toolkit.usr_bin, *toolkit.usr_sbin}
    assert not names & {"hostname", "ps", "mount", "ifconfig", "ping", "uname", "sysctl", "route"}
    assert {"sh", "ls", "cat", "cp", "mkdir", "rm"} <= set(toolkit.bin)
    assert {"grep", "sed", "awk", "id", "env", "find"} <= set(toolkit.usr_bin)


def test_paths_into_a_merged_lib_keep_working(tmp_path):
    source = distribution(tmp_path, directory="lib/x86_64-linux-gnu", loader="/lib64/ld.so")
    for path in ("usr/lib/terminfo/x/xterm", "usr/lib/x86_64-linux-gnu/security/pam.so"):
        program(tmp_path / path, b"")
    closure = collect(Libraries(source, "x86_64")).root
    assert merged_links(source, closure) == {
        "/lib/terminfo": "../usr/lib/terminfo",
        "/lib/x86_64-linux-gnu": "../usr/lib/x86_64-linux-gnu",
        "/lib/x86_64-linux-gnu/security": "../../usr/lib/x86_64-linux-gnu/security",
    }


def test_where_lib_is_a_directory_of_its_own_nothing_leads_to_usr(tmp_path):
    source = distribution(tmp_path, directory="lib", loader="/usr/lib/ld.so")
    (tmp_path / "lib").unlink()
    (tmp_path / "lib").mkdir()
    assert merged_links(source, Libraries(source, "x86_64").closure([])) == {}


# --- the loader's cache -----------------------------------------------------------------------------------------------


def _cache(entries: list[tuple[int, str, str, int]]) -> bytes:
    """A cache as ldconfig(8) writes it: flags, name, path and processor of each entry."""
    strings, table = b"", b""
    at = 48 + 24 * len(entries)
    for flags, name, path, special in entries:
        places = at + len(strings), at + len(strings) + len(name) + 1
        strings += name.encode() + b"\0" + path.encode() + b"\0"
        table += struct.pack("<iIIIQ", flags, *places, 0, special)
    return struct.pack("<20sIIB3xI12x", b"glibc-ld.so.cache1.1", len(entries), len(strings), 2, 0) + table + strings


def _entries(data: bytes) -> list[tuple[int, str, str]]:
    _, count, length, _, _ = struct.unpack_from("<20sIIB3xI12x", data)
    assert len(data) == 48 + 24 * count + length

    def text(at: int) -> str:
        return data[at : data.index(b"\0", at)].decode()

    found = [struct.unpack_from("<iIIIQ", data, 48 + 24 * i) for i in range(count)]
    return [(flags, text(name), text(path)) for flags, name, path, _, special in found if special == 0]


def test_the_cache_says_where_the_trees_libraries_are():
    original = _cache(
        [
            (0x303, "libz.so.1", "/usr/lib/libz.so.1", 0),
            (0x303, "libc.so.6", "/usr/lib/glibc-hwcaps/x86-64-v3/libc.so.6", 1 << 62),
            (0x303, "libc.so.6", "/usr/lib/libc.so.6", 0),
            (0x003, "libc.so.6", "/usr/lib32/libc.so.6", 0),
        ]
    )
    written = cache(original, {"libc.so.6": "/lib/libc.so.6"}, "x86_64")
    assert written is not None
    assert _entries(written) == [
        (0x303, "libz.so.1", "/usr/lib/libz.so.1"),
        (0x303, "libc.so.6", "/lib/libc.so.6"),
        (0x003, "libc.so.6", "/usr/lib32/libc.so.6"),
    ]


def test_a_cache_behind_one_of_the_old_form_is_read():
    original = _cache([(0x303, "liba.so", "/usr/lib/liba.so", 0)])
    written = cache(b"ld.so-1.7.0\0" + bytes(36) + original, {}, "x86_64")
    assert written == original


@pytest.mark.parametrize("data", [b"", b"glibc-ld.so.cache1.1", b"glibc-ld.so.cache1.1" + b"\xff" * 40, bytes(100)])
def test_a_cache_of_another_kind_is_left_alone(data):
    assert cache(data, {"libc.so.6": "/lib/libc.so.6"}, "x86_64") is None
