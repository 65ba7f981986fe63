"""`python -m vjail`: the same as the command `vjail`."""

import sys

from vjail.cli import main

if __name__ == "__main__":
    sys.exit(main())
