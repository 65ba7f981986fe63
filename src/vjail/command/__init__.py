"""FreeBSD's commands: command lines in, operations on a `System` and FreeBSD's exact words out.

Each module holds one command or a family (`ifconfig/`, `route.py`, …) as a function from a `Session` to an exit code;
`registry.py` says which function answers at which path. Nothing here does I/O of its own: a command sees the machine
only through the Session it is handed (base.py).
"""
