"""What the words of bridges do to frames: each host end of three epairs is a member, the other ends send and hear."""

from __future__ import annotations

from pathlib import Path

import pytest
from lives import kill, server
from sandbox import Sandbox
from typist import Typist, typing

pytestmark = pytest.mark.real

FRAMES = "/root/frames.py"
A, B, C, D = (f"02:00:00:00:00:0{letter}" for letter in "abcd")
EVERYBODY = "ff:ff:ff:ff:ff:ff"
UNKNOWN = "02:00:00:00:00:99"


def three(box: Sandbox, lab: str) -> None:
    """A lab called `lab`, with what its host needs."""
    (box.folder / lab).mkdir()
    (box.folder / lab / "vjail.yml").write_text("hosts:\n  fbsd: {}\n")


def put(typist: Typist) -> None:
    """bridge0 with three members, whose other ends are epair1b, epair2b, epair3b on the same host."""
    program = (Path(__file__).parent / "frames.py").read_text()
    lines = [f"cat > {FRAMES} <<'X'\n{program}X", "ifconfig bridge0 create up"]
    for unit in (1, 2, 3):
        lines.append(f"ifconfig epair{unit} create; ifconfig epair{unit}a up; ifconfig epair{unit}b up")
        lines.append(f"ifconfig bridge0 addm epair{unit}a")
    for line in lines:
        done = typist.type(line)
        assert (done.code, done.err) == (0, ""), done


def ok(typist: Typist, line: str) -> str:
    """Type a line that must succeed; what it prints."""
    done = typist.type(line)
    assert (done.code, done.err) == (0, ""), (line, done)
    return done.out


def hears(typist: Typist, sends: str, *where: str) -> list[str]:
    """The frames heard at `where` while `sends` is sent: interface, source, destination, text, sorted."""
    return sorted(ok(typist, f"python3 {FRAMES} {','.join(where)} {sends}").splitlines())


def send(unit: int, source: str, destination: str, text: str = "x") -> str:
    """A frame to be sent from epair`unit`b."""
    return f"epair{unit}b,{source},{destination},{text}"


def addresses(typist: Typist) -> dict[str, str]:
    """The forwarding table: member and flags by address."""
    fields = (line.split() for line in ok(typist, "ifconfig bridge0 addr").splitlines())
    return {address: f"{member} {flags}" for address, _, member, _, flags in fields}


def test_private_discover_learn_and_static(box: Sandbox) -> None:
    three(box, "words")
    with typing(box, "words") as typist:
        put(typist)
        everywhere = "epair2b", "epair3b"
        assert hears(typist, send(1, A, EVERYBODY), *everywhere) == [f"{end} {A} {EVERYBODY} x" for end in everywhere]
        assert addresses(typist) == {A: "epair1a flags=0<>"}
        assert hears(typist, send(2, B, A), "epair1b", "epair3b") == [f"epair1b {B} {A} x"]

        ok(typist, "ifconfig bridge0 private epair1a private epair2a")
        assert hears(typist, send(1, A, EVERYBODY), *everywhere) == [f"epair3b {A} {EVERYBODY} x"]
        assert hears(typist, send(1, A, B), *everywhere) == [], "private members do not reach each other"
        assert hears(typist, send(3, C, EVERYBODY), "epair1b", "epair2b") == [
            f"{end} {C} {EVERYBODY} x" for end in ("epair1b", "epair2b")
        ]
        ok(typist, "ifconfig bridge0 -private epair1a -private epair2a")

        ok(typist, "ifconfig bridge0 -discover epair3a")
        assert hears(typist, send(1, A, UNKNOWN), *everywhere) == [f"epair2b {A} {UNKNOWN} x"], "unknown addresses"
        assert len(hears(typist, send(1, A, EVERYBODY), *everywhere)) == 2, "broadcasts reach it all the same"
        ok(typist, f"ifconfig bridge0 static epair3a {UNKNOWN}")
        assert addresses(typist)[UNKNOWN] == "epair3a flags=1<STATIC>"
        assert hears(typist, send(1, A, UNKNOWN), *everywhere) == [f"epair3b {A} {UNKNOWN} x"]

        ok(typist, "ifconfig bridge0 flush")
        assert addresses(typist) == {UNKNOWN: "epair3a flags=1<STATIC>"}
        ok(typist, f"ifconfig bridge0 down static epair2a {UNKNOWN}")
        assert addresses(typist) == {UNKNOWN: "epair2a flags=1<STATIC>"}, "a bridge that goes down forgets all"
        ok(typist, "ifconfig bridge0 up")
        assert addresses(typist) == {UNKNOWN: "epair2a flags=1<STATIC>"}
        ok(typist, "ifconfig bridge0 flushall; ifconfig bridge0 -learn epair1a")
        hears(typist, f"{send(1, A, EVERYBODY)} {send(2, B, EVERYBODY)}", "epair3b")
        assert addresses(typist) == {B: "epair2a flags=0<>"}


