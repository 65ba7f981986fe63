"""NICs of this machine that are lent to a lab: moved into it at `up`, given back when the lab has ended, in any way.

A keeper, a process outside the lab, holds the lab's network namespace open, waits for the end of the lab's anchor and
brings the NICs home. `loan` in the run-time folder says which process it is and what is lent. Where the keeper itself
was killed, `vjail down` does its work; where both it and the lab were, the kernel sends a machine's own NICs back to
its first network namespace.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from vjail.kernel.linux import anchor, links
from vjail.kernel.linux.anchor import Unable
from vjail.kernel.linux.netlink import NetlinkError, Socket
from vjail.kernel.linux.syscalls import CLONE_NEWNET, pidfd_open, setns

_LOAN = "loan"
_SECONDS = 10.0
"""How long a keeper may take to bring NICs home."""


@dataclass(frozen=True, slots=True)
class Loan:
    """What is lent: the keeper, and of each NIC's name whether it was up."""

    keeper: anchor.Anchor
    nics: dict[str, bool]


def find(folder: Path) -> Loan | None:
    """What is lent to the lab of this run-time folder."""
    try:
        record = json.loads((folder / _LOAN).read_text())
    except (OSError, ValueError):
        return None
    return Loan(anchor.Anchor(record["pid"], record["started"]), record["nics"])


def lend(folder: Path, nics: Sequence[str]) -> None:
    """Lend NICs of this machine to the lab that is up; those that are lent already stay so. Raises Unable."""
    lent = find(folder)
    known = {} if lent is None else lent.nics
    new = [nic for nic in nics if nic not in known]
    if not new:
        return
    if not anchor.privileged():
        raise Unable(f"only root can lend {', '.join(new)} to a lab: run vjail as root, or leave `nic:` out")
    _keep_instead(folder, lent, known, new)


def give_back(folder: Path, nics: Sequence[str]) -> None:
    """Bring home what is lent to the lab that is up, but for these NICs. Raises Unable."""
    lent = find(folder)
    if lent is None or not lent.nics.keys() - set(nics):
        return
    kept = {nic: up for nic, up in lent.nics.items() if nic in nics}
    if kept:
        _keep_instead(folder, lent, kept, ())
        return
    _relieve(folder, lent, kept)
    _write(folder, None)


def _keep_instead(folder: Path, lent: Loan | None, known: dict[str, bool], new: Sequence[str]) -> None:
    """Have a keeper, in the place of the one there is, of NICs that are lent already and of new ones. Raises Unable.

    For a moment there are two; each brings home only what is not home.
    """
    found = anchor.find(folder)
    assert found is not None
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(told)
        _become_keeper(folder, found, known, new, tell)
    os.close(tell)
    with os.fdopen(told) as report:
        answer = report.read()
    os.waitpid(child, 0)
    if answer != "ready":
        raise Unable(answer or "the NICs could not be moved into the lab")
    if lent is not None:
        _relieve(folder, lent, known)


def _relieve(folder: Path, lent: Loan, kept: dict[str, bool]) -> None:
    """Let the keeper of a loan end, and bring home what is not kept."""
    if lent.keeper.alive():
        os.kill(lent.keeper.pid, signal.SIGKILL)
    found = anchor.find(folder)
    if found is not None:
        with _network_of(found) as there:
            _bring_home(there, {nic: up for nic, up in lent.nics.items() if nic not in kept})


