"""Vnets: network namespaces with one netlink socket each, and what makes a fresh one behave as a fresh vnet does."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vjail.kernel.linux import links
from vjail.kernel.linux.netlink import Socket
from vjail.kernel.linux.spaces import LabSpace

LOOPBACK = "lo0"

_IPV4, _IPV6 = "/proc/sys/net/ipv4", "/proc/sys/net/ipv6"
_BRIDGE = "/proc/sys/net/bridge"
_FRESH = {
    # As FreeBSD has them in every new vnet, whatever this machine's own stack is set to (spec: differences-linux §2).
    f"{_IPV4}/ip_forward": "0",
    f"{_IPV4}/conf/all/rp_filter": "0",
    f"{_IPV4}/conf/default/rp_filter": "0",
    # An address is answered for only on its own interface.
    f"{_IPV4}/conf/all/arp_ignore": "1",
    f"{_IPV4}/conf/all/arp_announce": "2",
    # What comes up tells its neighbours whose its addresses are now.
    f"{_IPV4}/conf/all/arp_notify": "1",
    f"{_IPV4}/conf/all/promote_secondaries": "1",
    f"{_IPV4}/conf/default/promote_secondaries": "1",
    f"{_IPV4}/icmp_ratelimit": "0",
    f"{_IPV6}/conf/all/forwarding": "0",
    # IPv6 begins on an interface with its first address; link-local ones are the core's to add.
    f"{_IPV6}/conf/all/disable_ipv6": "1",
    f"{_IPV6}/conf/default/disable_ipv6": "1",
    f"{_IPV6}/conf/default/addr_gen_mode": "1",
    f"{_IPV6}/conf/all/accept_ra": "0",
    f"{_IPV6}/conf/default/accept_ra": "0",
    f"{_IPV6}/conf/default/autoconf": "0",
    f"{_IPV6}/conf/default/accept_dad": "0",
    f"{_IPV6}/conf/default/dad_transmits": "0",
    f"{_IPV6}/conf/all/keep_addr_on_down": "1",
    f"{_IPV6}/conf/default/keep_addr_on_down": "1",
    f"{_IPV6}/icmp/ratelimit": "0",
    # What a bridge only passes on is nobody's to filter: kernels with br_netfilter would show it to pf's rules.
    f"{_BRIDGE}/bridge-nf-call-iptables": "0",
    f"{_BRIDGE}/bridge-nf-call-ip6tables": "0",
    f"{_BRIDGE}/bridge-nf-call-arptables": "0",
}


@dataclass(slots=True)
class VnetSpace:
    """One vnet: the descriptor of its namespace (its owner's to close) and its socket."""

    namespace: int
    socket: Socket


class VnetSpaces:
    """The vnets of a host by number."""

    def __init__(self, lab: LabSpace) -> None:
        self._lab = lab
        self._vnets: dict[int, VnetSpace] = {}

    def __contains__(self, number: int) -> bool:
        return number in self._vnets

    def __getitem__(self, number: int) -> VnetSpace:
        return self._vnets[number]

    def add(self, number: int, namespace: int, *, fresh: bool) -> None:
        """Take a network namespace as vnet `number`; a fresh one is made to look like a vnet."""
        with self._lab.network(namespace):
            self._vnets[number] = VnetSpace(namespace, Socket())
            if fresh:
                self._freshen(self._vnets[number].socket)

    def drop(self, number: int) -> None:
        """Let go of a vnet."""
        self._vnets.pop(number).socket.close()

    def close(self) -> None:
        """Let go of all vnets."""
        for number in list(self._vnets):
            self.drop(number)

    @contextlib.contextmanager
    def inside(self, number: int) -> Iterator[None]:
        """Be in a vnet for a while."""
        with self._lab.network(self._vnets[number].namespace):
            yield

    def write(self, number: int, values: Mapping[str, str]) -> None:
        """Write settings below /proc/sys/net of a vnet. Raises OSError."""
        with self.inside(number):
            for path, value in values.items():
                _write(path, value)

    def read(self, number: int, path: str) -> str:
        """Read a setting below /proc/sys/net of a vnet. Raises OSError."""
        with self.inside(number):
            return Path(path).read_text().strip()

    def run(self, number: int, argv: Sequence[str], text: str, patience: float) -> subprocess.CompletedProcess[str]:
        """Run a program of the machine in a vnet, `text` its input, for `patience` seconds at most."""
        with self._lab.network(self._vnets[number].namespace):
            return subprocess.run(
                argv, input=text, capture_output=True, text=True, errors="replace", timeout=patience, check=False
            )

    def socket(self, number: int, protocol: int) -> Socket:
        """A netlink socket of another protocol in a vnet; who asks closes it."""
        with self._lab.network(self._vnets[number].namespace):
            return Socket(protocol=protocol)

    def _freshen(self, socket: Socket) -> None:
        # Any user may ping; no group can be named that the lab does not have.
        groups = {f"{_IPV4}/ping_group_range": f"0 {min(self._lab.ids, 1 << 31) - 1}"}
        for path, value in (_FRESH | groups).items():
            # A kernel without IPv6, or one that is older than a setting, has less to be told.
            with contextlib.suppress(FileNotFoundError):
                _write(path, value)
        for link in map(links.read_link, socket.dump(*links.dump_links())):
            if link.name == "lo":
                socket.request(links.rename(link.index, LOOPBACK))
            else:
                self._freshen_card(link.name)
        for setting, value in (
            ("addr_gen_mode", "1"),
            ("accept_dad", "0"),
            ("dad_transmits", "0"),
            ("disable_ipv6", "0"),
        ):
            with contextlib.suppress(FileNotFoundError):
                _write(f"{_IPV6}/conf/{LOOPBACK}/{setting}", value)

    @staticmethod
    def _freshen_card(name: str) -> None:
        """Give a card that was there before its vnet was one what later interfaces have from the start."""
        for path, value in _FRESH.items():
            with contextlib.suppress(FileNotFoundError):
                if "/conf/default/" in path:
                    _write(path.replace("default", name), value)


def _write(path: str, value: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)
