"""`python -m vjail.server`: see main.py."""

import gc
import sys

# Modules stay: the collector would go through them in vain again and again while they are loaded. main.py enables it.
gc.disable()

from vjail.server.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
