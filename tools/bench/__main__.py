"""`python -m bench [--quick] [--only PART…] [--json FILE]`, as root; `make bench` is this with all that it needs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from bench import machine, path, star, startup, vnet
from bench.report import Table, show

PARTS = {"start-up": startup.measure, "star": star.measure, "ping": path.measure, "vnet": vnet.measure}


def main() -> int:
    """Measure, print the tables, and write the JSON where that is asked for."""
    parser = argparse.ArgumentParser(prog="make bench", description="vjail's speed beside others'")
    parser.add_argument("--quick", action="store_true", help="small and few: a minute or two in all")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("bench: run it as root: mininet, and namespaces made by hand, need that", file=sys.stderr)
        return 1
    tables: list[Table] = []
    print(f"{machine.described()}\n", flush=True)
    for name in arguments.only:
        for table in PARTS[name](quick=arguments.quick):
            show(table)
            tables.append(table)
    if arguments.json is not None:
        result = {"machine": machine.described(), "tables": [table.as_json() for table in tables]}
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


sys.exit(main())
