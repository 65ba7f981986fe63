"""observed/f_devfs.txt and f8_devfs_rule_depth.txt typed again: devfs, mount, umount, service devfs, what /dev has."""

from __future__ import annotations

import re
import shlex

import pytest
from hostfake import FakeSession, Machine, Step, VirtualFiles, recording, run_now

from vjail.command.devfs import devfs
from vjail.command.mount import mount
from vjail.command.rc.subr import run_script
from vjail.command.rc.table import script
from vjail.command.sysctl import sysctl
from vjail.command.umount import umount
from vjail.conf.devfs_rules import default_rules
from vjail.kernel.core.devnodes import DeviceNode, NodeType
from vjail.lab.etc import default_rc_conf

COMMANDS = {"devfs": devfs, "mount": mount, "umount": umount, "sysctl": sysctl}
USERS, GROUPS = {0: "root", 66: "uucp"}, {0: "wheel", 2: "kmem", 5: "operator", 68: "dialer"}
MADE_BY_RESTART = """[devfsrules_jailnet=1000]
add include $devfsrules_jail
add path 'bpf*' unhide
"""
"""The file section f5 begins with; its recording does not show it, `devfs rule -s 1000 show` there does."""


class Replay:
    """A host on which a recording's lines are typed one after the other."""

    def __init__(self) -> None:
        files = VirtualFiles(
            {
                "/etc/defaults/devfs.rules": default_rules(),
                "/etc/defaults/rc.conf": default_rc_conf(),
                "/etc/passwd": "root:*:0:0::/root:/bin/sh\n",
                "/etc/group": "operator:*:5:root\n",
            },
            ["/dev", "/tmp/dev", "/j/d/dev"],
        )
        self.machine = Machine(files)
        self.typed = 0
        self.run("service devfs start")

    def run(self, line: str, jid: int = 0) -> tuple[str, str, int]:
        words = shlex.split(line)
        session = FakeSession(self.machine, words, jid=jid, commands=COMMANDS)
        if words[:2] == ["service", "devfs"]:
            found = script("devfs", self.machine.release)
            assert found is not None
            code = run_now(lambda session: run_script(session, found, words[2:], "/etc/rc.d/devfs"), session)
        else:
            code = run_now(COMMANDS[words[0]], session)
        self.typed += 1
        return session.output, session.errors, code

    def nodes(self, directory: str) -> list[DeviceNode]:
        held = self.machine.driver.nodes[self.machine.driver.on(directory)]
        return sorted((node for node in held if "/" not in node.name), key=lambda node: node.name.encode())

    def check(self, step: Step) -> None:
        command = step.command
        if command.startswith("ls -l ") and "/dev" in command and step.code == 0:
            assert [shown_as(node) for node in self.nodes(command.split()[2])] == listing(step.out)
        elif re.fullmatch(r"ls \S+/dev", command):
            assert [node.name for node in self.nodes(command.split()[1])] == step.out.split()
        elif found := re.fullmatch(r"ls (\S+/dev) \| wc -l", command):
            assert len(self.nodes(found.group(1))) == int(step.out)
        elif found := re.match(r"jail -c name=d path=/j/d mount.devfs devfs_ruleset=(\d+) persist", command):
            if step.code == 0:
                assert self.run(f"mount -t devfs -oruleset={found.group(1)} . /j/d/dev") == ("", "", 0)
        elif command.startswith("jail -v -f /tmp/jc/devfs -c d"):
            assert self.run("mount -t devfs -oruleset=4 . /j/d/dev") == ("", "", 0)
        elif command.startswith("ls /j/d/dev; "):
            assert [node.name for node in self.nodes("/j/d/dev")] == step.out.split()[:-1]
        elif command.startswith("jail -f /tmp/jc/devfs -r d"):
            assert self.run("umount /j/d/dev") == ("", "", 0)
        elif command.split()[0] in (*COMMANDS, "service"):
            assert self.run(command) == (step.out, step.err, step.code), command


def shown_as(node: DeviceNode) -> tuple[str, str, str, str, str, str]:
    letter = {NodeType.DEVICE: "c", NodeType.DIRECTORY: "d", NodeType.LINK: "l"}[node.type]
    bits = "".join(flag if node.mode >> 8 - at & 1 else "-" for at, flag in enumerate("rwxrwxrwx"))
    size = {NodeType.DEVICE: hex(node.device), NodeType.DIRECTORY: "512", NodeType.LINK: str(len(node.link))}[node.type]
    return letter + bits, USERS[node.uid], GROUPS[node.gid], size, node.name, node.link


def listing(text: str) -> list[tuple[str, str, str, str, str, str]]:
    shown = []
    for line in text.splitlines()[1:]:
        mode, _, user, group, size, _, _, _, name, *link = line.split()
        if name != "log":
            shown.append((mode, user, group, size, name, link[1] if link else ""))
    return shown


@pytest.mark.parametrize("path", ["observed/f_devfs.txt", "observed/f8_devfs_rule_depth.txt"])
def test_the_recording(path: str) -> None:
    replay = Replay()
    for step in recording(path):
        if step.file.startswith("/etc/"):
            replay.machine.files.put(step.file, step.content)
        elif step.heading.startswith("f5."):
            replay.machine.files.put("/etc/devfs.rules", MADE_BY_RESTART)
        elif step.command and ("/etc/defaults" not in step.command and "/etc/devfs.rules" not in step.command):
            replay.check(step)
    assert replay.typed > (60 if "f_" in path else 8)


