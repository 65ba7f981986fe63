"""A packet's way: ping from one jail to another over a bridge, beside the same path made by hand with iproute2.

On both ways the program is the same, this machine's ping; what vjail's own says is shown besides.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.machine import VJAIL, folder, vjail
from bench.report import Table, spread
from bench.star import address, files

_PING = "/usr/bin/ping"
_COPY = "/root/machines-ping"
"""Where the jails have it: at the usual path they have vjail's."""
_PAUSE = "0.005"


def _round_trips(words: list[str]) -> list[float]:
    """Milliseconds of each answer."""
    said = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout
    return [float(found) for found in re.findall(r"time=([0-9.]+) ms", said)]


@contextmanager
def _by_hand() -> Iterator[int]:
    """Two network namespaces on a bridge in a third; the number of a process in the first."""
    lines = (
        "ip link add bridge0 type bridge",
        "ip link set bridge0 up",
        *(
            line
            for end in (0, 1)
            for line in (
                f"ip link add e{end}a type veth peer name e{end}b netns /proc/$n{end}/ns/net",
                f"ip link set e{end}a master bridge0 up",
                f"nsenter -t $n{end} -n ip address add {address(end)}/16 dev e{end}b",
                f"nsenter -t $n{end} -n ip link set e{end}b up",
            )
        ),
        "echo $n0",
        "read answer",
        "kill $n0 $n1",
    )
    begin = "unshare --net sleep 600 & n0=$!; unshare --net sleep 600 & n1=$!; sleep 0.2; set -e; "
    script = begin + "; ".join(lines)
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.communicate("done\n")


def measure(*, quick: bool) -> Iterator[Table]:
    """Both ways in turns, in rounds of many packets each."""
    rounds, packets = (3, 100) if quick else (10, 200)
    ours: list[float] = []
    by_hand: list[float] = []
    own: list[float] = []
    with folder(files(2) | {f"files/home/jail/base{_COPY}": Path(_PING).read_bytes()}) as lab, _by_hand() as process:
        vjail("up", str(lab))
        within = [str(VJAIL), "exec", "-p", str(lab), "j0"]
        target = address(1)
        words = ["-i", _PAUSE, "-c", str(packets), target]
        for _ in range(rounds):
            ours += _round_trips([*within, _COPY, *words])
            by_hand += _round_trips(["nsenter", "-t", str(process), "-n", _PING, *words])
            own += _round_trips([*within, "ping", *words])
    table = Table(f"Round trips of {len(ours)} pings (smallest / median)", ("", "µs"))
    for name, values in (
        ("between two jails", ours),
        ("by hand with iproute2", by_hand),
        ("between two jails, by vjail's ping", own),
    ):
        table.rows.append((name, spread([1000 * value for value in values], digits=0)))
        table.data.append({"path": name, "ms": values})
    yield table
