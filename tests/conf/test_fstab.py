"""fstab(5) and jail.conf's mount lines."""

from __future__ import annotations

import pytest

from vjail.conf.fstab import FstabType, MountLine, mount_line, parse, unvis
from vjail.conf.position import Source

TEXT = """# Device Mountpoint FStype Options Dump Pass#
/dev/vtbd0p2\t/\tufs\trw,noatime\t1\t1
/bin     /n/root/bin     nullfs ro 0 0

/n/a\\040b /n/c\\134d nullfs rw,late
proc /proc procfs noauto 0 0
tmpfs /tmp tmpfs rw,auto,mode=1777,noauto 0 0
x /y ufs xx 0 0
a b
a b c rw zero 0
"""


def test_a_file() -> None:
    fstab = parse(Source.of_text("/etc/fstab", TEXT))
    assert [(entry.spec, entry.file, entry.vfstype) for entry in fstab.entries] == [
        ("/dev/vtbd0p2", "/", "ufs"),
        ("/bin", "/n/root/bin", "nullfs"),
        ("/n/a b", "/n/c\\d", "nullfs"),
        ("tmpfs", "/tmp", "tmpfs"),
    ]
    root, bin_, odd, tmp = fstab.entries
    assert (root.options, root.type, root.freq, root.passno) == (("rw", "noatime"), FstabType.RW, 1, 1)
    assert bin_.type is FstabType.RO
    assert (odd.has("late"), odd.freq, odd.passno) == (True, 0, 0)
    assert (tmp.has("noauto"), tmp.has("auto")) == (True, False)
    assert str(root.span) == "/etc/fstab:2:1"
    assert [str(bad) for bad in fstab.bad] == [
        "fstab: /etc/fstab:6: Inappropriate file type or format",
        "fstab: /etc/fstab:9: Inappropriate file type or format",
        "fstab: /etc/fstab:10: Inappropriate file type or format",
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("\\040", " "),
        ("\\s\\t\\n", " \t\n"),
        ("a\\\\b", "a\\b"),
        ("\\x41", "A"),
        ("\\q", "q"),
        ("plain", "plain"),
        ("\\0401", " 1"),
    ],
)
def test_unvis(written: str, meant: str) -> None:
    assert unvis(written) == meant


def test_the_mount_lines_of_jail_conf() -> None:
    assert mount_line("/a\\040b /c nullfs") == MountLine("/a b", "/c", "nullfs", None)
    assert mount_line(" /a  /c\tnullfs ro,late 0 0 more") == MountLine("/a", "/c", "nullfs", "ro,late")
    assert mount_line("/a /c") is None
    assert mount_line("") is None
