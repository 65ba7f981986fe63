"""What a vnet costs and whether vnets are in each other's way: row C5, on examples/C5-independent-stacks and on stars.

Kernel memory is what a memory control group is charged with while a lab comes up in it. Beside it stands what
/proc/meminfo shows, which is of the whole machine.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.machine import VJAIL, folder, settle, vjail
from bench.report import Table
from bench.star import files

_EXAMPLE = Path(__file__).parents[2] / "examples" / "C5-independent-stacks"
_PAIRS = 8
_PYTHON = "/usr/bin/python3"
_MEMINFO = ("Slab", "KernelStack", "PageTables", "Percpu")
_OF_VNET = ("exec.prestart", "exec.start", "exec.poststop", "vnet")
_PATIENCE = 10.0
"""Seconds until a group's last process has gone."""
_RECEIVE = """
import socket
listening = socket.create_server(("10.0.0.1", 5201))
print("ready", flush=True)
connection, _ = listening.accept()
block = bytearray(1 << 20)
while connection.recv_into(block):
    pass
"""
_SEND = """
import socket, sys, time
connection = socket.create_connection(("10.0.0.1", 5201))
block, sent = bytes(1 << 18), 0
began = time.monotonic()
while (took := time.monotonic() - began) < float(sys.argv[1]):
    connection.sendall(block)
    sent += len(block)
print(sent / took)
"""


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes: what the group's kernel memory is, what /proc/meminfo shows, what the lab's server has resident."""

    group: int
    machine: int
    server: int


@contextmanager
def _group() -> Iterator[Path]:
    """A memory control group of this machine, of version 1 or 2."""
    first = Path("/sys/fs/cgroup/memory")
    top = first if first.exists() else Path("/sys/fs/cgroup")
    if top != first and "memory" not in (top / "cgroup.subtree_control").read_text():
        (top / "cgroup.subtree_control").write_text("+memory")
    made = top / f"vjail-bench-{os.getpid()}"
    made.mkdir()
    try:
        yield made
    finally:
        deadline = time.monotonic() + _PATIENCE
        while made.exists():
            try:
                made.rmdir()
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def _kernel_memory(group: Path) -> int:
    first = group / "memory.kmem.usage_in_bytes"
    if first.exists():
        return int(first.read_text())
    found = re.search(r"^kernel (\d+)$", (group / "memory.stat").read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError("this machine's kernel does not say what memory a group makes it use (memory.stat: kernel)")
    return int(found[1])


def _meminfo() -> int:
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(words[1]) * 1024 for words in lines if words[0].rstrip(":") in _MEMINFO)


def _weigh(conf: dict[str, str | bytes], *options: str) -> Weight:
    """Bring a lab up in a group of its own and weigh it."""
    settle()
    with _group() as group, folder(conf) as lab:
        before, machine = _kernel_memory(group), _meminfo()
        line = 'echo $$ >"$0"/cgroup.procs && exec "$@"'
        words = ["sh", "-c", line, str(group), str(VJAIL), "up", *options, str(lab)]
        subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, check=True)
        time.sleep(1)  # what the kernel frees late
        resident = 0
        for pid in (group / "cgroup.procs").read_text().split():
            if b"vjail.server" in Path(f"/proc/{pid}/cmdline").read_bytes():
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
                resident = pages * os.sysconf("SC_PAGE_SIZE")
        return Weight(_kernel_memory(group) - before, _meminfo() - machine, resident)


def _without_vnet(size: int) -> dict[str, str | bytes]:
    """The files of a star whose jails have no vnet, and so no epair."""
    conf = files(size)
    lines = str(conf["jail.conf"]).splitlines(keepends=True)
    return {**conf, "jail.conf": "".join(line for line in lines if not line.startswith(_OF_VNET))}


def memory(size: int, repeats: int) -> Table:
    """What so many jails with a vnet weigh, beside as many without and none."""
    runs = [
        (_weigh(files(size), "--no-jails"), _weigh(_without_vnet(size)), _weigh(files(size))) for _ in range(repeats)
    ]
    table = Table(f"Memory for each of {size} idle jails, kB (median)", ("", "control group", "/proc/meminfo"))
    for name, more, less in (("a vnet with its epair", 2, 1), ("a whole jail with a vnet", 2, 0)):
        row = [
            statistics.median((getattr(run[more], kind) - getattr(run[less], kind)) / size / 1024 for run in runs)
            for kind in ("group", "machine")
        ]
        table.rows.append((name, *(f"{value:.0f}" for value in row)))
        table.data.append({"what": name, "group_kb": row[0], "meminfo_kb": row[1]})
    server = statistics.median((run[2].server - run[0].server) / size / 1024 for run in runs)
    table.rows.append(("the lab's server, resident", f"{server:.0f}", ""))
    table.data.append({"what": "server", "resident_kb": server})
    table.data.extend({"jails": size, "weights": [asdict(weight) for weight in run]} for run in runs)
    return table


def _throughput(lab: Path, pairs: int, seconds: float) -> list[float]:
    """Bytes a second through each of so many pairs at once."""
    within = [str(VJAIL), "exec", "-p", str(lab)]
    receivers = [
        subprocess.Popen([*within, f"a{n}", _PYTHON, "-c", _RECEIVE], stdout=subprocess.PIPE, text=True)
        for n in range(1, pairs + 1)
    ]
    for receiver in receivers:
        if receiver.stdout is None or receiver.stdout.readline() != "ready\n":
            raise RuntimeError("a receiver did not start")
    senders = [
        subprocess.Popen([*within, f"b{n}", _PYTHON, "-c", _SEND, str(seconds)], stdout=subprocess.PIPE, text=True)
        for n in range(1, pairs + 1)
    ]
    rates = [float(sender.communicate()[0]) for sender in senders]
    for receiver in receivers:
        receiver.communicate()
    return rates


def traffic(seconds: float, rounds: int) -> Table:
    """What goes through one pair of jails alone, and while seven others send."""
    conf: dict[str, str | bytes] = {path.name: path.read_text() for path in _EXAMPLE.iterdir()}
    alone: list[float] = []
    together: list[list[float]] = []
    with folder(conf) as lab:
        vjail("up", str(lab))
        for _ in range(rounds):
            alone += _throughput(lab, 1, seconds)
            together.append(_throughput(lab, _PAIRS, seconds))
    one, all_pairs = statistics.median(alone), statistics.median(map(sum, together))
    first = statistics.median(rates[0] for rates in together)
    table = Table(f"TCP through an epair, GB/s (median of {rounds} × {seconds:g} s)", ("", "GB/s", "of one alone"))
    for name, value in (
        ("one pair alone", one),
        (f"the same with {_PAIRS - 1} others", first),
        (f"all {_PAIRS} together", all_pairs),
    ):
        table.rows.append((name, f"{value / 1e9:.2f}", f"{value / one:.2f}"))
    table.data.append({"alone": alone, "together": together})
    return table


def measure(*, quick: bool) -> Iterator[Table]:
    """Memory, then throughput."""
    yield memory(30 if quick else 100, 1 if quick else 3)
    yield traffic(1 if quick else 3, 2 if quick else 5)
