"""What this machine's kernel has in a vnet of a lab, as iproute2 and pyroute2 read it: not by vjail's own netlink."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

_PYROUTE2 = """
import json, sys
from pyroute2 import IPRoute
from pyroute2.netlink import nla_slot
def plain(value):
    if isinstance(value, nla_slot):
        return [value[0], plain(value[1])]
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value if isinstance(value, (int, str, type(None))) else str(value)
with IPRoute() as kernel:
    json.dump({
        "links": [plain(dict(each)) for each in kernel.get_links()],
        "addresses": [plain(dict(each)) for each in kernel.get_addr()],
        "routes": [plain(dict(each)) for each in kernel.get_routes(table=254)],
        "neighbours": [plain(dict(each)) for each in kernel.get_neighbours()],
        "forwarding": [plain(dict(each)) for each in kernel.fdb("dump")],
    }, sys.stdout)
"""


class KernelView:
    """The network namespace of the process whose words are `sleep TOKEN`."""

    def __init__(self, token: str) -> None:
        words = b"sleep\0" + token.encode() + b"\0"
        self._pid = next(
            path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if path.read_bytes() == words
        )

    def ip(self, *words: str) -> list[dict[str, Any]]:
        """What `ip -j -d` says, without what is empty."""
        return self._json("ip", "-j", "-d", *words)

    def bridge(self, *words: str) -> list[dict[str, Any]]:
        """What `bridge -j -d` says, without what is empty."""
        return self._json("bridge", "-j", "-d", *words)

    def pyroute2(self) -> dict[str, list[dict[str, Any]]]:
        """What pyroute2 reads: `links`, `addresses`, `routes`, `neighbours`, `forwarding`; a message is a dict."""
        found: dict[str, list[dict[str, Any]]] = json.loads(self._inside(sys.executable, "-c", _PYROUTE2))
        return found

    def _json(self, *words: str) -> list[dict[str, Any]]:
        return [each for each in json.loads(self._inside(*words) or "[]") if each]

    def _inside(self, *words: str) -> str:
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        line = ["nsenter", "-t", self._pid, *user, "--net", "--", *words]
        return subprocess.run(line, capture_output=True, text=True, check=True).stdout


def attribute(message: dict[str, Any], *path: str) -> Any:
    """An attribute of a message of pyroute2's, or of the attribute before it in `path`; None where it has none."""
    value: Any = message
    for name in path:
        value = dict(map(tuple, value["attrs"])).get(name) if value is not None else None
    return value
