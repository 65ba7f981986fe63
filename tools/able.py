"""Whether this machine can hold a lab: exit 0, or 1 and what keeps it from that on standard output."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path


def main() -> int:
    """Begin a lab's anchor and end it again."""
    if sys.platform != "linux":
        print("labs need Linux and its namespaces")
        return 1
    from vjail.kernel.linux import anchor

    with tempfile.TemporaryDirectory() as folder:
        try:
            anchor.start(Path(folder))
        except anchor.Unable as error:
            print(error)
            return 1
        finally:
            anchor.end(Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
