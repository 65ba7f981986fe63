"""What of an answer is compared: everything but what differs from machine to machine, and from one run to the next.

`comparable` is applied to what was recorded and to what is answered here, with the same command line. It takes away MAC
addresses and the IPv6 addresses made of them, times, options and media lines, jids, pids, interface indexes (scopeid,
link#, port), cpuset ids, and pflog0; nothing else.
"""

from __future__ import annotations

import re

_MAC = re.compile(r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b")
_EUI64 = re.compile(r"\b([0-9a-f:]*?:)(?:[0-9a-f]{1,4}:)?[0-9a-f]{0,2}ff:fe[0-9a-fX]{2}:[0-9a-fX]{1,4}(%[\w.]+)? *")
"""An IPv6 address made of a MAC, with the spaces behind it: in a table there are more of them where it is shorter."""
_PARTS = (
    (r"^\toptions=.*$", "\toptions=OPTIONS"),
    (r"^\tmedia: .*$", "\tmedia: MEDIA"),
    (r"\bscopeid 0x[0-9a-f]+", "scopeid INDEX"),
    (r"\blink#\d+ *", "link#INDEX "),
    (r"\b(ifmaxaddr \d+|ifcost \d+) port \d+", r"\1 port INDEX"),
    (r"\btime=[0-9.]+ ms\b", "time=TIME ms"),
    (r"^round-trip min/avg/max/stddev = [0-9./]+ ms$", "round-trip TIMES"),
    (r"\bexpires in \d+ seconds\b", "expires in TIME"),
    (r"^(MAC Vlan\d+ \S+) \d+ (flags=0<>)$", r"\1 TIME \2"),
    (r"\bsent SIGTERM to: [\d ]+$", "sent SIGTERM to: PIDS"),
    (r"\bSIOCSIFRVNET\(\d+,", "SIOCSIFRVNET(JID,"),
)
_PFLOG_IN_FULL = re.compile(r"^pflog0: flags=.*\n(?:\t.*\n)*", re.MULTILINE)
_PFLOG_IN_LIST = re.compile(r"^(\w.*) pflog0\b|^pflog0 (?=\w)", re.MULTILINE)


def comparable(command: str, text: str, *, macs: bool = False) -> str:
    """What of an answer to a command line is compared; with `macs`, MAC addresses too."""
    if not macs:
        text = _MAC.sub("MAC", text)
        text = _EUI64.sub(lambda found: f"{found[1]}EUI64{found[2] or ''} ", text)
    for pattern, replacement in _PARTS:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    if "ifconfig" in command:
        text = _PFLOG_IN_LIST.sub(lambda found: found[1] or "", _PFLOG_IN_FULL.sub("", text))
    return _of_jls(command.split(), text) if command.startswith("jls") else text


def _of_jls(words: list[str], text: str) -> str:
    """An answer of jls(8) without jids and cpuset ids."""
    parameters = [word for word in words[1:] if not word.startswith("-")]
    if "-j" in words:
        parameters.remove(words[words.index("-j") + 1])
    for name, value in (("jid", "JID"), ("cpuset.id", "CPUSET")):
        text = re.sub(rf"\b{re.escape(name)}=\d+", f"{name}={value}", text)
        if name in parameters:
            text = _without_column(text, parameters.index(name), value)
    text = re.sub(r'("jid":|<jid>)\d+', r"\1JID", text)
    text = re.sub(r"^ {0,5}\d+(?=  )", "   JID", text, flags=re.MULTILINE)
    return re.sub(r"^ {8}\d+$", " " * 8 + "CPUSET", text, flags=re.MULTILINE)


def _without_column(text: str, number: int, value: str) -> str:
    """A table with `value` in place of the numbers in one of its columns."""
    lines = []
    for line in text.splitlines(keepends=True):
        words = line.split(" ")
        words[number] = re.sub(r"^\d+", value, words[number]) if number < len(words) else ""
        lines.append(" ".join(words))
    return "".join(lines)
