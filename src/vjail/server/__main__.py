"""`python -m vjail.server`: see main.py."""

import sys

from vjail.server.main import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