def test_a_span_port_gets_a_copy_of_every_frame(box: Sandbox) -> None:
    three(box, "span")
    with typing(box, "span") as typist:
        put(typist)
        ok(typist, "ifconfig epair4 create up; ifconfig epair4b up; ifconfig bridge0 span epair4a")
        talk = f"{send(1, A, EVERYBODY, 'one')} {send(2, B, A, 'two')} {send(3, C, UNKNOWN, 'three')}"
        copies = [f"epair4b {A} {EVERYBODY} one", f"epair4b {B} {A} two", f"epair4b {C} {UNKNOWN} three"]
        assert hears(typist, talk, "epair4b") == copies
        assert hears(typist, send(4, D, EVERYBODY), "epair1b") == [], "what comes in at a span port goes nowhere"
        ok(typist, "ifconfig bridge0 deletem epair2a")
        assert hears(typist, talk, "epair4b") == [copies[0], copies[2]]
        ok(typist, "ifconfig bridge0 down up addm epair2a")
        assert hears(typist, talk, "epair4b") == copies, "members that join later are copied too"
        ok(typist, "ifconfig bridge0 -span epair4a")
        assert hears(typist, talk, "epair4b") == []
        ok(typist, "ifconfig bridge0 span epair4a; ifconfig epair4a destroy")
        assert len(hears(typist, talk, "epair1b")) == 2


def test_sticky_addresses_stay_and_a_full_member_takes_no_others(box: Sandbox) -> None:
    three(box, "sticky")
    with typing(box, "sticky") as typist:
        put(typist)
        ok(typist, "ifconfig bridge0 sticky epair1a ifmaxaddr epair2a 2")
        hears(typist, send(1, A, EVERYBODY), "epair3b")
        assert addresses(typist) == {A: "epair1a flags=2<STICKY>"}
        hears(typist, send(3, A, EVERYBODY), "epair1b")
        assert addresses(typist) == {A: "epair1a flags=2<STICKY>"}, "seen elsewhere it stays"
        assert hears(typist, send(3, C, A), "epair1b", "epair2b") == [f"epair1b {C} {A} x"]

        for source in (B, D):
            assert len(hears(typist, send(2, source, EVERYBODY), "epair3b")) == 1
        assert hears(typist, send(2, UNKNOWN, EVERYBODY), "epair3b") == [], "a third address is refused"
        assert len(hears(typist, send(2, B, EVERYBODY), "epair3b")) == 1
        assert sorted(a for a, member in addresses(typist).items() if member.startswith("epair2a")) == [B, D]
        ok(typist, f"ifconfig bridge0 deladdr {D}")
        assert len(hears(typist, send(2, UNKNOWN, EVERYBODY), "epair3b")) == 1, "there is room again"
        assert hears(typist, send(2, D, EVERYBODY), "epair3b") == []
        # Another server watches on.
        kill(server(box))
        assert box.vjail("ls", "sticky").code == 0
        assert hears(typist, send(2, D, EVERYBODY), "epair3b") == []
        ok(typist, "ifconfig bridge0 flush")
        assert addresses(typist) == {A: "epair1a flags=2<STICKY>"}
        for source in (B, D):
            assert len(hears(typist, send(2, source, EVERYBODY), "epair3b")) == 1
        assert hears(typist, send(2, UNKNOWN, EVERYBODY), "epair3b") == []
        hears(typist, send(1, C, EVERYBODY), "epair3b")
        assert addresses(typist)[C] == "epair1a flags=2<STICKY>"
        ok(typist, f"ifconfig bridge0 deladdr {C}")
        ok(typist, "ifconfig bridge0 ifmaxaddr epair2a 0")
        assert len(hears(typist, send(2, D, EVERYBODY), "epair3b")) == 1
        ok(typist, "ifconfig bridge0 flushall")
        assert addresses(typist) == {}


