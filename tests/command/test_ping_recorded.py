"""Every ping recorded on FreeBSD 13.2, again in virtual time."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from ping_virtual import Network, after, refusing, run

from vjail.kernel.errno import Errno

RECORDINGS = Path(__file__).parent.parent / "data" / "freebsd-13.2"


@dataclass(frozen=True)
class Recorded:
    """A ping in a recording: its command line, and all it printed; `code` None where the recording does not show it."""

    place: str
    line: str
    out: str
    err: str
    code: int | None
    redacted: bool


BLOCK = re.compile(r"^PING6? .*?packet loss\n(?:round-trip[^\n]*\n)?", re.MULTILINE | re.DOTALL)


def recorded_pings() -> Iterator[Recorded]:
    for path in sorted(RECORDINGS.glob("*/*.txt")):
        text = path.read_text()
        for number, block in enumerate(BLOCK.finditer(text)):
            command = text[text.rfind("\n# ", 0, block.start()) + 1 : block.start()].split("\n", 1)[0]
            host = block[0].split()[1]
            alone = re.fullmatch(r"# jexec \w+ (ping .*)", command)
            among = re.search(rf"ping [^|;]*{re.escape(host)}", command)
            count = re.search(r"^(\d+) packets transmitted", block[0], re.MULTILINE)
            assert count is not None
            line = alone[1] if alone else among[0] if among else f"ping -c {count[1]} {host}"
            trailer = re.match(r"((?:2> [^\n]*\n)*)(?:\[exit (\d+)\])?", text[block.end() :])
            assert trailer is not None
            redacted = "| sed" in command
            yield Recorded(
                place=f"{path.stem}-{number}",
                line=line.split(" | ")[0],
                out=block[0],
                err=trailer[1].replace("2> ", ""),
                code=int(trailer[2]) if trailer[2] and alone and not redacted else None,
                redacted=redacted,
            )


def network_of(recorded: Recorded) -> Network:
    """The network in which a ping prints what was recorded."""
    errors = dict.fromkeys(re.findall(r"ping: sendto: (.*)", recorded.err))
    if errors:
        (text,) = errors
        return refusing(next(each for each in Errno if each.text == text))
    times = re.findall(r"icmp_seq=\d+ ttl=64 time=(\S+)", recorded.out)
    return after(*(0.25 if time == "T" else float(time) for time in times), None)


def without_times(text: str) -> str:
    """What the recordings' sed makes of it."""
    return re.sub("round-trip.*", "round-trip", re.sub("time=.*", "time=T", text))


def assert_alike(out: str, recorded: str) -> None:
    """Equal but for the last digit of average and deviation: only rounded times are known."""
    *lines, last = out.splitlines()
    *recorded_lines, recorded_last = recorded.splitlines()
    assert lines == recorded_lines
    number = re.compile(r"\d+\.\d+")
    assert number.sub("N", last) == number.sub("N", recorded_last)
    assert [float(each) for each in number.findall(last)] == pytest.approx(
        [float(each) for each in number.findall(recorded_last)], abs=0.0011
    )


@pytest.mark.parametrize("recorded", list(recorded_pings()), ids=lambda recorded: recorded.place)
def test_recorded(recorded: Recorded) -> None:
    outcome = run(recorded.line, network_of(recorded))
    assert_alike(without_times(outcome.out) if recorded.redacted else outcome.out, recorded.out)
    assert outcome.err == recorded.err
    if recorded.code is not None:
        assert outcome.code == recorded.code


def test_all_recorded_pings_are_found() -> None:
    lines = sum(path.read_text().count(" ping statistics ---") for path in RECORDINGS.glob("*/*.txt"))
    assert len(list(recorded_pings())) == lines > 30


def test_recorded_ping6_without_a_route() -> None:
    outcome = run("ping6 -c 1 2001:db8::1", source=Errno.ENETUNREACH)
    assert (outcome.code, outcome.out, outcome.err) == (1, "", "ping6: UDP connect: Network is unreachable\n")
    assert "# jexec r ping6 -c 1 2001:db8::1\n2> ping6: UDP connect: Network is unreachable\n[exit 1]\n" in (
        (RECORDINGS / "observed" / "d_routes.txt").read_text()
    )
