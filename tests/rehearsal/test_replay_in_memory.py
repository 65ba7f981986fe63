"""What was typed at a FreeBSD 13.2 machine, typed at a host in memory.

Every line is compared: standard output, standard error and exit code, without what `comparable` takes away, and where
the hostid is known with the MAC addresses. DIFFERENCES names each line that answers otherwise, NOT_MODELLED each that
the model does not know, with the reason; they hold no others. The share that agrees is printed at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from comparable import comparable
from recordings import EXPLORATIONS, HOST_IPV6, HOSTID, REPLAY, Recording
from transcripts import DATA, Line, read
from vjail.kernel.model.files import Node
from vjail.rehearsal import NotModelled, Rehearsal, Result
from vjail.rehearsal.session import ModelSession
from vjail.session import FileKind

STEP = 0.4
"""Seconds that typing a line takes."""
_HOST = "fbsd.local"
_JAIL_CONF = (DATA.parent / "documents" / "A1.jail.conf").read_bytes()
BOOT = (
    "service hostid onestart",
    "service devfs onestart",
    "ifconfig vtnet0 inet 10.0.2.15/24",
    "ifconfig lo0 up",
    "ifconfig lo0 127.0.0.1/8",
    "route add default 10.0.2.2",
)
_LO0 = "ifconfig lo0 127.0.0.1/8 up"
_R = """\
r {{
  path = /; persist; vnet; vnet.interface = epair1a;
  exec.start = {};
}}
"""
_STARTS: Mapping[str, tuple[str, ...]] = {
    "r1": (
        "ifconfig epair1a inet 10.0.0.1/24 up",
        "route add -inet default -gateway 10.0.0.254",
        "route add -inet6 default ::1 -blackhole",
    ),
    "r1b": ("ifconfig epair1a inet 10.0.0.1/24 up", "route add -inet6 default -gateway ::1 -blackhole"),
    "r2": (_LO0, "ifconfig lo0", "netstat -rn", "route add -inet6 default ::1 -blackhole", "netstat -rn -f inet6"),
    "r3": (
        "ifconfig lo0 inet6 ::1/128 up",
        "ifconfig lo0",
        "route add -inet6 default ::1 -blackhole",
        "netstat -rn -f inet6",
    ),
    "r3b": (
        "ifconfig lo0 up",
        "ifconfig lo0; netstat -rn -f inet6; sysctl net.inet6.ip6.auto_linklocal net.inet6.ip6.accept_rtadv",
        "for i in 1 2 3 4 5; do route add -inet6 default ::1 -blackhole && break; sleep 1; done",
        "netstat -rn -f inet6",
    ),
}
"""What exec.start of the jails in d_routes held, as `jail -v` told it."""
STAND_INS: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("observed/d5_rcconf_blackhole.txt", "jail -v -f /tmp/r5 -c jail_01 2>&1"): (
        "jail -c name=jail_01 path=/ vnet persist",
        "ifconfig epair1a vnet jail_01",
        "jexec jail_01 ifconfig lo0 up",
        "jexec jail_01 ifconfig lo0 127.0.0.1/8",
        "jexec jail_01 ifconfig epair1a inet 10.0.0.1/24",
        "jexec jail_01 ifconfig epair1a inet6 -ifdisabled",
        "sleep 2",
        "jexec jail_01 ifconfig epair1a inet6 fd00::1/64",
        "sleep 2",
        "jexec jail_01 route add default 10.0.0.254",
        *(f"jexec jail_01 {line}" for line in HOST_IPV6),
        "jexec jail_01 route add -inet6 default ::1 -blackhole",
    ),
}
"""What is typed in place of a line whose files are not known."""

_CLONERS = "that kernel has cloners for interfaces nobody here can make"
_DYING = "a socket in TIME_WAIT kept that jail from ending; the model knows no sockets"
_GONE = "it speaks of a jail whose jail.conf is not known"
_KERNEL = "another kernel is in memory"
_J = "observed/j_dying_jail_restart_and_more.txt"
_I9 = "observed/i9_dying_jails_races_nested.txt"
DIFFERENCES: Mapping[tuple[str, int], str] = {
    ("replay/ifconfig-inet.txt", 72): _CLONERS,
    ("replay/vnet.txt", 27): "root's shell is sh, FreeBSD's csh says that it has no terminal",
    ("replay/documents-A1.txt", 1): "no devd is there whose sockets cp would have to leave out",
    ("replay/documents-A1.txt", 14): "a pipeline's programs run one after the other, on that machine at once",
    ("observed/a_ifconfig.txt", 1): _KERNEL,
    ("observed/a_ifconfig.txt", 16): _KERNEL,
    ("observed/a_ifconfig.txt", 74): _CLONERS,
    ("observed/b1_two_jails.txt", 60): "there was no jail.conf yet, so what was removed was not told",
    ("observed/b1_two_jails.txt", 65): "there was no jail.conf yet",
    ("observed/d_routes.txt", 78): _GONE,
    ("observed/d_routes.txt", 81): _GONE,
    ("observed/d_routes.txt", 84): _GONE,
    ("observed/d5_rcconf_blackhole.txt", 5): "what its rc.shutdown said belongs to programs that are not here",
    ("observed/i_destroy_and_ownership.txt", 50): "FreeBSD then has two interfaces called zz0; here one is renamed",
    ("observed/i_destroy_and_ownership.txt", 52): "FreeBSD panics for having had two interfaces called zz0",
    **{(_I9, number): _DYING for number in (2, 5, 6, 8)},
    **{(_J, number): _DYING for number in (*range(2, 12), 14, 16, *range(18, 24))},
}
NOT_MODELLED: Mapping[tuple[str, int], str] = {
    ("observed/b1_two_jails.txt", 51): "env(1) is not known",
    ("observed/b1_two_jails.txt", 52): "id(1) without options is not known",
    ("observed/i_destroy_and_ownership.txt", 51): "dmesg(8) is not known",
    (_I9, 1): "nc(1) is not known, nor what two sockets do",
}


RANDOM = frozenset((("observed/e_mac.txt", 12), ("observed/e_mac.txt", 13)))
"""Lines that show addresses made in a jail without a hostid, which are random."""


def prepared(recording: Recording) -> Rehearsal:
    """The machine as it was before the first recorded line."""
    lab = Rehearsal()
    nics = {f"vtnet{unit}": bytes.fromhex(text.replace(":", "")) for unit, text in enumerate(recording.nics)}
    host = lab.add_host(_HOST, nics, {"vtnet0": "w0", "vtnet1": "w1"}, pflog=True)
    host.files.put("/etc/hostid", Node(FileKind.FILE, f"{HOSTID}\n".encode()))
    lab.programs["mac"] = mac
    if recording in EXPLORATIONS:
        host.files.put("/etc/jail.conf", Node(FileKind.FILE))
        host.files.put("/usr/local/bin/mac", Node(FileKind.FILE, mode=0o555))
        for name, lines in _STARTS.items():
            text = _R.format(", ".join(f'"{line}"' for line in lines))
            host.files.put(f"/tmp/jc/{name}", Node(FileKind.FILE, text.encode()))
    if "A1" in recording.path:
        host.files.put("/etc/jail.conf", Node(FileKind.FILE, _JAIL_CONF))
    lab.clock.advance(0.7)
    for line in BOOT:
        lab.type(_HOST, line)
    if recording.travelled:
        for line in ("jail -c name=zz vnet persist path=/", "ifconfig vtnet1 vnet zz", "jail -r zz"):
            typed(lab, line)
    made = sum("epair" in line for line in recording.before)
    for _ in range(recording.counter - 4 - made):
        typed(lab, "ifconfig epair9 create; ifconfig epair9a destroy")
    for line in recording.before:
        typed(lab, line)
    return lab


def mac(session: ModelSession) -> int:
    """A script of whoever made the recordings: the MAC addresses of interfaces."""
    for name in session.argv[1:]:
        interface = session.system.interface(name)
        assert interface is not None
        assert interface.lladdr is not None
        session.out(f"{name} {interface.lladdr.hex(':')}\n")
    return 0


def typed(lab: Rehearsal, line: str) -> Result:
    """Type a line, which takes its time."""
    lab.settle(STEP)
    return lab.type(_HOST, line)


def agrees(line: Line, result: Result, *, exact: bool) -> bool:
    """Whether a line was answered as recorded; some recordings have both streams in one."""

    def same(one: str, other: str) -> bool:
        return shown(one) == shown(other)

    def shown(text: str) -> str:
        text = text if text.endswith("\n") or not text else text + "\n"
        return comparable(line.command, text, macs=exact)

    apart = same(line.stdout, result.out) and same(line.stderr, result.err)
    together = not line.stderr and same(line.stdout, result.both)
    return (apart or together) and line.code in (None, result.code)


@pytest.mark.parametrize("recording", [*REPLAY, *EXPLORATIONS], ids=lambda recording: recording.path)
def test_every_line_answers_as_recorded(recording: Recording, summary: Callable[[str], None]) -> None:
    lab = prepared(recording)
    differing: dict[tuple[str, int], str] = {}
    unknown: dict[tuple[str, int], str] = {}
    lines = read(recording.path)[: recording.until]
    for line in lines:
        key = (recording.path, line.number)
        if (stand_in := STAND_INS.get((recording.path, line.command))) is not None:
            for each in stand_in:
                typed(lab, each)
            continue
        try:
            result = typed(lab, line.command)
        except NotModelled as reason:
            unknown[key] = f"# {line.command}\n{reason}"
            continue
        if not agrees(line, result, exact=recording.exact and key not in RANDOM):
            recorded = f"{line.stdout}{line.stderr}exit {line.code}"
            differing[key] = f"# {line.command}\nrecorded:\n{recorded}\nhere:\n{result.both}exit {result.code}"
    count = len(lines) - len(differing) - len(unknown)
    summary(f"lines that a host in memory answers as FreeBSD 13.2: {recording.path}: {count} of {len(lines)}")
    unexpected = {**differing, **unknown}
    for key in (*DIFFERENCES, *NOT_MODELLED):
        unexpected.pop(key, None)
    assert not unexpected, "\n".join(f"{key} {text}" for key, text in unexpected.items())
    assert {key for key in DIFFERENCES if key[0] == recording.path} == differing.keys()
    assert {key for key in NOT_MODELLED if key[0] == recording.path} == unknown.keys()
