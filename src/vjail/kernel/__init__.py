"""What carries operations out: FreeBSD's kernel as vjail sees it, and the things that stand in for it.

In go operations (`operations.py`: one change each, as plain data); out come observations (`observed.py`) or a
`KernelError` with FreeBSD's error number. `system.py` says what a kernel must offer. `core/` holds FreeBSD's own
bookkeeping (names, units, indexes, homes, jails, mounts, rulesets), which is the same on every kernel; `linux/` puts it
into effect with namespaces.
"""