def test_maxaddr_and_timeout_limit_what_is_learnt(box: Sandbox) -> None:
    three(box, "most")
    with typing(box, "most") as typist:
        put(typist)
        ok(typist, "ifconfig bridge0 maxaddr 2 timeout 1")
        for source in (A, B, C):
            assert len(hears(typist, send(1, source, EVERYBODY), "epair2b")) == 1, "frames pass all the same"
        ok(typist, "ifconfig bridge0 timeout 1200 maxaddr 2; ifconfig bridge0 flush")
        for source in (A, B, C):
            hears(typist, send(1, source, EVERYBODY), "epair2b")
        assert sorted(addresses(typist)) == [A, B]
        ok(typist, "ifconfig bridge0 timeout 1; sleep 2.5")
        assert addresses(typist) == {}


LOOP = """\
ifconfig bridge0 create up; ifconfig bridge1 create up
ifconfig epair1 create up; ifconfig epair1b up; ifconfig epair2 create up; ifconfig epair2b up
ifconfig bridge0 addm epair1a stp epair1a addm epair2a stp epair2a
ifconfig bridge1 priority 4096 addm epair1b stp epair1b addm epair2b stp epair2b
ifconfig epair3 create up; ifconfig epair3b up; ifconfig bridge0 addm epair3a
"""


def test_a_loop_with_spanning_tree_converges_and_survives_a_cut(box: Sandbox) -> None:
    three(box, "loop")
    program = (Path(__file__).parent / "frames.py").read_text()
    with typing(box, "loop") as typist:
        ok(typist, f"cat > {FRAMES} <<'X'\n{program}X")
        for line in LOOP.splitlines():
            ok(typist, f"{line} >/dev/null")
        wait = (
            "for i in $(seq 150); do ifconfig bridge0 | grep -q 'role root state forwarding' && break; sleep 0.1; done"
        )
        tree = ok(typist, f"{wait}; ifconfig bridge0")
        members = tree.split("\tmember: ")[1:]
        assert [line.split("role ")[1] for line in "".join(members).splitlines() if "role " in line] == [
            "alternate state discarding",
            "root state forwarding",
        ], tree
        forwards = "ifconfig bridge1 | grep -c 'designated state forwarding'"
        top = ok(typist, f"for i in $(seq 150); do test $({forwards}) = 2 && break; sleep 0.1; done; ifconfig bridge1")
        assert top.count("role designated state forwarding") == 2, top
        root = top.split("\tid ")[1].split()[0]
        assert f"root id {root} priority 4096 ifcost 2000 port " in tree
        # A broadcast arrives once at the other bridge, and not again where it came from.
        assert hears(typist, send(3, A, EVERYBODY), "bridge1", "epair3b") == [f"bridge1 {A} {EVERYBODY} x"]
        assert (
            ok(typist, "ifconfig bridge0 -stp epair1a -stp epair2a deletem epair1a; ifconfig bridge0").count(
                "root id 00"
            )
            == 1
        )
        assert hears(typist, send(3, A, EVERYBODY), "bridge1", "epair3b") == [f"bridge1 {A} {EVERYBODY} x"]
