"""observed/g_nullfs.txt and g0 typed again: mount, mount_nullfs, umount; and their further options and errors."""

from __future__ import annotations

import re
import shlex

import pytest
from hostfake import FakeSession, Machine, VirtualFiles, recording, run_now

from vjail.command.mount import mount
from vjail.command.umount import umount

DIRECTORIES = [
    "/dev", "/bin", "/n/src/sub", "/n/ro/sub", "/n/rw", "/n/tmp", "/n/a/a", "/n/root/bin", "/n/root/mnt/sub",
    "/n/root/tmp", "/tmp",
]  # fmt: skip
COMMANDS = {"mount": mount, "mount_nullfs": mount, "mount_tmpfs": mount, "umount": umount}


class Replay:
    """A host on which lines are typed."""

    def __init__(self) -> None:
        self.machine = Machine(VirtualFiles({"/n/src/file": "hello\n", "/etc/rc": ""}, DIRECTORIES))

    def run(self, line: str, *, uid: int = 0, jid: int = 0) -> tuple[str, str, int]:
        words = shlex.split(line)
        session = FakeSession(self.machine, words, uid=uid, jid=jid)
        code = run_now(COMMANDS[words[0]], session)
        return session.output, session.errors, code


def test_g_nullfs() -> None:
    replay = Replay()
    typed = 0
    for step in recording("observed/g_nullfs.txt"):
        line = step.command
        if step.file == "/n/fstab":
            replay.machine.files.put(step.file, step.content)
        if step.heading.startswith("g4"):
            break
        if re.match(r"jail .* -c g ", line):
            assert replay.run("mount -F /n/fstab -a") == ("", "", 0)
        elif re.match(r"jail .* -r g ", line):
            assert replay.run("umount -F /n/fstab -a") == ("", "", 0)
        elif line.startswith("cd /n/rw && umount"):
            replay.machine.driver.busy.add(replay.machine.driver.on("/n/rw"))
            out, errors, code = replay.run(line.split("&& ")[1].split(";")[0])
            assert (out, errors, code) == (step.out, step.err, step.code) or "-f" in line
        elif line.split()[:1] and line.split()[0] in COMMANDS:
            assert replay.run(line) == (step.out, step.err, step.code), line
            typed += 1
    assert typed == 51


def test_g0_nullfs() -> None:
    """The stacking that ended in a panic two mounts later. Earlier mounts of that session had used 0xC0 fsids."""
    replay = Replay()
    for _ in range(0xC0):
        replay.run("mount -t tmpfs tmpfs /n/tmp")
        replay.run("umount /n/tmp")
    typed = 0
    for step in recording("observed/g0_nullfs_stacking_until_hang.txt"):
        if step.command.split()[:1] and step.command.split()[0] in COMMANDS:
            assert replay.run(step.command) == (step.out, step.err, step.code), step.command
            typed += 1
    assert typed > 18


def test_unionfs() -> None:
    """Section g5, on a kernel whose unionfs is a module."""
    replay = Replay()
    assert replay.run("mount -t tmpfs tmpfs /n/root/tmp") == ("", "", 0)
    assert replay.run("mount -t unionfs -o below /n/src /n/root/mnt") == ("", "", 0)
    assert replay.run("mount")[0].splitlines()[2:] == [
        "tmpfs on /n/root/tmp (tmpfs, local)",
        "<below>:/n/src on /n/root/mnt (unionfs, local, noatime)",
    ]
    assert replay.run("mount -p -t unionfs")[0] == "/n/src\t\t\t/n/root/mnt\t\tunionfs\trw,noatime \t0 0\n"


NO_FSTAB = "fstab: /etc/fstab:0: No such file or directory\n"
UNKNOWN_OPTION = "mount option <foo> is unknown: Invalid argument\n"
UMOUNT_USAGE = (
    "usage: umount [-fNnv] special ... | node ... | fsid ...\n"
    "       umount -a | -A [-F fstab] [-fnv] [-h host] [-t type]\n"
)
READ_ONLY = "/n/src on /n/tmp (nullfs, local, noatime, read-only, fsid 01ff002929000000)\n"
NO_FILE = "umount: /nosuch: statfs: No such file or directory\numount: /nosuch: unknown file system\n"
USAGE = (
    "usage: mount [-adflpruvw] [-F fstab] [-o options] [-t ufs | external_type]\n"
    "       mount [-dfpruvw] special | node\n"
    "       mount [-dfpruvw] [-o options] [-t ufs | external_type] special node\n"
)
LINES = [
    ("mount -Z", "", f"mount: illegal option -- Z\n{USAGE}", 1),
    ("mount a b c", "", USAGE, 1),
    ("mount -t a -t b", "", "mount: only one -t option may be specified\n", 1),
    ("mount /n/tmp", "", f"{NO_FSTAB}mount: /n/tmp: unknown special file or file system\n", 1),
    ("mount -t tmpfs tmpfs /n/src/file", "", "mount: /n/src/file: Not a directory\n", 1),
    ("mount -t tmpfs tmpfs /nosuch/deeper/x", "", "mount: /nosuch: No such file or directory\n", 1),
    ("mount -t tmpfs -o foo tmpfs /n/tmp", "", f"mount: tmpfs: {UNKNOWN_OPTION}", 1),
    ("mount -t nullfs -o foo /n/src /n/tmp", "", f"mount_nullfs: /n/tmp: {UNKNOWN_OPTION}", 1),
    ("mount -t zfs tank/x /n/tmp", "", "mount: tank/x: Operation not supported by device\n", 1),
    ("mount -t nfs a:/b /n/tmp", "", "mount: exec mount_nfs not found: No such file or directory\n", 1),
    ("mount a:/b /n/tmp", "", "mount: exec mount_nfs not found: No such file or directory\n", 1),
    ("mount -u -o ro /n/tmp", "", "mount: not currently mounted /n/tmp\n", 1),
    ("mount -d -t nullfs -o ro,late /n/src /n/tmp", "exec: mount_nullfs -o ro /n/src /n/tmp\n", "", 0),
    ("mount -d -t devfs -o ruleset=4 x /n/tmp", "mount -t devfs -o ruleset=4 x /n/tmp\n", "", 0),
    ("mount -v -t nullfs -r /n/src /n/tmp", READ_ONLY, "", 0),
    ("mount -t nodevfs,ufs", "", "", 0),
    ("mount_nullfs /n/src", "", "usage: mount_nullfs [-o options] target mount-point\n", 1),
    ("mount_tmpfs tmpfs /nosuch", "", "mount_tmpfs: /nosuch: No such file or directory\n", 1),
    ("umount", "", UMOUNT_USAGE, 1),
    ("umount /nosuch", "", NO_FILE, 1),
    ("umount /n/src/file", "", "umount: /n/src/file: unknown file system\n", 1),
    ("umount /", "", "umount: unmount of / failed: Invalid argument\n", 1),
    ("umount /dev", "", "umount: unmount of /dev failed: Device busy\n", 1),
    ("umount -a", "", f"{NO_FSTAB}umount: fstab reading failure\n", 1),
]  # fmt: skip


