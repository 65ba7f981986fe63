"""vjail: FreeBSD's VIMAGE jails, from the files FreeBSD reads.

The parts and the way text flows through them are drawn in docs/architecture.md.
"""

__version__ = "0.1.0"
