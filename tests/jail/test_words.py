"""How texts become words, and words command lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vjail.conf.jailconf import command_line as arguments
from vjail.conf.jailconf.addresses import interface_addresses
from vjail.jail import command_line, words
from vjail.jail.command_line import BadLine
from vjail.jail.phases import Step
from vjail.jail.words import Line
from vjail.release import Release


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ifconfig epair1 create", Line(("ifconfig", "epair1", "create"))),
        ("  two\t words\n", Line(("two", "words"))),
        ("cd /x", Line(("cd", "/x"))),
        ("# note", Line(("#", "note"))),
        ("A=1 cmd", Line(("A=1", "cmd"))),
        ("echo a; echo b", Line(("/bin/sh", "-c", "echo a; echo b"))),
        ("daemon &", Line(("daemon",), background=True)),
        ("daemon -x&", Line(("daemon", "-x"), background=True)),
        ("daemon & ", Line(("/bin/sh", "-c", "daemon & "))),
        ("a > b &", Line(("/bin/sh", "-c", "a > b &"))),
        ("", None),
        (" \t", None),
        ("&", None),
        *((f"x {mark} y", Line(("/bin/sh", "-c", f"x {mark} y"))) for mark in "!\"$&'()*;<>?[\\]`{|}~"),
        *((f"x {mark} y", Line(("x", mark, "y"))) for mark in "%+,-./:=@^_#"),
    ],
)
def test_shell_or_not(text: str, line: Line | None) -> None:
    assert words.command(text) == line


@pytest.mark.parametrize(
    ("word", "undone"),
    [
        (r"/my\040dir", "/my dir"),
        (r"a\\b", r"a\b"),
        (r"a\sb\tc", "a b\tc"),
        (r"\303\251", "é"),
        ("é", "é"),
        (r"\^A", "\x01"),
        (r"\M-a", "\udce1"),
        (r"\M^A", "\udc81"),
        (r"a\x", None),
        ("a\\", None),
    ],
)
def test_unvis(word: str, undone: str | None) -> None:
    assert words.unvis(word) == undone


@given(st.text(st.characters(exclude_characters="\\", exclude_categories=["Cs"])))
def test_unvis_leaves_words_without_a_backslash(word: str) -> None:
    assert words.unvis(word) == word


@pytest.mark.parametrize(
    ("text", "up", "down"),
    [
        ("ip4.addr=em0|10.0.0.1/24", "em0 inet 10.0.0.1/24 alias", "em0 inet 10.0.0.1/24 -alias"),
        (
            "ip4.addr=em0|10.0.0.1",
            "em0 inet 10.0.0.1 netmask 255.255.255.255 alias",
            "em0 inet 10.0.0.1 netmask 255.255.255.255 -alias",
        ),
        (
            "ip4.addr=em0|10.0.0.1/255.0.0.0",
            "em0 inet 10.0.0.1 netmask 255.0.0.0 alias",
            "em0 inet 10.0.0.1 netmask 255.0.0.0 -alias",
        ),
        (
            "ip4.addr=em0|10.0.0.1/24 vhid 1  pass x",
            "em0 inet 10.0.0.1/24 vhid 1 pass x alias",
            "em0 inet 10.0.0.1/24 -alias",
        ),
        ("ip6.addr=em0|fd00::1/64", "em0 inet6 fd00::1/64 alias", "em0 inet6 fd00::1/64 -alias"),
        ("ip6.addr=em0|fd00::1", "em0 inet6 fd00::1 prefixlen 128 alias", "em0 inet6 fd00::1 prefixlen 128 -alias"),
    ],
)
def test_addresses(text: str, up: str, down: str) -> None:
    jail = arguments([text], Release.V13).jails[0]
    (address,) = interface_addresses(jail.parameters, None)
    assert command_line.address(address, down=False).text == f"/sbin/ifconfig {up}"
    assert command_line.address(address, down=True).text == f"/sbin/ifconfig {down}"


@pytest.mark.parametrize(
    ("text", "up", "down"),
    [
        ("/a /b nullfs ro 0 0", "mount -t nullfs -o ro /a /b", "umount -t nullfs /b"),
        ("/a /b nullfs", "mount -t nullfs /a /b", "umount -t nullfs /b"),
        ("tmpfs\t/x\\040y\ttmpfs\trw,size=1m", "mount -t tmpfs -o rw,size=1m tmpfs /x y", "umount -t tmpfs /x y"),
    ],
)
def test_mounts(text: str, up: str, down: str) -> None:
    mounting = command_line.mounting(text)
    assert mounting is not None
    assert (mounting.up().text, mounting.down(Release.V13).text) == (f"/sbin/{up}", f"/sbin/{down}")


def test_mounts_that_are_none() -> None:
    assert command_line.mounting(" \t") is None
    with pytest.raises(BadLine, match=r"^/bin: missing information$"):
        command_line.mounting("/bin")
    with pytest.raises(BadLine, match="fstab parse error"):
        command_line.mounting(r"/a\q /b nullfs")


def test_release_12_forces_unmounts() -> None:
    mounting = command_line.mounting("/a /b nullfs")
    assert mounting is not None
    assert mounting.down(Release.V12).text == "/sbin/umount -ft nullfs /b"


@pytest.mark.parametrize(
    ("step", "ruleset", "up", "down"),
    [
        (Step.DEVFS, None, "mount -t devfs -oruleset=4 . /j/dev", "umount /j/dev"),
        (Step.DEVFS, "abc", "mount -t devfs -oruleset=abc . /j/dev", "umount /j/dev"),
        (Step.FDESCFS, None, "mount -t fdescfs . /j/dev/fd", "umount /j/dev/fd"),
        (Step.PROCFS, None, "mount -t procfs . /j/proc", "umount /j/proc"),
    ],
)
def test_special_mounts(step: Step, ruleset: str | None, up: str, down: str) -> None:
    mounting = command_line.special_mount(step, "/j", ruleset)
    assert (mounting.up().text, mounting.down(Release.V13).text) == (f"/sbin/{up}", f"/sbin/{down}")