@pytest.mark.parametrize(("line", "out", "errors", "code"), LINES)
def test_lines(line: str, out: str, errors: str, code: int) -> None:
    assert Replay().run(line) == (out, errors, code)


def test_the_ways_to_name_what_is_unmounted() -> None:
    replay = Replay()
    replay.machine.files.symlink("/n/tmp", "/n/link")
    for name in ("01ff002929000000", "/n/tmp/", "/n/src", "/n/link"):
        assert replay.run("mount -t nullfs /n/src /n/tmp") == ("", "", 0)
        assert replay.run(f"umount -v {name}") == ("/n/src: unmount from /n/tmp\n", "", 0)


def test_unmounting_only_one_type() -> None:
    replay = Replay()
    replay.run("mount -t nullfs /n/src /n/tmp")
    replay.run("mount -t tmpfs tmpfs /n/rw")
    assert replay.run("umount -t tmpfs /n/tmp") == ("", "", 1)
    assert replay.run("umount -A -t tmpfs") == ("", "", 0)
    assert replay.run("mount -t nodevfs,ufs") == ("/n/src on /n/tmp (nullfs, local, noatime)\n", "", 0)
    assert replay.run("umount -A") == ("", "", 0)
    assert [line.split()[2] for line in replay.run("mount")[0].splitlines()] == ["/", "/dev"]


def test_fstab() -> None:
    replay = Replay()
    replay.machine.files.put(
        "/etc/fstab",
        "/dev/vtbd0p2 / ufs rw,noatime 1 1\n/n/src /n/ro nullfs ro 0 0\n/n/src /n/rw nullfs rw,noauto 0 0\n"
        "/n/src /n/tmp nullfs rw,late 0 0\nbad line\n/nosuch /n/a nullfs rw 0 0\n",
    )
    bad = "fstab: /etc/fstab:5: Inappropriate file type or format\n"
    missing = "mount_nullfs: /nosuch: No such file or directory\n"
    assert replay.run("mount -a") == ("", bad + missing, 1)
    assert replay.run("mount -a") == ("", bad + missing, 1), "what is mounted is left alone"
    assert replay.run("mount /n/rw") == ("", bad, 0)
    assert replay.run("mount -l -a")[2] == 1
    assert [line.split()[2] for line in replay.run("mount -t nullfs")[0].splitlines()] == ["/n/ro", "/n/rw", "/n/tmp"]
    replay.machine.files.put("/etc/fstab", "/n/src /n/ro nullfs ro 2 3\n/n/src /n/rw nullfs rw 0 0\n")
    assert replay.run("mount -p")[0].splitlines()[2] == "/n/src\t\t\t/n/ro\t\t\tnullfs\tro,noatime \t2 3"
    assert replay.run("umount -a") == ("", "", 0)
    assert [line.split()[2] for line in replay.run("mount -t nullfs")[0].splitlines()] == ["/n/tmp"]


def test_only_root_mounts() -> None:
    replay = Replay()
    assert replay.run("mount -t tmpfs tmpfs /n/tmp", uid=5) == ("", "mount: tmpfs: Operation not permitted\n", 1)
    replay.run("mount -t tmpfs tmpfs /n/tmp")
    assert replay.run("umount /n/tmp", uid=5) == ("", "umount: unmount of /n/tmp failed: Operation not permitted\n", 1)


def test_a_jail_without_the_right() -> None:
    """replay/documents-C.txt: allow.mount alone, with enforce_statfs 2."""
    replay = Replay()
    replay.machine.jails.add(5, "serverA", "/n/root", allow__mount=True)
    step = next(
        step for step in recording("replay/documents-C.txt") if step.command.endswith("mount -t tmpfs tmpfs /tmp")
    )
    assert replay.run(step.command.removeprefix("jexec serverA "), jid=5) == (step.out, step.err, step.code)
