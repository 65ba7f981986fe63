"""The device nodes of a lab host: those of the recorded FreeBSD machine (observed/f_devfs.txt, `ls -l /dev`).

Data only: names, owners, modes, device numbers, what a link points to, and which `type` of devfs(8) a device is. The
numbers of `fd/N` are those between mdctl and io that no other node has. What a rule does to them: devfs.py.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from vjail.conf.devfs_rules import DeviceClass


class NodeType(enum.Enum):
    """What a node of a devfs is."""

    DEVICE = "character device"
    DIRECTORY = "directory"
    LINK = "symbolic link"


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A node: `name` is its path below /dev, `device` a device's number, `link` what a symbolic link holds."""

    name: str
    type: NodeType = NodeType.DEVICE
    uid: int = 0
    gid: int = 0
    mode: int = 0o600
    device: int = 0
    link: str = ""
    classes: frozenset[DeviceClass] = frozenset()


_WHEEL, _KMEM, _OPERATOR, _UUCP, _DIALER = 0, 2, 5, 66, 68


def _device(name: str, device: int, mode: int = 0o600, gid: int = _WHEEL, *classes: DeviceClass) -> DeviceNode:
    return DeviceNode(name, NodeType.DEVICE, 0, gid, mode, device, classes=frozenset(classes))


def _terminal(name: str, device: int) -> DeviceNode:
    return _device(name, device, 0o600, _WHEEL, DeviceClass.TTY)


def _disk(name: str, device: int) -> DeviceNode:
    return _device(name, device, 0o640, _OPERATOR, DeviceClass.DISK)


def _dialout(name: str, device: int) -> DeviceNode:
    return DeviceNode(name, NodeType.DEVICE, _UUCP, _DIALER, 0o660, device, classes=frozenset({DeviceClass.TTY}))


def _directory(name: str) -> DeviceNode:
    return DeviceNode(name, NodeType.DIRECTORY, mode=0o555)


def _link(name: str, target: str) -> DeviceNode:
    return DeviceNode(name, NodeType.LINK, mode=0o755, link=target)


SHARED_MEMORY = _directory("shm")
"""What linux(4) adds when it is loaded, for a tmpfs to be mounted on. Source: sys/compat/linux, linux_common."""

LAB_NODES: tuple[DeviceNode, ...] = (
    _device("acpi", 0x26, 0o664, _OPERATOR),
    _device("apm", 0x28, 0o664, _OPERATOR),
    _device("apmctl", 0x27, 0o660, _OPERATOR),
    _device("atkbd0", 0x35),
    _device("audit", 0x1B, 0o600, _KMEM),
    _device("auditpipe", 0x1A),
    _device("bpf", 0xA),
    _link("bpf0", "bpf"),
    _disk("cd0", 0x57),
    _terminal("console", 0x8),
    _device("consolectl", 0x1C),
    _device("ctty", 0xF, 0o666),
    _dialout("cuau0", 0x3A),
    _dialout("cuau0.init", 0x3B),
    _dialout("cuau0.lock", 0x3C),
    _device("devctl", 0x4),
    _device("devctl2", 0x5),
    _device("devstat", 0x2A, 0o444),
    _directory("fd"),
    _device("fd/0", 0x12, 0o666),
    _device("fd/1", 0x14, 0o666),
    _device("fd/2", 0x16, 0o666),
    _device("fido", 0x20),
    _device("full", 0xC, 0o666),
    _device("geom.ctl", 0x9, 0o640, _OPERATOR),
    _directory("gpt"),
    _directory("gptid"),
    _device("hpet0", 0x29, 0o644),
    _directory("input"),
    _device("io", 0x18),
    _link("kbd0", "atkbd0"),
    _link("kbd1", "kbdmux0"),
    _device("kbdmux0", 0x22),
    _device("klog", 0x1D),
    _device("kmem", 0x25, 0o640, _KMEM, DeviceClass.MEM),
    _device("mdctl", 0x11),
    _device("mem", 0x24, 0o640, _KMEM, DeviceClass.MEM),
    _device("null", 0xD, 0o666),
    _device("pass0", 0x56, 0o600, _OPERATOR),
    _device("pci", 0x10, 0o644),
    _device("pf", 0x41),
    _device("pfil", 0x40),
    _device("random", 0x6, 0o644),
    _directory("reroot"),
    _link("stderr", "fd/2"),
    _link("stdin", "fd/0"),
    _link("stdout", "fd/1"),
    _device("sysmouse", 0x1E),
    _device("tcp_log", 0x19, 0o400),
    _terminal("ttyu0", 0x37),
    _terminal("ttyu0.init", 0x38),
    _terminal("ttyu0.lock", 0x39),
    *(_terminal(f"ttyv{unit:x}", 0x43 + unit) for unit in range(12)),
    _device("ufssuspend", 0x3D),
    _link("urandom", "random"),
    _disk("vtbd0", 0x2B),
    _disk("vtbd0p1", 0x2C),
    _disk("vtbd0p2", 0x2D),
    _device("xpt0", 0x42, 0o600, _OPERATOR),
    _device("zero", 0xE, 0o666),
)
"""Every node a new devfs without a ruleset shows. `/dev/log` of a running host is a link that rc.d/syslogd makes."""
