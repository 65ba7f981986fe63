"""Which programs a tree has where: FreeBSD's names, by the directory in which FreeBSD 13 has them.

Only those that this machine has are taken, and none that vjail answers itself. Source: hier(7), and the names in the
bin, sbin, usr.bin and usr.sbin folders of FreeBSD 13.2's source.
"""

from __future__ import annotations

BIN = (
    "[", "bash", "cat", "chflags", "chmod", "cp", "csh", "date", "dd", "df", "echo", "ed", "expr", "getfacl",
    "kill", "link", "ln", "ls", "mkdir", "mv", "nproc", "pax", "pgrep", "pkill", "pwait", "pwd", "realpath",
    "red", "rm", "rmdir", "setfacl", "sh", "sleep", "stty", "sync", "tcsh", "test", "unlink",
)  # fmt: skip
"""/bin. bash is no part of FreeBSD's; scripts that name it find it here on the machines vjail runs on."""

SBIN = ("ldconfig", "mknod", "nologin")
"""/sbin: the rest of FreeBSD's is about its own kernel and disks."""

USR_BIN = (
    "awk", "basename", "bc", "bunzip2", "bzcat", "bzip2", "cal", "chgrp", "cksum", "cmp", "col", "column",
    "comm", "cut", "dc", "diff", "dirname", "du", "egrep", "env", "expand", "false", "fgrep", "find", "fmt",
    "fold", "getconf", "getent", "getopt", "grep", "groups", "gunzip", "gzip", "head", "hexdump", "iconv", "id",
    "install", "join", "killall", "less", "locale", "logger", "logname", "make", "md5sum", "mkfifo", "mktemp",
    "more", "nc", "nice", "nl", "nohup", "od", "paste", "patch", "pr", "printf", "readlink", "renice", "rev",
    "script", "sed", "seq", "sha256sum", "sort", "split", "stat", "sum", "tail", "tar", "tee", "time",
    "timeout", "top", "touch", "tput", "tr", "true", "truncate", "tsort", "tty", "unexpand", "uniq", "unlzma",
    "unxz", "uptime", "users", "vi", "w", "wc", "which", "who", "whoami", "xargs", "xz", "xzcat", "yes", "zcat",
    "zgrep", "zstd",
)  # fmt: skip
"""/usr/bin, as far as shell scripts and administrators at work use it."""

USR_SBIN = ("chown", "chroot", "nologin")
"""/usr/sbin, likewise."""

TERMINALS = (
    "ansi", "dumb", "linux", "screen", "screen-256color", "tmux", "tmux-256color", "vt100", "vt220", "xterm",
    "xterm-256color",
)  # fmt: skip
"""The terminals that a small tree knows."""
