"""A program that does what it is told, a line of Python each, and answers with the value or with the error's name.

It is started on a host or in a jail and lives as long as its standard input. `say` (sandbox side) talks to it.
"""

from __future__ import annotations

import json
import select
import subprocess
from types import TracebackType

SOURCE = r"""
import errno, json, os, socket, struct, sys
from socket import inet_aton, inet_pton
TCP, UDP, RAW = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW
socket.setdefaulttimeout(0.4)
known = {}
def make(kind=TCP, version=4, protocol=0, *, v6only=None):
    s = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, kind, protocol)
    if v6only is not None:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    return s
def bound(s, address, port=0):
    s.bind((address, port))
    return s.getsockname()[0]
def listen(address, port, version=4, v6only=None):
    s = make(TCP, version, v6only=v6only)
    s.bind((address, port))
    s.listen()
    return s
def towards(s, address, port=9):
    s.connect((address, port))
    return s.getsockname()[0], s.getpeername()[0]
def talk(address, port, version=4):
    "Connect and be told by who accepts: who that is, and which address it has accepted at and from."
    s = make(TCP, version)
    s.connect((address, port))
    return s.recv(100).decode()
def accept(s, name):
    peer, address = s.accept()
    peer.send(f"{name} {peer.getsockname()[0]} {address[0]}".encode())
    return address[0]
def ip4(source, destination, protocol=17, payload=bytes(8)):
    length = 20 + len(payload)
    head = struct.pack("!BBHHHBBH", 0x45, 0, length, 0, 0, 64, protocol, 0)
    return head + inet_aton(source) + inet_aton(destination) + payload
def ip6(source, destination):
    head = struct.pack("!IHBB", 6 << 28, 8, 17, 64)
    return head + inet_pton(socket.AF_INET6, source) + inet_pton(socket.AF_INET6, destination) + bytes(8)
def pktinfo4(source):
    return [(0, 8, struct.pack("=i4s4s", 0, inet_aton(source), bytes(4)))]
def pktinfo6(source):
    return [(41, 50, inet_pton(socket.AF_INET6, source) + struct.pack("=i", 0))]
def heard(s):
    "Whom the next packet is from, or that there is none."
    return s.recvfrom(2048)[1][0]
space = dict(globals())
for line in sys.stdin:
    code = json.loads(line)
    try:
        try:
            answer = eval(compile(code, "line", "eval"), space)
        except SyntaxError:
            answer = exec(code, space)
    except TimeoutError:
        answer = "nothing"
    except OSError as error:
        answer = errno.errorcode.get(error.errno, str(error))
    except Exception as error:
        answer = repr(error)
    print(json.dumps(answer if isinstance(answer, (str, int, list, tuple, type(None))) else "made"), flush=True)
"""


class Puppet:
    """A puppet somewhere; `command` has Python run SOURCE there."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)

    def __enter__(self) -> Puppet:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._process.communicate(timeout=30)

    def begin(self, code: str) -> None:
        """Have it do something whose answer is asked for later."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(code) + "\n")
        self._process.stdin.flush()

    def answer(self) -> object:
        """What became of it."""
        assert self._process.stdout is not None
        assert select.select([self._process.stdout], [], [], 30)[0], "the puppet says nothing"
        answer = json.loads(self._process.stdout.readline())
        return tuple(answer) if isinstance(answer, list) else answer

    def say(self, code: str) -> object:
        """Have it do something; its answer."""
        self.begin(code)
        return self.answer()
