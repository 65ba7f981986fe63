"""Packets as bytes, and a router of tun devices that they go through; for pf_router.py.

em0 (outside) and em1 (inside) are held by this process: what is written to one comes in there, what the router sends
out there is read from it.
"""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from pf_engine import PfPacket

from vjail.conf.pf.hosts import HostAddress, HostInterface
from vjail.kernel.core.pf_driver import PfSetup
from vjail.kernel.linux.netlink import Request, Socket
from vjail.kernel.linux.pf.compile import compile_setup
from vjail.kernel.linux.pf.conntrack import NETLINK_NETFILTER
from vjail.kernel.pf import PfEndpoint

Address = IPv4Address | IPv6Address

TCP, UDP = 6, 17
SYN, ACK, RST = 0x02, 0x10, 0x04
OUTSIDE, INSIDE = "em0", "em1"
INTERFACES = (
    HostInterface(
        OUTSIDE,
        ("ext",),
        (
            HostAddress(IPv4Address("192.0.2.1"), 24),
            HostAddress(IPv4Address("192.0.2.2"), 24),
            HostAddress(IPv6Address("2001:db8:1::1"), 64),
        ),
    ),
    HostInterface(
        INSIDE, ("int",), (HostAddress(IPv4Address("10.0.0.1"), 24), HostAddress(IPv6Address("2001:db8:2::1"), 64))
    ),
)
OWN = {held.address for interface in INTERFACES for held in interface.addresses}
NETWORKS: dict[str, tuple[IPv4Network | IPv6Network, ...]] = {
    OUTSIDE: (IPv4Network("192.0.2.0/24"), IPv6Network("2001:db8:1::/64")),
    INSIDE: (IPv4Network("10.0.0.0/24"), IPv6Network("2001:db8:2::/64")),
}
FAR = {
    OUTSIDE: ("192.0.2.9", "192.0.2.10", "2001:db8:1::9"),
    INSIDE: ("10.0.0.5", "10.0.0.6", "2001:db8:2::5"),
}
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x1, 0x1000


# --- packets ----------------------------------------------------------------------------------------------------------


def _sum(data: bytes) -> int:
    total = sum(struct.unpack(f">{len(data) // 2}H", data)) if len(data) % 2 == 0 else _sum(data + b"\0")
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def built(packet: PfPacket, seq: int = 1000, ack: int = 0) -> bytes:
    """A packet's bytes."""
    source, destination = packet.source, packet.destination
    four = isinstance(source.address, IPv4Address)
    if packet.proto == TCP:
        body = struct.pack(">HHIIBBHHH", source.port, destination.port, seq, ack, 0x50, packet.tcp_flags, 8192, 0, 0)
        place = 16
    elif packet.proto == UDP:
        body = struct.pack(">HHHH", source.port, destination.port, 12, 0) + b"data"
        place = 6
    else:
        kind, code = packet.icmp or (8, 0)
        body = struct.pack(">BBHHH", kind, code, 0, source.port, 1) + b"data"
        place = 2
    pseudo = source.address.packed + destination.address.packed + struct.pack(">HH", packet.proto, len(body))
    if packet.proto == 1:
        pseudo = b""
    check = ~_sum(pseudo + body) & 0xFFFF
    body = body[:place] + struct.pack(">H", check) + body[place + 2 :]
    if not four:
        head = struct.pack(">IHBB", 6 << 28 | packet.tos << 20, len(body), packet.proto, 64)
        return head + source.address.packed + destination.address.packed + body
    head = struct.pack(">BBHHHBBH", 0x45, packet.tos, 20 + len(body), 1, 0, 64, packet.proto, 0)
    head += source.address.packed + destination.address.packed
    return head[:10] + struct.pack(">H", ~_sum(head) & 0xFFFF) + head[12:] + body


def parsed(data: bytes) -> PfPacket | None:
    """The packet that bytes are; None for what the test does not look at (neighbours, groups)."""
    if data[0] >> 4 == 4:
        proto, start = data[9], (data[0] & 15) * 4
        addresses: tuple[Address, Address] = (IPv4Address(data[12:16]), IPv4Address(data[16:20]))
    else:
        proto, start = data[6], 40
        addresses = (IPv6Address(data[8:24]), IPv6Address(data[24:40]))
    body = data[start:]
    if proto in (TCP, UDP):
        ports = struct.unpack(">HH", body[:4])
        flags = body[13] if proto == TCP else 0
        ends = [PfEndpoint(address, port) for address, port in zip(addresses, ports, strict=True)]
        return PfPacket(proto, ends[0], ends[1], flags)
    if proto not in (1, 58):
        return None
    kind, code = body[0], body[1]
    if (proto, kind) in ((1, 8), (1, 0), (58, 128), (58, 129)):
        identity = struct.unpack(">H", body[4:6])[0]
        return PfPacket(
            proto, PfEndpoint(addresses[0], identity), PfEndpoint(addresses[1], identity), icmp=(kind, code)
        )
    if (proto, kind) in ((1, 3), (58, 1)):
        return PfPacket(proto, PfEndpoint(addresses[0]), PfEndpoint(addresses[1]), icmp=(kind, code))
    return None


# --- the router -------------------------------------------------------------------------------------------------------


class Router:
    """The machine between both sides."""

    def __init__(self) -> None:
        self._tuns: dict[str, int] = {}
        for name in (OUTSIDE, INSIDE):
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
            self._tuns[name] = fd
        for path, value in (
            ("ipv4/ip_forward", "1"),
            ("ipv6/conf/all/forwarding", "1"),
            ("ipv4/conf/all/rp_filter", "0"),
            ("ipv4/conf/default/rp_filter", "0"),
            ("ipv4/icmp_ratelimit", "0"),
            ("ipv6/icmp/ratelimit", "0"),
            ("ipv4/fwmark_reflect", "1"),
            ("ipv6/fwmark_reflect", "1"),
        ):
            Path(f"/proc/sys/net/{path}").write_text(value)
        for interface in INTERFACES:
            _ip("link", "set", interface.name, "up")
            # What is sent is there to be read at once.
            subprocess.run(["tc", "qdisc", "replace", "dev", interface.name, "root", "noqueue"], check=True)
            for held in interface.addresses:
                nodad = ("nodad",) if held.address.version == 6 else ()
                _ip("addr", "add", f"{held.address}/{held.prefixlen}", "dev", interface.name, *nodad)
        _ip("link", "set", "lo", "up")
        self._socket = Socket(protocol=NETLINK_NETFILTER)

    def load(self, setup: PfSetup) -> None:
        """Other rules, no connections."""
        text = compile_setup(setup).text
        done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{done.stderr}\n{text}"
        self._socket.request(Request(1 << 8 | 2, struct.pack("=BBH", 0, 0, 0), tolerate=(2,)))
        self.come_out()

    def come_out(self) -> list[tuple[str, PfPacket]]:
        """What the router has sent, and where."""
        found: list[tuple[str, PfPacket]] = []
        for name, fd in self._tuns.items():
            while True:
                try:
                    packet = parsed(os.read(fd, 4096))
                except BlockingIOError:
                    break
                if packet is not None:
                    found.append((name, packet))
        return found

    def put_in(self, interface: str, data: bytes, *, waiting: bool) -> list[tuple[str, PfPacket]]:
        """Let a packet come in; what comes out of it. Where something should, it is waited for a little."""
        os.write(self._tuns[interface], data)
        found = self.come_out()
        if waiting and not found:
            select.select(list(self._tuns.values()), [], [], 0.5)
            found = self.come_out()
        return found


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)
