"""Wires that delay, lose and limit, measured with packets: as the lab comes up, changed while it runs, taken over."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest
from lives import kill
from sandbox import Sandbox
from talk import at
from typed import make

pytestmark = pytest.mark.real

LAB = "conditions"
_WIRES = """\
wires:
  plain: {}
  slow: {delay: 30ms}
  lossy: {loss: 20%}
  narrow: {rate: 2Mbit}
  all: {delay: 20ms, loss: 0.5%, rate: 1Gbit}
"""
_HOSTS = """\
hosts:
  a:
    nics: {em0: plain, em1: slow, em2: lossy, em3: narrow, em4: all}
    addresses:
      {em0: 10.0.0.1/24, em1: [10.0.1.1/24, 2001:db8::1/64], em2: 10.0.2.1/24, em3: 10.0.3.1/24, em4: 10.0.4.1/24}
  b:
    nics: {em0: plain, em1: slow, em2: lossy, em3: narrow, em4: all}
    addresses:
      {em0: 10.0.0.2/24, em1: [10.0.1.2/24, 2001:db8::2/64], em2: 10.0.2.2/24, em3: 10.0.3.2/24, em4: 10.0.4.2/24}
  c:
    nics: {em0: slow}
    jails: {inside: {nics: {em0: 10.0.1.3/24}}}
"""
_LATE, _ROUNDS = 25.0, 8
"""Milliseconds that the quickest of some answers may take longer than the wires ask; how often it may be looked for."""
_TAKE = """
import socket, time
with socket.create_server(("", 7)) as listening:
    talk, _ = listening.accept()
while talk.recv(65536):
    pass
print(time.monotonic())
"""
_GIVE = """
import socket, sys, time
for _ in range(400):
    began = time.monotonic()
    try:
        talk = socket.create_connection((sys.argv[1], 7))
        break
    except OSError:
        time.sleep(0.05)
talk.sendall(bytes(SIZE))
print(began)
"""
_SIZE, _SEGMENT = 500_000, 64 << 10
"""Bytes of one TCP connection, and at most of one frame given to a card: the last goes before its time is up."""


def _quickest(box: Sandbox, place: str, *addresses: str) -> list[float]:
    """Milliseconds until the first of some echo requests to each is answered that is not held up by anything else."""
    done = at(box, LAB, place, "; ".join(f"ping -q -c 6 -i 0.05 {address}" for address in addresses))
    found = [float(time) for time in re.findall(r" = ([0-9.]+)/", done.out)]
    assert len(found) == len(addresses), done
    return found


def _meets(box: Sandbox, place: str, expected: Mapping[str, float]) -> Mapping[str, float]:
    """How long the way to some addresses and back takes, in milliseconds; assert so long, and not much longer.

    Never may it take less. A machine that has much else to do may hold all of some requests up, and is asked again.
    """
    for _ in range(_ROUNDS):
        took = dict(zip(expected, _quickest(box, place, *expected), strict=True))
        assert all(took[address] >= least for address, least in expected.items()), took
        if all(took[address] < least + _LATE for address, least in expected.items()):
            return took
    raise AssertionError(took)


def _flow(box: Sandbox, giver: str, taker: str, address: str) -> float:
    """Bits a second of the data of one TCP connection, from its first frame to its last: never more than is carried."""
    with ThreadPoolExecutor() as pool:
        taken = pool.submit(at, box, LAB, taker, f"python3 -c '{_TAKE}'")
        given = at(box, LAB, giver, f"python3 -c '{_GIVE}' {address}".replace("SIZE", str(_SIZE)))
        assert given.code == 0, given
        return _SIZE * 8 / (float(taken.result().out) - float(given.out))


def _changed(box: Sandbox, text: str) -> list[str]:
    """Let the lab's file say that; what `vjail up` tells of cards and wires."""
    make(box, {"vjail.yml": text}, LAB)
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    return [line for line in up.err.splitlines() if re.match(r"(\w+: card|wire) ", line)]