def test_the_hosts_dev_has_the_link_of_syslogd_besides() -> None:
    recorded = next(step for step in recording("observed/f_devfs.txt") if step.command == "ls -l /dev")
    assert [line.split()[-3:] for line in recorded.out.splitlines() if " log " in line] == [
        ["log", "->", "/var/run/log"]
    ]


def test_inside_a_jail() -> None:
    """Section f7; the jail's own mount is refused too."""
    replay = Replay()
    replay.machine.jails.add(7, "d", "/", devfs_ruleset=1000)
    step = next(step for step in recording("observed/f_devfs.txt") if step.command.startswith("jail -c name=d path=/ "))
    typed = [part.strip().removeprefix("jexec d ") for part in step.command.split(";")[1:-1]]
    results = [replay.run(line, jid=7) for line in typed]
    assert "".join(errors for _, errors, _ in results) == step.err
    assert [out for out, _, _ in results] == ["", "", ""]


def test_the_rules_of_the_documents() -> None:
    """documents/B3 as printed, and its /dev as replay/documents-A1.txt shows it."""
    replay = Replay()
    recorded = next(step for step in recording("replay/documents-A1.txt") if step.command == "jexec jail_01 ls /dev")
    text = (
        "[devfsrules_jailnet=1000]\nadd include $devfsrules_hide_all\nadd include $devfsrules_unhide_basic\n"
        "add include $devfsrules_unhide_login\nadd path zfs unhide\nadd path mem unhide\nadd path kmem unhide\n"
        "add path 'bpf*' unhide\n"
    )
    replay.machine.files.put("/etc/devfs.rules", text)
    assert replay.run("service devfs restart") == ("", "", 0)
    assert replay.run("mount -t devfs -o ruleset=1000 devfs /j/d/dev") == ("", "", 0)
    assert [node.name for node in replay.nodes("/j/d/dev")] == recorded.out.split()


# --- beyond the recordings -------------------------------------------------------------------------------------------

LINES = [
    ("devfs", "usage: \tdevfs [-m mount-point] rule [-s ruleset] ...\n\tdevfs [-m mount-point] ruleset ...\n", 1),
    ("devfs frob", "devfs: unknown command: frob\n", 1),
    ("devfs rule frob", "devfs rule: unknown command: frob\n", 1),
    ("devfs -m /nosuch rule show", "devfs: open: /nosuch: No such file or directory\n", 1),
    ("devfs -m /tmp rule show", "devfs rule: ioctl DEVFSIO_RGETNEXT: Inappropriate ioctl for device\n", 1),
    ("devfs rule -s x show", "devfs rule: error converting to number: x\n", 1),
    ("devfs rule add hide", "devfs rule: ioctl DEVFSIO_RADD: Input/output error\n", 1),
    ("devfs rule -s 7 add include 99", "devfs rule: ioctl DEVFSIO_RADD: No such process\n", 1),
    ("devfs rule -s 1 add 100 hide", "devfs rule: ioctl DEVFSIO_RADD: File exists\n", 1),
    ("devfs rule -s 7 add user nobody hide", "devfs rule: error converting to integer: nobody\n", 1),
    ("devfs rule -s 77 applyset", "devfs rule: ioctl DEVFSIO_SAPPLY: No such process\n", 1),
    ("devfs rule -s 1 apply 55", "devfs rule: ioctl DEVFSIO_RAPPLYID: No such file or directory\n", 1),
    ("devfs rule -s 1 del 55", "devfs rule: ioctl DEVFSIO_RDEL: No such file or directory\n", 1),
    ("devfs rule -s 1 del x", "devfs rule: error converting to integer: x\n", 1),
    ("devfs rule -s 1 show 500", "devfs rule: ioctl DEVFSIO_RGETNEXT: No such file or directory\n", 1),
    ("devfs ruleset x", "devfs ruleset: error converting to number: x\n", 1),
]


@pytest.mark.parametrize(("line", "errors", "code"), LINES)
def test_errors(line: str, errors: str, code: int) -> None:
    assert Replay().run(line) == ("", errors, code)


def test_users_and_groups_by_name() -> None:
    replay = Replay()
    assert replay.run("devfs rule -s 7 add path x user root group operator mode 0640") == ("", "", 0)
    assert replay.run("devfs rule -s 7 show") == ("100 path x user root group operator mode 640\n", "", 0)
    assert replay.run("devfs rule -s 7 add user 99 group 98") == ("", "", 0)
    assert replay.run("devfs rule -s 7 show 200") == ("200 user 99 group 98\n", "", 0)


def test_rules_from_standard_input() -> None:
    replay = Replay()
    session = FakeSession(replay.machine, ["devfs", "rule", "-s", "7", "add", "-"], input=b"hide\npath x unhide\n")
    assert run_now(devfs, session) == 0
    assert replay.run("devfs rule -s 7 show") == ("100 hide\n200 path x unhide\n", "", 0)


def test_only_root_changes_rules() -> None:
    replay = Replay()
    session = FakeSession(replay.machine, ["devfs", "rule", "-s", "7", "add", "hide"], uid=1001)
    assert (run_now(devfs, session), session.errors) == (1, "devfs rule: ioctl DEVFSIO_RADD: Operation not permitted\n")
