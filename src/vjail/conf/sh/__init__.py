"""sh(1)'s language: text in, a tree of commands out (`parse`), every part with its offset. Nothing is run or looked up.

Sources: sh(1) of FreeBSD 13; IEEE 1003.1 XCU 2. What runs the tree is command/sh.
"""

from vjail.conf.sh.parser import parse
from vjail.conf.sh.syntax import ShellSyntaxError

__all__ = ["ShellSyntaxError", "parse"]