def test_wires_delay_lose_and_limit(box: Sandbox, summary: Callable[[str], None]) -> None:
    make(box, {"vjail.yml": _WIRES + _HOSTS}, LAB)
    up = box.vjail("up", LAB)
    assert up.code == 0, up
    assert "wire" not in up.err, up
    listed = box.vjail("ls", LAB).out
    assert "wire all (20 ms, 0.5 % loss, 1 Gbit/s) ⇄ b em4" in listed, listed

    # Both ways take their time, of each pair of cards on the wire, whichever the protocol, in a jail too.
    took = _meets(box, "b", {"10.0.1.1": 60})["10.0.1.1"]
    _meets(box, "a", {"10.0.1.2": 60, "2001:db8::2": 60, "10.0.4.2": 40, "10.0.0.2": 0})
    _meets(box, "c:inside", {"10.0.1.1": 60})
    # Frames that are lost are lost on the way there and on the way back. One ping before learns the other's address:
    # that is asked for once a second, and may be lost for as long as the other ping takes.
    said = at(box, LAB, "a", "ping -o -q -c 600 -i 0.05 10.0.2.2 && ping -q -c 400 -i 0.01 10.0.2.2").out
    found = re.search(r"400 packets transmitted, (\d+) packets received", said)
    assert found, said
    # 256 are to be expected, and a number five times the standard deviation away hardly ever; 320 if one way lost none.
    assert 208 < int(found[1]) < 304, said
    # A wire carries its rate each way at once.
    with ThreadPoolExecutor() as pool:
        there, back = pool.submit(_flow, box, "a", "b", "10.0.3.2"), pool.submit(_flow, box, "b", "a", "10.0.3.1")
    for flow in (there.result(), back.result()):
        assert 0.2e6 < flow < 2e6 * _SIZE / (_SIZE - _SEGMENT)
    summary(
        f"wires as {'root' if box.uid == 0 else 'user'}: 2 x 30 ms took {took:.2f} ms; of 400 echoes at 20 % loss "
        f"{found[1]} were answered; at 2 Mbit/s TCP carried {there.result() / 1e6:.2f} and {back.result() / 1e6:.2f}"
    )
    # In the guest, which is slow, this is all of how they change.
    text = (_WIRES + _HOSTS).replace("delay: 30ms", "").replace("delay: 20ms, loss: 0.5%", "delay: 35ms, loss: 0.1%")
    assert _changed(box, text) == [
        "wire slow: delay: 30 ms -> none",
        "wire all: delay: 20 ms -> 35 ms; loss: 0.5 % -> 0.1 %",
    ]
    _meets(box, "a", {"10.0.1.2": 0, "10.0.4.2": 70})
    assert box.vjail("down", LAB).code == 0


def test_conditions_change_while_the_lab_runs(box: Sandbox) -> None:
    text = _WIRES + _HOSTS
    make(box, {"vjail.yml": text}, LAB)
    assert box.vjail("up", LAB).code == 0

    text = text.replace("delay: 30ms", "delay: 45ms").replace("plain: {}", "plain: {delay: 10ms}")
    make(box, {"vjail.yml": text}, LAB)
    told = ["wire plain: delay: none -> 10 ms", "wire slow: delay: 30 ms -> 45 ms"]
    for words in (("plan",), ("up", "--dry-run")):
        assert box.vjail(*words, LAB).out.splitlines()[:3] == [*told, "host a: up"]
    _meets(box, "a", {"10.0.1.2": 60})
    assert _changed(box, text) == told
    _meets(box, "a", {"10.0.1.2": 90, "10.0.0.2": 20})

    for words in (("cut", "cut"), ("mend", "mended")):
        assert f"slow: {words[1]}\n" in str(box.vjail(words[0], "-p", LAB, "slow"))

    kill(box.server(LAB))
    _meets(box, "a", {"10.0.1.2": 90})
    assert "wire slow (45 ms)" in box.vjail("ls", LAB).out
    assert _changed(box, text) == []
    # A host that comes later meets the same, and who was there before still does.
    text = text.replace("  c:\n", "  d: {nics: {em0: slow}, addresses: {em0: 10.0.1.4/24}}\n  c:\n")
    assert _changed(box, text) == []
    _meets(box, "a", {"10.0.1.4": 90, "10.0.1.2": 90})

    assert _changed(box, text.replace("delay: 45ms", "")) == ["wire slow: delay: 45 ms -> none"]
    _meets(box, "a", {"10.0.1.2": 0})
    assert box.vjail("down", LAB).code == 0


_REPLUGGED = """\
wires: {plain: {}, slow: {delay: 30ms}}
hosts:
  p: {nics: {em0: plain}, addresses: {em0: 10.0.0.1/24}}
  s: {nics: {em0: slow}, addresses: {em0: 10.0.0.2/24}}
  r:
    nics: {em0: plain, em1: slow}
    addresses: {em0: 10.0.0.3/24}
    jails: {inside: {nics: {em1: 10.0.0.4/24}}}
"""


def test_a_card_on_another_wire_meets_what_that_has(box: Sandbox) -> None:
    make(box, {"vjail.yml": _REPLUGGED}, LAB)
    assert box.vjail("up", LAB).code == 0
    _meets(box, "r", {"10.0.0.1": 0})

    # Onto a wire that delays, where who was on it meets what it met before; then both off it, one that a jail has too.
    assert _changed(box, _REPLUGGED.replace("em0: plain, em1", "em0: slow, em1")) == ["r: card em0: wire plain -> slow"]
    _meets(box, "r", {"10.0.0.2": 60})
    _meets(box, "r:inside", {"10.0.0.2": 60, "10.0.0.3": 60})
    cards = "em0: plain, em1: plain"
    assert _changed(box, _REPLUGGED.replace("em0: plain, em1: slow", cards)) == [
        "r: card em0: wire slow -> plain",
        "r: card em1: wire slow -> plain",
    ]
    _meets(box, "r:inside", {"10.0.0.1": 0, "10.0.0.3": 0})
    _meets(box, "r", {"10.0.0.1": 0})

    # A wire that goes, with all on it, leaves nothing with cards that change to one that is new in its place.
    other = _REPLUGGED.replace("slow: {delay: 30ms}", "other: {}").replace("slow", "other")
    assert sorted(_changed(box, other)) == [
        "r: card em1: wire plain -> other",
        "s: card em0: wire slow -> other",
        "wire other: new",
        "wire slow: removed",
    ]
    kill(box.server(LAB))
    _meets(box, "r:inside", {"10.0.0.2": 0})
    assert box.vjail("down", LAB).code == 0