@contextmanager
def _network_of(lab: anchor.Anchor) -> Iterator[int]:
    there = os.open(f"/proc/{lab.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield there
    finally:
        os.close(there)


@contextmanager
def returned(folder: Path) -> Iterator[None]:
    """End a lab inside this: afterwards what it was lent is back."""
    loan = find(folder)
    if loan is None:
        yield
        return
    with contextlib.ExitStack() as stack:
        keeper = None
        with contextlib.suppress(ProcessLookupError):
            keeper = pidfd_open(loan.keeper.pid)
            stack.callback(os.close, keeper)
        found = anchor.find(folder)
        if found is not None and not loan.keeper.alive():
            _bring_home(stack.enter_context(_network_of(found)), loan.nics)
        yield
        if keeper is not None and loan.keeper.alive():
            select.select([keeper], [], [], _SECONDS)


# --- the keeper -------------------------------------------------------------------------------------------------------


def _become_keeper(folder: Path, lab: anchor.Anchor, known: dict[str, bool], new: Sequence[str], tell: int) -> None:
    """In the child: in a child of its own, that nobody waits for, keep the NICs. Never returns."""
    try:
        if os.fork():
            os._exit(0)
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
            signal.signal(number, signal.SIG_IGN)
        # The locks of the command that started this are not for it to hold.
        os.closerange(3, tell)
        os.closerange(tell + 1, 1 << 16)
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        os.chdir("/")
        _keep(folder, lab, known, new, tell)
    except (OSError, Unable) as error:
        with contextlib.suppress(OSError):
            os.write(tell, str(error).encode())
    finally:
        os._exit(0)


def _keep(folder: Path, lab: anchor.Anchor, known: dict[str, bool], new: Sequence[str], tell: int) -> None:
    end = pidfd_open(lab.pid)
    there = os.open(f"/proc/{lab.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    here = Socket()
    seen = {name: _lendable(here, name) for name in new}
    came = {name: bool(link.flags & links.IFF_UP) for name, link in seen.items()}
    nics_up = {**known, **came}
    own = os.getpid()
    record = {"pid": own, "started": anchor.start_time(own), "nics": nics_up}
    # Written before anything moves: whoever ends the lab knows what to look for.
    before = (folder / _LOAN).read_text() if known else None
    _write(folder, json.dumps(record))
    try:
        for name, link in seen.items():
            here.request(links.set_flags(link.index, 0, links.IFF_UP), links.move(link.index, there, name))
    except NetlinkError as error:
        _bring_home(there, came)
        _write(folder, before)
        raise Unable(f"{name}: it cannot be moved into the lab: {error.strerror}") from None
    os.write(tell, b"ready")
    os.close(tell)
    select.select([end], [], [])
    _bring_home(there, nics_up)


def _write(folder: Path, record: str | None) -> None:
    """Write down what is lent; None: nothing."""
    if record is None:
        (folder / _LOAN).unlink()
        return
    temporary = folder / f"{_LOAN}.new"
    temporary.write_text(record)
    temporary.rename(folder / _LOAN)


def _lendable(here: Socket, name: str) -> links.Link:
    """The NIC of that name. Raises Unable: there is none, or this machine uses it."""
    try:
        link = links.read_link(here.get(*links.get_link(name)))
    except NetlinkError:
        there = ", ".join(each for _, each in socket.if_nameindex() if each != "lo")
        raise Unable(f"this machine has no NIC {name}; it has: {there or 'none'}") from None
    used = [
        str(found.address)
        for found in map(links.read_address, here.dump(*links.dump_addresses(link.index)))
        if found is not None and not (isinstance(found.address, IPv6Address) and found.address.is_link_local)
    ]
    if used or link.master or name == "lo":
        why = (
            f"it has {', '.join(used)}" if used else "it is in a bridge" if link.master else "every machine has its own"
        )
        raise Unable(f"{name} is in use by this machine ({why}): it is not lent to a lab as long as it is")
    return link


def _bring_home(there: int, nics: dict[str, bool]) -> None:
    """Move NICs out of the lab's network namespace into that of this process, and let them be up as they were."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    setns(there, CLONE_NEWNET)
    lab = Socket()
    setns(home, CLONE_NEWNET)
    here = Socket()
    for name, up in nics.items():
        with contextlib.suppress(NetlinkError):
            index = links.read_link(lab.get(*links.get_link(name))).index
            lab.request(links.set_flags(index, 0, links.IFF_UP), links.set_master(index, 0))
            lab.request(links.move(index, home, name))
            if up:
                index = links.read_link(here.get(*links.get_link(name))).index
                here.request(links.set_flags(index, links.IFF_UP, links.IFF_UP))
    for each in (lab, here):
        each.close()
    os.close(home)
