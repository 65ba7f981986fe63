"""The command line of an IPv4 ping: words to `InetOptions`, with FreeBSD 13.2's messages and exit codes.

Source: FreeBSD sbin/ping/ping.c as of early 2023, ping(8). Not available here: -C -L -M -P -r -z, and -R.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address

from vjail.command.getopt import BadOption, Getopt, Option
from vjail.command.names import inet_aton
from vjail.command.ping.exchange import Pace
from vjail.command.ping.options import (
    EX_NOPERM,
    EX_UNAVAILABLE,
    EX_USAGE,
    INET_LETTERS,
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

USUAL_SIZE = 56
LARGEST_SIZE = 65535 - 20 - 8
LONG_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Sweep:
    """Sizes of data to go through, in bytes: from `smallest` to `largest` in steps of `step`."""

    largest: int = 0
    smallest: int = 0
    step: int = 1


@dataclass(frozen=True, slots=True)
class InetOptions:
    """What an IPv4 ping was asked to do.

    `target` and `source` as typed; `size` of the data in bytes, `pattern` what to fill it with; `waittime` (-W) in ms.
    """

    target: str
    pace: Pace
    output: Output
    size: int = USUAL_SIZE
    pattern: bytes | None = None
    sweep: Sweep | None = None
    source: str | None = None
    ttl: int | None = None
    multicast_ttl: int | None = None
    multicast_interface: IPv4Address | None = None
    dont_fragment: bool = False
    waittime: int | None = None


def inet_options(session: Session) -> InetOptions:
    """Read the options of an IPv4 ping. Raises Quit."""
    reading = _Reading(session)
    walk = Getopt(session.argv[1:], INET_LETTERS)
    for option in walk:
        if isinstance(option, BadOption):
            raise leave_with_usage(session, option.text)
        reading.take(option)
    if len(walk.operands) != 1:
        raise leave_with_usage(session)
    return reading.finish(walk.operands[0])


@dataclass(slots=True)
class _Reading:
    """The options read so far."""

    session: Session
    common: Common = field(default_factory=Common)
    options: InetOptions = InetOptions("", Pace(), Output())
    pattern: str | None = None
    interval_given: bool = False

    def take(self, option: Option) -> None:
        """Take one option. Raises Quit."""
        if self.common.take(option.letter, option.argument):
            return
        common = self.common
        match option:
            case Option("c", str(text)):
                count = _checked(text, 1, LONG_MAX, "invalid count of packets to transmit")
                common.pace = replace(common.pace, count=count)
            case Option("f"):
                self._only_root("-f flag")
                common.flood()
            case Option("G" | "g" | "h" as letter, str(text)):
                self._sweep(letter, text)
            case Option("I", str(text)):
                self.options = replace(self.options, multicast_interface=_interface(text))
            case Option("i", str(text)):
                common.pace = replace(common.pace, interval=self._interval(text))
                self.interval_given = True
            case Option("l", str(text)):
                preload = _checked(text, 0, INT_MAX, "invalid preload value")
                self._only_root("-l flag")
                common.pace = replace(common.pace, preload=preload)
            case Option("m", str(text)):
                self.options = replace(self.options, ttl=_checked(text, 0, 255, "invalid TTL"))
            case Option("p", str(text)):
                self.pattern = text
            case Option("Q"):
                common.output = replace(common.output, quiet_errors=True)
            case Option("S", str(text)):
                self.options = replace(self.options, source=text)
            case Option("s", str(text)):
                self.options = replace(self.options, size=self._size(text, 0))
            case Option("T", str(text)):
                self.options = replace(self.options, multicast_ttl=_checked(text, 0, 255, "invalid multicast TTL"))
            case Option("R"):
                raise Quit("record route not available in this implementation", EX_UNAVAILABLE)
            case Option(letter):
                raise not_available(f"-{letter}")

    def finish(self, target: str) -> InetOptions:
        """All of them, for `target`. Raises Quit where they do not go together."""
        if self.options.size > LARGEST_SIZE:
            raise Quit(f"packet size too large: {self.options.size} > {LARGEST_SIZE}", EX_USAGE)
        pattern = None if self.pattern is None else pattern_bytes(self.pattern, EX_USAGE)
        if self.common.pace.flood and self.interval_given:
            raise Quit("-f and -i: incompatible options", EX_USAGE)
        if self.options.sweep is not None:
            self._check_sweep(self.options.sweep)
        return replace(
            self.options,
            target=target,
            pace=self.common.pace,
            output=self.common.output,
            pattern=pattern,
            dont_fragment=self.common.dont_fragment,
            waittime=self.common.waittime,
        )

    def _check_sweep(self, sweep: Sweep) -> None:
        if not sweep.largest:
            raise Quit("Maximum sweep size must be specified", EX_USAGE)
        if sweep.smallest > sweep.largest:
            raise Quit("Maximum packet size must be no less than the minimum packet size", EX_USAGE)
        if sweep.largest > LARGEST_SIZE - 8:
            raise Quit("Invalid sweep maximum", EX_USAGE)
        if self.options.size != USUAL_SIZE:
            raise Quit("Packet size and ping sweep are mutually exclusive", EX_USAGE)

    def _sweep(self, letter: str, text: str) -> None:
        size = self._size(text, 1)
        sweep = self.options.sweep or Sweep()
        match letter:
            case "G":
                sweep = replace(sweep, largest=size)
            case "g":
                sweep = replace(sweep, smallest=size)
            case _:
                sweep = replace(sweep, step=size)
        self.options = replace(self.options, sweep=sweep)

    def _size(self, text: str, lowest: int) -> int:
        """A size of data: root may choose any, others up to the usual one."""
        size = _checked(text, lowest, INT_MAX, "invalid packet size")
        if size > USUAL_SIZE:
            self._only_root(f"packet size too large: {size} > {USUAL_SIZE}")
        return size

    def _interval(self, text: str) -> float:
        """-i in seconds, of whole milliseconds."""
        seconds = floating(text)
        if seconds is None or seconds * 1000.0 > INT_MAX:
            raise Quit(f"invalid timing interval: `{text}'", EX_USAGE)
        milliseconds = int(seconds * 1000.0)
        if milliseconds < 1000:
            self._only_root("-i interval too short")
        return max(0, milliseconds) / 1000

    def _only_root(self, what: str) -> None:
        if self.session.uid != 0:
            raise Quit(f"{what}: {Errno.EPERM.text}", EX_NOPERM)


def _interface(text: str) -> IPv4Address:
    address = inet_aton(text)
    if address is None:
        raise Quit(f"invalid multicast interface: `{text}'", EX_USAGE)
    return address


def _checked(text: str, lowest: int, highest: int, complaint: str) -> int:
    number = whole(text)
    if number is None or not lowest <= number <= highest:
        raise Quit(f"{complaint}: `{text}'", EX_USAGE)
    return number
