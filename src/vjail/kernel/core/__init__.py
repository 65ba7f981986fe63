"""FreeBSD's bookkeeping, the same on every kernel: who is called what, belongs where and may do which.

In come operations in FreeBSD's words; the rules here decide whether they are allowed and what follows, a `Driver` (see
driver.py) makes it so on the machine beneath, and observations go out. Nothing here does I/O.
"""
