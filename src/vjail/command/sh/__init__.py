"""sh(1) without processes: runs a script's tree (conf/sh) over a `World` of programs and files.

For a kernel that is only a model: nothing of this machine is run or read. What cannot be known without running it (a
program that is not there, a construct whose outcome depends on time or on other processes) raises `NotModelled` with
its place; nothing is guessed. Sources: sh(1) of FreeBSD 13; IEEE 1003.1 XCU 2.
"""

from vjail.command.sh.shell import Shell
from vjail.command.sh.world import NotModelled, Streams, World

__all__ = ["NotModelled", "Shell", "Streams", "World"]
