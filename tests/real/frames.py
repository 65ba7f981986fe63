"""Frames of an EtherType that nobody else uses: a program for labs that sends and hears them, with no code of ours.

    frames.py IF,IF,… [IF,SOURCE,DESTINATION,TEXT …]

Listens at the first interfaces, sends the frames one after the other, and prints what came in until it was quiet for a
moment, one line a frame: IF, source, destination, text.
"""

import select
import socket
import sys
import time

TYPE = 0x88B5
_EVERYTHING = 0x0003
_BETWEEN, _QUIET = 0.01, 0.1
"""Seconds after each frame that is sent, and without any that is heard."""


def _opened(interface: str) -> socket.socket:
    made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_EVERYTHING))
    made.bind((interface, _EVERYTHING))
    return made


def _octets(address: str) -> bytes:
    return bytes.fromhex(address.replace(":", ""))


def main(hear: str, *sends: str) -> None:
    """Listen, send, print."""
    heard = {_opened(interface): interface for interface in hear.split(",")}
    for each in sends:
        interface, source, destination, text = each.split(",")
        frame = _octets(destination) + _octets(source) + TYPE.to_bytes(2, "big") + text.encode()
        with _opened(interface) as opened:
            opened.send(frame.ljust(60, b"\0"))
        time.sleep(_BETWEEN)
    while ready := select.select(list(heard), [], [], _QUIET)[0]:
        for each in ready:
            frame, place = each.recvfrom(2048)
            if place[2] != socket.PACKET_OUTGOING and int.from_bytes(frame[12:14], "big") == TYPE:
                text = frame[14:].rstrip(b"\0").decode()
                print(heard[each], frame[6:12].hex(":"), frame[:6].hex(":"), text)


if __name__ == "__main__":
    main(*sys.argv[1:])
