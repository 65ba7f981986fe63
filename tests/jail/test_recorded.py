"""Every jail, jls, jexec and `service jail` line that was typed on FreeBSD 13.2, typed again on the fakes.

The streams and the exit code must be exactly those recorded. Lines whose answer is another command's are typed for
their effect where they have one but not compared; REASONS says why, and how many agree and how many are left out is
part of the test.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from jail_fakes import FakeHost, command
from jail_transcripts import Typed, Written, read

_FSTAB = "".join(f"/{each} /jails/jail_01/{each} nullfs ro 0 0\n" for each in ("bin", "sbin", "lib", "libexec", "usr"))


def _machine(host: FakeHost) -> None:
    """What lies on the recorded machine's disk."""
    host.files.add("/home")
    host.files.add("/rescue.d")
    host.files.add("/tmp/v.fstab", "/rescue.d /j/v/mnt nullfs ro 0 0\n")
    for root in ("/j/v", "/j/g", "/jails/jail_01", "/jails/jail_02"):
        for each in ("bin", "sbin", "lib", "libexec", "usr", "mnt", "dev", "proc", "root"):
            host.files.add(f"{root}/{each}")
    for each in ("01", "02"):
        host.files.add(f"/jails/jail_{each}/etc/passwd", "root:*:0:0:Charlie &:/root:/bin/csh\n")
        host.files.add(f"/jails/jail_{each}.fstab", _FSTAB.replace("jail_01", f"jail_{each}"))
    host.files.add("/j/f/mnt")
    host.files.add("/j/f/dev")
    host.files.add("/j/nodev")
    host.files.add("/etc/jail.conf.d")


def _with_etc(host: FakeHost) -> None:
    _machine(host)
    host.files.add("/j/v/etc")


def _after_b1(host: FakeHost) -> None:
    """What the jails without persist left behind."""
    _machine(host)
    for line in _FSTAB.splitlines():
        source, target = line.split()[:2]
        command(host, f"mount -t nullfs -o ro {source} {target}")
    command(host, "mount -t devfs -oruleset=5 . /jails/jail_01/dev; ifconfig epair1 create")
    (b2,) = (step for step in read("observed/b1_two_jails.txt") if isinstance(step, Written) and step.path == _CONF)
    host.files.add(_CONF, b2.text)


_CONF = "/etc/jail.conf"


def _b3(host: FakeHost) -> None:
    _with_etc(host)
    (b2,) = (step for step in read("observed/b2_service_jail.txt") if isinstance(step, Written) and step.path == _CONF)
    host.files.add(_CONF, b2.text)


def _c2(host: FakeHost) -> None:
    _machine(host)
    host.files.add(_CONF, "")
    # The order in which the interfaces of that machine stood by then.
    host.network.vnets[0] = ["vtnet0", "lo0", "pflog0", "vtnet1"]


def _c4(host: FakeHost) -> None:
    _c2(host)
    host.files.unlink(_CONF)


def _e1(host: FakeHost) -> None:
    _machine(host)
    for number in (1, 2, 3):
        host.files.add(f"/usr/local/jails/test{number}/dev")


def _j(host: FakeHost) -> None:
    """The jail 103 is held by a socket again, without a line that shows it."""
    _machine(host)
    host.files.add(_CONF, "")
    host.driver.holding.add(103)


def _hold(host: FakeHost, step: Typed) -> None:
    """A socket in TIME_WAIT keeps the jail of `jexec J netstat` dying for a minute."""
    if "TIME_WAIT" in step.stdout:
        host.driver.holding.add(host.system().jail(step.line.split()[1]).jid)
    slept = re.match(r"sleep (\d+)", step.line)
    if slept and int(slept.group(1)) >= 60:
        for dying in host.system().jails(dying=True):
            if dying.dying:
                host.driver.holding.discard(dying.jid)
                host.prisons.released(dying.jid)


@dataclass(frozen=True)
class Recording:
    """A recording: the jid given last before it, how the machine was, how many lines agree and are left out."""

    name: str
    last_jid: int
    setup: Callable[[FakeHost], None]
    agree: int
    left_out: dict[str, int]


_ENVIRON = {"PATH": "/sbin:/bin:/usr/sbin:/usr/bin", "HOME": "/root", "TERM": "su"}

