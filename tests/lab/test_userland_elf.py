"""What ELF files say they need."""

import contextlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from userland_support import elf_file

from vjail.kernel.linux.syscalls import MACHINE
from vjail.lab.userland import elf

names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters=":"), min_size=1, max_size=30)


@given(
    needed=st.lists(names, max_size=5),
    runpath=st.lists(names, max_size=3),
    machine=st.sampled_from(["x86_64", "aarch64"]),
)
def test_what_a_file_says_is_read(tmp_path_factory, needed, runpath, machine):
    path = tmp_path_factory.mktemp("elf") / "file"
    path.write_bytes(elf_file(needed=needed, runpath=":".join(runpath), interpreter="/lib/ld.so.1", machine=machine))
    said = elf.read(str(path))
    assert said == elf.Elf(machine, "/lib/ld.so.1", tuple(needed), (), tuple(runpath))


def test_a_library_has_no_interpreter(tmp_path):
    (tmp_path / "lib").write_bytes(elf_file(needed=["libc.so.6"], rpath="/a:/b"))
    said = elf.read(str(tmp_path / "lib"))
    assert (said.interpreter, said.rpath, said.runpath) == (None, ("/a", "/b"), ())


@given(st.binary(max_size=600), st.integers(0, 500))
def test_nothing_else_is_believed(tmp_path_factory, junk, at):
    """Whatever is in a file of a jail's: it is read, or refused, and nothing else happens."""
    content = bytearray(elf_file(needed=["libc.so.6"], interpreter="/lib/ld.so.1"))
    content[at : at + len(junk)] = junk
    path = tmp_path_factory.mktemp("elf") / "file"
    for text in (bytes(content), junk):
        path.write_bytes(text)
        with contextlib.suppress(elf.NotElf, OSError):
            elf.read(str(path))


@pytest.mark.parametrize(
    "content", [b"", b"#!/bin/sh\n", b"\x7fELF\x01\x01" + bytes(60), b"\x7fELF\x02\x02" + bytes(60)]
)
def test_other_kinds_of_file_are_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(elf.NotElf):
        elf.read(str(tmp_path / "file"))


def test_this_machines_shell_is_read():
    said = elf.read(os.path.realpath("/bin/sh"))
    assert said.machine == MACHINE
    assert said.interpreter is not None
    assert Path(said.interpreter).exists()
    assert any(name.startswith("libc.") for name in said.needed)
