"""Dependencies: who may start and stop when, whatever they look like."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jail_fakes import FakeHost, FakeSession, command, run

from vjail.command.jail import jail
from vjail.jail.events import Event, State
from vjail.jail.order import is_wildcard, matches


@pytest.mark.parametrize(
    ("name", "pattern", "expected"),
    [
        ("a", "*", True),
        ("a.b.c", "*", True),
        ("foo.a", "foo.*", True),
        ("foo.a.b", "foo.*", True),
        ("foo", "foo.*", False),
        ("x.b", "*.b", True),
        ("x.y.b", "*.b", False),
        ("b", "*.b", False),
        ("a.b", "*.*", True),
        ("a", "*.*", False),
        ("foobar", "foo*", False),
    ],
)
def test_wildcards(name: str, pattern: str, expected: bool) -> None:
    assert matches(name, pattern) is expected


def test_what_is_a_wildcard() -> None:
    assert [name for name in ("*", "a.*", "*.b", "web*", "a*b", "a") if is_wildcard(name)] == ["*", "a.*", "*.b"]


def host_with(text: str) -> FakeHost:
    host = FakeHost()
    host.files.add("/etc/jail.conf", text)
    return host


def test_a_named_dependency_starts_first_and_its_dependents_stop_first() -> None:
    host = host_with("path=/; persist; a { depend = b, c; } b { depend = c; } c { } d { }")
    assert command(host, "jail -c a").stdout == "c: created\nb: created\na: created\n"
    assert command(host, "jail -r c").stdout == "a: removed\nb: removed\nc: removed\n"


def test_a_failed_dependency_fails_its_dependents() -> None:
    host = host_with("path=/; persist; a { depend = b; } b { exec.start = false; } c { depend = a; }")
    result = command(host, "jail -c")
    assert result.stderr == "jail: b: false: failed\njail: a: skipped\njail: c: skipped\n"
    assert (result.stdout, result.code) == ("b: created\nb: removed\n", 1)
    assert command(host, "jail -q -c").stderr == "jail: b: false: failed\n"


def test_jails_below_another_wait_only_for_its_creation() -> None:
    host = host_with(
        "path=/; persist; a { children.max=1; exec.poststart='sleep 9'; } a.b { exec.prestart='echo b goes on'; }"
    )
    assert command(host, "jail -v -c").stdout.splitlines()[1:4] == [
        "a: created",
        "a: run command: sleep 9",
        "a.b: run command: echo b goes on",
    ]
    assert command(host, "jail -r a").stdout == "a.b: removed\na: removed\n"


def test_a_jail_on_the_command_line_may_depend_on_running_ones() -> None:
    host = host_with("")
    result = command(host, "jail -c name=x path=/ persist depend=y")
    assert (result.stderr, result.code) == ('jail: depends on nonexistent jail "y"\n', 1)
    command(host, "jail -c name=y path=/ persist")
    assert command(host, "jail -c name=x path=/ persist depend=y").code == 0


def test_of_two_blocks_with_one_name_a_binary_search_finds_one() -> None:
    host = host_with("path=/; a { } b { persist; } b { } c { } d { }")
    assert command(host, "jail -c b").stderr == "jail: b: new jail must persist or attach\n"
    host.files.add("/etc/jail.conf", "path=/; a { } b { } b { persist; } c { } d { }")
    assert command(host, "jail -c b").stdout == "b: created\n"


def test_wildcards_pick_blocks_and_what_they_depend_on() -> None:
    host = host_with(
        "path=/; persist; f { children.max=9; } f.a { children.max=1; } f.a.b { } g { children.max=1; } g.b { }"
    )
    assert command(host, "jail -c '*.b'").stdout == "g: created\ng.b: created\n"
    assert command(host, "jail -c 'f.*'").stdout == "f: created\nf.a: created\nf.a.b: created\n"
    assert command(host, "jail -r '*.b'").stdout == "g.b: removed\n"
    assert command(host, "jail -r '*.*'").stdout == "f.a.b: removed\nf.a: removed\n"
    result = command(host, "jail -c 'x.*'")
    assert (result.merged, result.code) == ("", 0)


def test_a_change_does_not_change_what_a_jail_depends_on() -> None:
    host = host_with("path=/; persist; a { depend = b; } b { } c { }")
    command(host, "jail -c a")
    assert command(host, "jail -m a").stdout == "a: updated\n"
    assert command(host, "jail -m").stdout == "b: updated\na: updated\n"
    assert command(host, "jail -m c").stderr == 'jail: "c" not found\n'
    assert command(host, "jail -cm").stdout == "b: updated\nc: created\na: updated\n"


def test_a_jail_whose_dependency_cannot_be_is_skipped() -> None:
    host = host_with("path=/; persist; a { } b { depend = nosuch; } c { depend = b; } d { depend = a; }")
    undefined = 'jail: b: depends on undefined jail "nosuch"\n'
    result = command(host, "jail -c c")
    # FreeBSD's exit status too: nothing was tried that could fail.
    assert (result.merged, result.code) == (f"{undefined}jail: c: skipped\n", 0)
    result = command(host, "jail -c")
    assert (result.stderr, result.code) == (f"{undefined}jail: c: skipped\n", 1)
    assert result.stdout == "a: created\nd: created\n"


NAMES = "abcdefgh"


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """Who depends on whom, without loops: everybody on some of those before."""
    order = draw(st.permutations(NAMES[: draw(st.integers(1, len(NAMES)))]))
    return {
        name: draw(st.lists(st.sampled_from(order[:at]), unique=True)) if at else [] for at, name in enumerate(order)
    }


def configuration(graph: dict[str, list[str]]) -> str:
    blocks = []
    for name, above in sorted(graph.items()):
        depend = f"depend = {', '.join(above)};" if above else ""
        blocks.append(f"{name} {{ {depend} }}")
    return 'path=/; persist; exec.prestart="echo begin $name"; exec.poststop="echo gone $name";' + " ".join(blocks)


def events(output: str, word: str) -> list[str]:
    return [line.removeprefix(f"{word} ") for line in output.splitlines() if line.startswith(f"{word} ")]


def above_all(graph: dict[str, list[str]], name: str) -> set[str]:
    found: set[str] = set()
    pending = [name]
    while pending:
        for above in graph[pending.pop()]:
            if above not in found:
                found.add(above)
                pending.append(above)
    return found


class Forgotten:
    """Collects who is forgotten."""

    def __init__(self) -> None:
        self.jails: list[str | None] = []

    def tell(self, event: Event) -> None:
        if event.state is State.FORGOTTEN:
            self.jails.append(event.jail)


def run_jail(host: FakeHost, *words: str) -> tuple[FakeSession, int, list[str | None]]:
    session, forgotten = FakeSession(host, ["jail", *words]), Forgotten()
    return session, run(jail(session, forgotten)), forgotten.jails


@settings(max_examples=100, deadline=None)
@given(graphs(), st.data(), st.sampled_from([(), ("-p1",), ("-p3",)]))
def test_every_order_is_valid(graph: dict[str, list[str]], data: st.DataObject, limit: tuple[str, ...]) -> None:
    target = data.draw(st.sampled_from([*graph, "*"]))
    stopped = data.draw(st.sampled_from([*graph, "*"]))
    host = host_with(configuration(graph))
    session, code, forgotten = run_jail(host, *limit, "-c", target)
    assert (code, session.screen.stderr) == (0, "")
    begun = events(session.screen.stdout, "begin")
    wanted = set(graph) if target == "*" else {target, *above_all(graph, target)}
    if target == "*":
        assert not forgotten
    if not forgotten:
        assert sorted(begun) == sorted(wanted)
    assert set(begun) <= wanted
    lines = session.screen.stdout.splitlines()
    for name in begun:
        for above in graph[name]:
            assert lines.index(f"{above}: created") < lines.index(f"begin {name}")

    running = set(begun)
    session, code, forgotten = run_jail(host, *limit, "-r", stopped)
    gone = events(session.screen.stdout, "gone")
    affected = running if stopped == "*" else {name for name in running if stopped in {name, *above_all(graph, name)}}
    if stopped == "*":
        assert not forgotten
    if not forgotten:
        assert sorted(gone) == sorted(affected)
        assert code == (0 if stopped == "*" or stopped in running else 1)
    assert set(gone) <= affected
    for name in gone:
        for above in graph[name]:
            if above in gone:
                assert gone.index(name) < gone.index(above)
    assert {jail.name for jail in host.system().jails()} == running - set(gone)


def test_a_jail_that_waits_for_one_already_done_is_forgotten() -> None:
    host = host_with("path=/; persist; a { depend = e, b; } b { depend = c; } c { depend = e, f; } e { } f { }")
    session, code, forgotten = run_jail(host, "-c", "a")
    assert (session.screen.stdout, session.screen.stderr, code) == ("e: created\nf: created\n", "", 0)
    assert forgotten == ["a", "b", "c"]


def test_a_jail_with_dependencies_does_not_come_back_from_a_restart() -> None:
    host = host_with("path=/; persist; a { } b { depend = a; }")
    assert run_jail(host, "-c")[0].screen.stdout == "a: created\nb: created\n"
    session, code, forgotten = run_jail(host, "-rc", "b")
    assert (session.screen.merged, code, forgotten) == ("", 0, ["b"])
    assert [jail.name for jail in host.system().jails()] == ["a"]


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(NAMES), max_size=3, unique=True), min_size=2))
def test_loops_are_found_and_harm_nobody_else(graph: dict[str, list[str]]) -> None:
    graph = {name: [above for above in graph.get(name, []) if above in graph and above != name] for name in graph}
    host = host_with(configuration(graph))
    result = command(host, "jail -c")
    in_loops = {name for name in graph if name in above_all(graph, name)}
    blocked = {name for name in graph if in_loops & {name, *above_all(graph, name)}}
    assert ("dependency loop" in result.stderr) is bool(in_loops)
    # Those in a loop are never served, so they do not make the exit status 1: that is FreeBSD's.
    assert {jail.name for jail in host.system().jails()} == set(graph) - blocked