OTHER = "the answer is another command's"
SHELL = "the answer is csh's"
PIPED = "the answer is piped through sed"

RECORDINGS: tuple[Recording, ...] = (
    Recording("replay/vnet.txt", 37, _machine, 61, {OTHER: 6, PIPED: 1, SHELL: 1}),
    Recording("observed/b1_two_jails.txt", 0, _machine, 76, {OTHER: 39}),
    Recording("observed/b2_service_jail.txt", 11, _machine, 32, {OTHER: 21}),
    Recording("observed/b3_jail_v_order.txt", 20, _b3, 28, {OTHER: 8}),
    Recording("observed/b3x_jail_v_no_etc_passwd.txt", 9, _after_b1, 24, {OTHER: 8}),
    Recording("observed/c2_jail_conf_errors.txt", 32, _c2, 66, {OTHER: 6}),
    Recording("observed/c3_exec_failures_depend_wildcards.txt", 45, _c2, 114, {OTHER: 11}),
    Recording("observed/c4_wildcards_confd_quoting.txt", 60, _c4, 40, {OTHER: 2}),
    Recording("observed/i9_dying_jails_races_nested.txt", 0, _c2, 8, {OTHER: 15}),
    Recording("observed/j_dying_jail_restart_and_more.txt", 100, _j, 12, {OTHER: 21}),
    Recording("replay/documents-E1.txt", 0, _e1, 8, {OTHER: 25, PIPED: 3}),
)

_OURS = r"(^|; |do |-p )(jail|jls|jexec|service jail)\b"
_THEIRS = (
    r"jexec (-\w+ \w+ )*\S+ (ping|netstat|arp|sysctl|ls|mount|df|ps|ifconfig$|ifconfig \w+$)|; ifconfig \w+( |;|$)"
)
_BEYOND = r"bridge0|vlan|^(mkdir|umount /usr)"
"""What the toys do not know and nothing later depends on."""
_PIPED = r"\| sed 's"
_SHOWS_INTERFACES = r"command=ifconfig$|jexec \w+ ifconfig \w+(;|$)"


def _left_out(typed: Typed) -> str | None:
    """Why a line is not compared, None where it is."""
    if re.fullmatch(r"jexec \w+", typed.line):
        return SHELL
    if re.search(_PIPED, typed.line):
        return PIPED
    for pattern in (_THEIRS, _SHOWS_INTERFACES):
        if re.search(pattern, typed.line):
            return OTHER
    if "nc -l" in typed.line:
        return OTHER
    return None if re.search(_OURS, typed.line) else OTHER


def replay(recording: Recording) -> tuple[int, Counter[str], list[str]]:
    """Type a recording: how many lines agree, why how many are left out, and the differences."""
    host = FakeHost()
    host.prisons._last = recording.last_jid
    recording.setup(host)
    agree, left_out, differences = 0, Counter[str](), []
    for step in read(recording.name):
        if isinstance(step, Written):
            host.files.add(re.sub(r"/[^/]+/[^/]+/\.\./\.\./", "/", step.path), step.text)
            continue
        reason = _left_out(step)
        _hold(host, step)
        if step.code in (124, 127) or re.search(_BEYOND, step.line):
            left_out[OTHER] += 1
            continue
        try:
            got = command(host, step.line, environ=_ENVIRON)
        except NotImplementedError:
            assert reason is not None, step
        if reason is not None:
            left_out[reason] += 1
            continue
        out, err = (got.merged, "") if step.merged else (got.stdout, got.stderr)
        answer = (_ended(out), err, got.code)
        if answer == (step.stdout, step.stderr, step.code):
            agree += 1
        else:
            differences.append(f"{recording.name}:{step.number}: {step.line}\n  want {step}\n  got  {answer}")
    return agree, left_out, differences


def _ended(text: str) -> str:
    """The recorder ended a last line that had no newline (`jls --libxo xml`)."""
    return f"{text}\n" if text and not text.endswith("\n") else text


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda recording: recording.name)
def test_as_recorded(recording: Recording) -> None:
    agree, left_out, differences = replay(recording)
    assert differences == []
    assert (agree, dict(left_out)) == (recording.agree, recording.left_out)
