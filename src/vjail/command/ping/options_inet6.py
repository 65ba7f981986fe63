"""The command line of an IPv6 ping: words to `Inet6Options`, with FreeBSD 13.2's messages and exit codes.

Source: FreeBSD sbin/ping/ping6.c as of early 2023, ping(8). Not available here: -C -e -k -N -O -P -y -Y -z and
intermediate hops.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from vjail.command.getopt import BadOption, Getopt, Option
from vjail.command.names import EAI_NONAME, Family, Resolved, numeric
from vjail.command.ping.exchange import Pace
from vjail.command.ping.options import (
    INET6_LETTERS,
    INT_MAX,
    Common,
    Output,
    floating,
    leave_with_usage,
    not_available,
    pattern_bytes,
    whole,
)
from vjail.kernel.errno import Errno
from vjail.session import Quit, Session

USUAL_SIZE = 8
LARGEST_SIZE = 131072 - 40 - 8
SMALL_SIZE = 8 * 1024
"""The largest size that the usual socket buffer is said to be enough for."""


@dataclass(frozen=True, slots=True)
class Inet6Options:
    """What an IPv6 ping was asked to do.

    `target` as typed; `size` of the data in bytes, `pattern` what to fill it with; `waittime` (-W) in ms;
    `socket_buffer` (-b) in bytes.
    """

    target: str
    pace: Pace
    output: Output
    size: int = USUAL_SIZE
    pattern: bytes | None = None
    source: Resolved | None = None
    hop_limit: int | None = None
    interface: str | None = None
    dont_fragment: bool = False
    waittime: int | None = None
    socket_buffer: int = SMALL_SIZE


def inet6_options(session: Session) -> Inet6Options:
    """Read the options of an IPv6 ping. Raises Quit."""
    reading = _Reading(session)
    walk = Getopt(session.argv[1:], INET6_LETTERS)
    for option in walk:
        if isinstance(option, BadOption):
            raise leave_with_usage(session, option.text)
        reading.take(option)
    if not walk.operands:
        raise leave_with_usage(session)
    if len(walk.operands) > 1:
        raise not_available("intermediate hops")
    return reading.finish(walk.operands[0])


@dataclass(slots=True)
class _Reading:
    """The options read so far."""

    session: Session
    common: Common = field(default_factory=Common)
    options: Inet6Options = Inet6Options("", Pace(), Output())
    interval_given: bool = False

    def take(self, option: Option) -> None:
        """Take one option. Raises Quit."""
        if self.common.take(option.letter, option.argument):
            return
        common = self.common
        match option:
            case Option("b", str(text)):
                self.options = replace(self.options, socket_buffer=_socket_buffer(text))
            case Option("c", str(text)):
                count = whole(text)
                if count is None or count <= 0:
                    raise Quit(f"illegal number of packets -- {text}")
                common.pace = replace(common.pace, count=count)
            case Option("f"):
                self._only_root("flood ping")
                common.flood()
            case Option("I", str(text)):
                self.options = replace(self.options, interface=text)
            case Option("i", str(text)):
                common.pace = replace(common.pace, interval=self._interval(text))
                self.interval_given = True
            case Option("l", str(text)):
                self._only_root("preload")
                preload = whole(text)
                if preload is None or preload < 0:
                    raise Quit(f"illegal preload value -- {text}")
                common.pace = replace(common.pace, preload=preload)
            case Option("m", str(text)):
                self.options = replace(self.options, hop_limit=_hop_limit(text))
            case Option("p", str(text)):
                self.options = replace(self.options, pattern=pattern_bytes(text, 1))
            case Option("S", str(text)):
                self.options = replace(self.options, source=_source(text))
            case Option("s", str(text)):
                self.options = replace(self.options, size=_size(text))
            case Option("u"):
                pass
            case Option(letter):
                raise not_available(f"-{letter}")

    def finish(self, target: str) -> Inet6Options:
        """All of them, for `target`. Raises Quit where they do not go together."""
        if self.common.pace.flood and self.interval_given:
            raise Quit("-f and -i incompatible options")
        return replace(
            self.options,
            target=target,
            pace=self.common.pace,
            output=self.common.output,
            dont_fragment=self.common.dont_fragment,
            waittime=self.common.waittime,
        )

    def _only_root(self, what: str) -> None:
        if self.session.uid != 0:
            raise Quit(f"Must be superuser to {what}")

    def _interval(self, text: str) -> float:
        """-i in seconds."""
        seconds = floating(text)
        if seconds is None:
            raise Quit(f"illegal timing interval {text}")
        if seconds < 1 and self.session.uid != 0:
            raise Quit(f"{Errno.EPERM.text}: only root may use interval < 1s")
        if seconds <= -1:
            raise Quit(f"illegal timing interval {text}")
        if seconds < 0.000001:
            self.session.err(f"{self.session.argv[0]}: too small interval, raised to .000001\n")
            return 0.000001
        return seconds


def _socket_buffer(text: str) -> int:
    size = whole(text)
    if size is None or not 0 <= size <= INT_MAX:
        raise Quit("invalid socket buffer size")
    return size


def _source(text: str) -> Resolved:
    source = numeric(text)
    if source is None or source.family is not Family.INET6:
        raise Quit(f"invalid source address: {EAI_NONAME}")
    return source


def _size(text: str) -> int:
    size = whole(text)
    if size is None or size == 0:
        raise Quit(f"illegal datalen value -- {text}")
    if not 0 < size <= LARGEST_SIZE:
        raise Quit(f"datalen value too large, maximum is {LARGEST_SIZE}")
    return size


def _hop_limit(text: str) -> int | None:
    hop_limit = whole(text)
    if hop_limit is None:
        raise Quit(f"illegal hoplimit {text}")
    if not -1 <= hop_limit <= 255:
        raise Quit(f"illegal hoplimit -- {text}")
    return None if hop_limit == -1 else hop_limit
