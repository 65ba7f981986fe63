"""The demonstration where this machine has no namespaces for a lab: the same jails, on vjail's model of FreeBSD."""

from __future__ import annotations

import sys
from pathlib import Path

from vjail.lab.folder import load
from vjail.rehearsal import Rehearsal, up


def main() -> int:
    """Bring the lab up in memory, look, and ping; the exit code is ping's."""
    lab = Rehearsal.of(load(Path(sys.argv[1])))
    (host,) = lab.hosts
    up(lab)
    code = 0
    for line in ("jls", "jexec jail_01 ifconfig epair1a", "jexec jail_01 ping -c 4 10.0.0.2", "service jail onestop"):
        print(f"\n# {line}")
        result = lab.type(host, line)
        sys.stdout.write(result.both)
        code = code or result.code
    return code


if __name__ == "__main__":
    sys.exit(main())
