"""Stars: jails, each with a vnet, a root and an address of its own, on one bridge; up and down, beside mininet.

mininet's hosts are a shell in a network namespace, on the files of the machine; the jails here are whole ones, as
somebody writes them in jail.conf. Both have the same addresses, and one end of a veth pair on one Linux bridge.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.machine import folder, settle, vjail
from bench.report import Table, spread

_SIZES = (10, 100, 500)
_REPEATS = {10: 7, 100: 5, 500: 3}
_MININET = Path(__file__).with_name("mininet_star.py")
_RC_CONF = """\
cloned_interfaces="bridge0"
ifconfig_bridge0="inet 10.0.255.254/16 up"
"""
_JAIL_CONF = """\
exec.clean;
exec.prestart = "ifconfig ${link} create";
exec.prestart += "ifconfig bridge0 addm ${link}a";
exec.prestart += "ifconfig ${link}a up";
exec.start = "ifconfig ${link}b inet ${address}/16 up";
exec.poststop = "ifconfig bridge0 deletem ${link}a";
exec.poststop += "ifconfig ${link}a destroy";
persist;

vnet;
vnet.interface = "${link}b";
allow.raw_sockets;

path = "/home/jail/${name}";
host.hostname = "${name}";
mount  = "/home/jail/base/bin /home/jail/${name}/bin nullfs ro 0 0";
mount += "/home/jail/base/lib /home/jail/${name}/lib nullfs ro 0 0";
mount += "/home/jail/base/libexec /home/jail/${name}/libexec nullfs ro 0 0";
mount += "/home/jail/base/sbin /home/jail/${name}/sbin nullfs ro 0 0";
mount += "/home/jail/base/etc /home/jail/${name}/etc nullfs ro 0 0";
mount += "/home/jail/base/root /home/jail/${name}/root nullfs rw 0 0";
mount += "/home/jail/base/usr /home/jail/${name}/usr nullfs ro 0 0";
mount.devfs;
devfs_ruleset = 4;

"""


def address(number: int) -> str:
    """The address of a jail, or of a mininet host, from its number on."""
    return f"10.0.{number // 250}.{number % 250 + 1}"


def files(size: int) -> dict[str, str | bytes]:
    """The files of a lab with a star of so many jails, j0, j1, …"""
    jails = (f"j{number} {{ $link = epair{number}; $address = {address(number)}; }}\n" for number in range(size))
    return {"rc.conf": _RC_CONF, "jail.conf": _JAIL_CONF + "".join(jails)}


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds that one star took: until it was up, until it was down, and until the kernel had cleared up behind."""

    up: float
    down: float
    cleared: float


def _of_vjail(size: int) -> Run:
    with folder(files(size)) as lab:
        began = time.monotonic()
        vjail("up", str(lab))
        up = time.monotonic() - began
        began = time.monotonic()
        vjail("down", str(lab))
        down = time.monotonic() - began
        settle()
        return Run(up, down, time.monotonic() - began)


def _of_mininet(size: int) -> Run:
    began = time.monotonic()
    # Its names are the machine's own, so it is given a network and a mount table to itself.
    process = subprocess.Popen(
        ["unshare", "--net", "--mount", "/usr/bin/python3", _MININET, str(size)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        if process.stdout.readline() != "up\n":
            raise RuntimeError(f"mininet: no star of {size}")
        up = time.monotonic() - began
        began = time.monotonic()
        process.stdin.write("down\n")
        process.stdin.flush()
        if process.stdout.readline() != "down\n":
            raise RuntimeError(f"mininet: a star of {size} would not go")
        down = time.monotonic() - began
    settle()
    return Run(up, down, time.monotonic() - began)


def measure(*, quick: bool) -> Iterator[Table]:
    """Stars of each size, vjail's and mininet's in turns."""
    headings = ("", "vjail s", "mininet s", "vjail / mininet", "per jail")
    table = Table("A star of full jails on one bridge (smallest / median)", headings)
    for size in _SIZES[:2] if quick else _SIZES:
        settle()
        pairs = [(_of_vjail(size), _of_mininet(size)) for _ in range(2 if quick else _REPEATS[size])]
        for what in ("up", "down", "cleared"):
            ours = [getattr(run, what) for run, _ in pairs]
            theirs = [getattr(run, what) for _, run in pairs]
            ratios = [mine / other for mine, other in zip(ours, theirs, strict=True)]
            each = f"{min(ours) / size * 1000:.1f} ms"
            table.rows.append((f"{size} {what}", spread(ours), spread(theirs), spread(ratios), each))
        table.data.append({"jails": size, "runs": [{"vjail": asdict(v), "mininet": asdict(m)} for v, m in pairs]})
    yield table
