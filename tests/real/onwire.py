"""What tests run on lab hosts to look at frames on a wire and to make some; it needs nothing but Python.

`watch INTERFACE,… COMMAND…` captures while a command runs and writes one JSON object a frame: what a switch would see,
tags and all, whether the tag travels in the frame or beside it. `serve` and `call` speak TCP, `send` sends frames.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
import subprocess
import sys
import time

_SO_RCVBUFFORCE, _SOL_PACKET, _AUXDATA, _STATUS_VLAN, _STATUS_TPID, _ALL = 33, 263, 8, 0x10, 0x40, 3
_TAGS = (0x8100, 0x88A8)
_QUIET = 0.2
"""Seconds without a frame after which a command's frames have all come."""


def watch(interfaces: list[str], command: list[str]) -> int:
    """Capture what passes interfaces, both ways, while `command` runs."""
    with contextlib.ExitStack() as stack:
        taps = {stack.enter_context(_tap(interface)): interface for interface in interfaces}
        running = subprocess.Popen(command, stdout=sys.stderr)
        while (ready := select.select(list(taps), [], [], _QUIET)[0]) or running.poll() is None:
            for tap in ready:
                data, beside, _, sender = tap.recvmsg(1 << 17, 256)
                frame = read(data, _tag_beside(beside))
                print(json.dumps(frame | {"on": taps[tap], "out": sender[2] == socket.PACKET_OUTGOING}))
        return running.returncode


def _tap(interface: str) -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL))
    # Without root the buffer stays as large as the machine lets it be.
    with contextlib.suppress(OSError):
        tap.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 24)
    tap.setsockopt(_SOL_PACKET, _AUXDATA, 1)
    tap.bind((interface, _ALL))
    return tap


def _tag_beside(beside: list[tuple[int, int, bytes]]) -> tuple[int, int] | None:
    """The tag the kernel keeps beside a frame: protocol and TCI."""
    for level, kind, data in beside:
        if (level, kind) == (_SOL_PACKET, _AUXDATA):
            status, _, _, _, _, tci, tpid = struct.unpack_from("=IIIHHHH", data)
            if status & _STATUS_VLAN:
                return tpid if status & _STATUS_TPID else 0x8100, tci
    return None


def read(frame: bytes, beside: tuple[int, int] | None = None) -> dict[str, object]:
    """What a frame is: addresses, tags as [protocol, vlan, priority] from the outside in, type, length on the wire."""
    tags = [] if beside is None else [[beside[0], beside[1] & 0xFFF, beside[1] >> 13]]
    kind, offset = struct.unpack_from(">H", frame, 12)[0], 14
    while kind in _TAGS:
        tci, inner = struct.unpack_from(">HH", frame, offset)
        tags.append([kind, tci & 0xFFF, tci >> 13])
        kind, offset = inner, offset + 4
    found: dict[str, object] = {
        "to": frame[:6].hex(":"),
        "from": frame[6:12].hex(":"),
        "tags": tags,
        "type": kind,
        "length": len(frame) + (4 if beside else 0),
    }
    return found | _packet(kind, frame[offset:])


def _packet(kind: int, packet: bytes) -> dict[str, object]:
    """An IP packet's addresses, protocol, and whether its checksums are right."""
    if kind == 0x0800:
        head, length = (packet[0] & 15) * 4, struct.unpack_from(">H", packet, 2)[0]
        source, target, protocol = packet[12:16], packet[16:20], packet[9]
        right = _sum(packet[:head]) == 0
        family = socket.AF_INET
    elif kind == 0x86DD:
        head, length = 40, 40 + struct.unpack_from(">H", packet, 4)[0]
        source, target, protocol = packet[8:24], packet[24:40], packet[6]
        right, family = True, socket.AF_INET6
    else:
        return {}
    data = packet[head:length]
    if protocol in (6, 17, 58):
        right = right and _sum(source + target + struct.pack(">II", len(data), protocol) + data) == 0
    elif protocol == 1:
        right = right and _sum(data) == 0
    ends = {"source": socket.inet_ntop(family, source), "target": socket.inet_ntop(family, target)}
    return ends | {"protocol": protocol, "right": right}


def _sum(data: bytes) -> int:
    """The Internet checksum, 0 where the data holds its own."""
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def serve(port: int) -> None:
    """Take one connection over IPv4 or IPv6, and send back all that comes."""
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True) as listening:
        listening.settimeout(60)
        connection, _ = listening.accept()
        with connection:
            while data := connection.recv(1 << 16):
                connection.sendall(data)


def call(address: str, port: int, size: int) -> None:
    """Send that many bytes to `serve`, and say how many of them came back right."""
    deadline = time.monotonic() + 20
    while True:
        try:
            connection = socket.create_connection((address, port), timeout=20)
            break
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    sent, came = bytes(range(256)) * (size // 256), bytearray()
    with connection:
        for start in range(0, len(sent), 1 << 15):
            connection.sendall(sent[start : start + (1 << 15)])
            while len(came) < min(start + (1 << 15), len(sent)):
                came += connection.recv(1 << 16)
    print(f"{len(came)} bytes came back, {'right' if came == sent else 'wrong'}")


def send(interface: str, frame: bytes) -> None:
    """Send one frame as it is."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.bind((interface, 0))
        raw.send(frame)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["watch", interfaces, *command]:
            sys.exit(watch(interfaces.split(","), command))
        case ["serve", port]:
            serve(int(port))
        case ["call", address, port, size]:
            call(address, int(port), int(size))
        case ["send", interface, *frames]:
            for each in frames:
                send(interface, bytes.fromhex(each))
        case _:
            sys.exit(2)
