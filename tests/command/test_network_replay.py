"""The recorded command lines, typed again at a host of the core's network and the memory driver.

Every line with ifconfig, route, netstat, arp or ndp in it must answer as FreeBSD 13.2 did: standard output, standard
error, exit code. Allowed to differ, but where the hostid is known: what `comparable` takes away. DIFFERENCES names
every line that answers otherwise, with the reason; SKIPPED what is not typed at all; STAND_INS what is typed in place
of a line that other parts carry out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import pytest
from network_lab import Clock, Lab, Result, type_command
from network_shell import NotUnderstood, Shell

from comparable import comparable
from recordings import EXPLORATIONS, HOST_IPV6, REPLAY, Recording
from transcripts import Line, read
from vjail.kernel.errno import KernelError

NETWORK = re.compile(r"(?:^|[ ;(]|\$\()(?:ifconfig|route|netstat|arp|ndp)\b")
BOOT = (
    "ifconfig vtnet0 inet 10.0.2.15/24",
    "ifconfig lo0 up",
    "ifconfig lo0 127.0.0.1/8",
    "route add default 10.0.2.2",
)
RC_LO0 = ("ifconfig lo0 up", "ifconfig lo0 127.0.0.1/8")


def start(jail: str, interface: str, *inside: str) -> list[str]:
    """What the network sees of a vnet jail that starts with an interface and its own rc."""
    return [
        f"jail -c name={jail} vnet persist",
        f"ifconfig {interface} vnet {jail}",
        *(f"jexec {jail} {line}" for line in inside),
    ]


A1 = {
    "service jail onestart": [
        *start("jail_01", "epair1a", *RC_LO0, "ifconfig epair1a inet 10.0.0.1/24"),
        *start("jail_02", "epair1b", *RC_LO0, "ifconfig epair1b inet 10.0.0.2/24"),
    ],
    "service jail onestop jail_01": ["jail -r jail_01"],
    "service jail onestart jail_01": start("jail_01", "epair1a", *RC_LO0, "ifconfig epair1a inet 10.0.0.1/24"),
    "service jail onestop": ["jail -r jail_01", "jail -r jail_02"],
}
C = {
    "jail -f /etc/jail.C.conf -c serverA": start("serverA", "vtnet1", *RC_LO0),
    "jail -v -f /etc/jail.C.conf -r serverA": ["jail -r serverA"],
}
D = {
    f"jail -v -f /tmp/jc/{name} -c r 2>&1": [*start("r", "epair1a", *inside), *after]
    for name, inside, after in (
        ("r1", ("ifconfig epair1a inet 10.0.0.1/24 up",), ("ifconfig epair1a -vnet r", "jail -r r")),
        ("r1b", ("ifconfig epair1a inet 10.0.0.1/24 up",), ("ifconfig epair1a -vnet r", "jail -r r")),
        ("r2", ("ifconfig lo0 127.0.0.1/8 up", "route add -inet6 default ::1 -blackhole"), ()),
        ("r3", ("ifconfig lo0 inet6 ::1/128 up", "route add -inet6 default ::1 -blackhole"), ()),
        ("r3b", ("ifconfig lo0 up", "route add -inet6 default ::1 -blackhole"), ()),
    )
}
D5 = {
    "jail -v -f /tmp/r5 -c jail_01 2>&1": start(
        "jail_01",
        "epair1a",
        *RC_LO0,
        "ifconfig epair1a inet 10.0.0.1/24",
        "ifconfig epair1a inet6 -ifdisabled",
        "sleep 2",
        "ifconfig epair1a inet6 fd00::1/64",
        "sleep 2",
        "route add default 10.0.0.254",
        *HOST_IPV6,
        "route add -inet6 default ::1 -blackhole",
    ),
    "jail -f /tmp/r5 -r jail_01": ["jail -r jail_01"],
}

# pf.txt has no line of the network's in it.
RECORDINGS = tuple(each for each in (*REPLAY, *EXPLORATIONS) if each.path != "replay/pf.txt")
STAND_INS: Mapping[str, Mapping[str, Sequence[str]]] = {
    "replay/documents-A1.txt": A1,
    "replay/documents-C.txt": C,
    "observed/d_routes.txt": D,
    "observed/d5_rcconf_blackhole.txt": D5,
}

_LEARNT = "without packets no neighbour and no bridge learns anything"
_DYING = "a socket in TIME_WAIT keeps the jail from ending; the stand-in for jails knows no sockets"

DIFFERENCES: Mapping[tuple[str, int], str] = {
    ("replay/ifconfig-inet.txt", 72): "that kernel has cloners for interfaces nobody here can make",
    ("observed/a_ifconfig.txt", 74): "that kernel has cloners for interfaces nobody here can make",
    ("replay/documents-E1.txt", 27): _LEARNT,
    ("replay/documents-E1.txt", 28): _LEARNT,
    ("observed/b1_two_jails.txt", 37): _LEARNT,
    (
        "observed/i_destroy_and_ownership.txt",
        50,
    ): "FreeBSD then has two interfaces called zz0; here the second is renamed",
    ("observed/i_destroy_and_ownership.txt", 52): "FreeBSD panics for having had two interfaces called zz0",
    ("observed/i9_dying_jails_races_nested.txt", 2): "netstat knows no sockets here",
    ("observed/i9_dying_jails_races_nested.txt", 6): _DYING,
    ("observed/j_dying_jail_restart_and_more.txt", 6): _DYING,
    ("observed/j_dying_jail_restart_and_more.txt", 7): _DYING,
    ("observed/j_dying_jail_restart_and_more.txt", 8): _DYING,
}
"""Lines, by file and number, that answer otherwise."""

NOT_TYPED: Mapping[tuple[str, int], str] = {
    ("observed/d_routes.txt", 68): "jls answers elsewhere",
    ("observed/d_routes.txt", 79): "jexec answers elsewhere that there is no such jail",
    ("observed/d_routes.txt", 85): "jexec answers elsewhere that there is no such jail",
    ("observed/d_routes.txt", 86): "jexec answers elsewhere that there is no such jail",
    ("observed/i9_dying_jails_races_nested.txt", 1): "needs processes",
    (
        "observed/i9_dying_jails_races_nested.txt",
        20,
    ): "jls answers elsewhere; nested jails are in kernel/core/test_network_move.py",
    ("observed/j_dying_jail_restart_and_more.txt", 3): "needs the jail of a jail.conf",
    ("observed/j_dying_jail_restart_and_more.txt", 10): "jls answers elsewhere",
    ("observed/j_dying_jail_restart_and_more.txt", 11): "jls answers elsewhere",
    ("observed/j_dying_jail_restart_and_more.txt", 16): "jls answers elsewhere",
    ("observed/j_dying_jail_restart_and_more.txt", 21): "needs the jail of a jail.conf",
    ("observed/j_dying_jail_restart_and_more.txt", 23): "jls answers elsewhere",
    ("observed/j_dying_jail_restart_and_more.txt", 24): "needs packets",
}
"""Lines of the network's that the stand-ins for jails and shell cannot carry out."""

RANDOM = frozenset((("observed/e_mac.txt", 12), ("observed/e_mac.txt", 13)))
"""Lines that show addresses made in a jail without a hostid, which are random."""


def prepared(recording: Recording) -> Shell:
    """The machine as it was before the first recorded line."""
    lab = Lab(clock=Clock(1000.7), nics=recording.nics)
    shell = Shell(lab, says_removed=recording.path.startswith("observed/"))
    for line in BOOT:
        type_command(lab, line)
    if recording.travelled:
        for line in ("jail -c name=zz vnet", "ifconfig vtnet1 vnet zz", "jail -r zz"):
            shell.type(line)
    made = sum("epair" in line for line in recording.before)
    for _ in range(recording.counter - 4 - made):
        shell.type("ifconfig epair9 create; ifconfig epair9a destroy")
    for line in recording.before:
        shell.type(line)
    return shell


def agrees(line: Line, result: Result, *, exact: bool) -> bool:
    """Whether a result is what was recorded; some recordings have both streams in one."""

    def shown(text: str) -> str:
        return re.sub(r"SIOCSIFRVNET\(\d+,", "SIOCSIFRVNET(JID,", text) if exact else comparable(line.command, text)

    def same(one: str, other: str) -> bool:
        return shown(one) == shown(other)

    apart = same(line.stdout, result.stdout) and same(line.stderr, result.stderr)
    together = not line.stderr and same(line.stdout, result.both)
    return (apart or together) and line.code in (None, result.code)


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.path)
def test_every_line_of_the_networks_answers_as_recorded(recording: Recording) -> None:
    shell = prepared(recording)
    stand_ins = STAND_INS.get(recording.path, {})
    compared, differing, untyped = 0, {}, set()
    for line in read(recording.path)[: recording.until]:
        key = (recording.path, line.number)
        try:
            if line.command in stand_ins:
                for each in stand_ins[line.command]:
                    shell.type(each)
                continue
            result = shell.type(line.command)
        except (NotUnderstood, KernelError):
            untyped |= {key} if NETWORK.search(line.command) else set()
            continue
        if NETWORK.search(line.command):
            compared += 1
            if not agrees(line, result, exact=recording.exact and key not in RANDOM):
                differing[key] = f"# {line.command}\nrecorded:\n{line.stdout}{line.stderr}here:\n{result.both}"
    unexpected = [text for key, text in differing.items() if key not in DIFFERENCES]
    assert not unexpected, "\n".join(unexpected)
    assert {key for key in DIFFERENCES if key[0] == recording.path} == differing.keys()
    assert {key for key in NOT_TYPED if key[0] == recording.path} == untyped
    assert compared > 0
