"""What is shown of long work, on a terminal and elsewhere."""

from __future__ import annotations

from itertools import count

from vjail.progress import Progress


def test_elsewhere_each_thing_done_is_a_line() -> None:
    said: list[str] = []
    progress = Progress(said.append, terminal=False, verbose=False)
    progress.step("j0: mount")
    progress.done("j0: started", 1, 500)
    progress.line("up")
    assert said == ["j0: started\n", "up\n"]


def test_a_terminal_has_a_bar_where_there_are_many() -> None:
    said: list[str] = []
    progress = Progress(said.append, terminal=True, verbose=False, clock=count().__next__)
    progress.done("j0: started", 250, 500)
    progress.step("j1: mount")
    progress.clear()
    bar = "█" * 12 + "░" * 12
    assert said == [f"\r\x1b[K{bar} 250/500 j0: started", f"\r\x1b[K{bar} 250/500 j1: mount", "\r\x1b[K"]


def test_a_terminal_is_written_to_no_faster_than_one_reads() -> None:
    said: list[str] = []
    progress = Progress(said.append, terminal=True, verbose=False, clock=lambda: 1.0)
    for number in range(500):
        progress.done(f"j{number}: started", number + 1, 500)
    progress.line("up")
    assert len(said) == 2
    assert said[-1] == "\r\x1b[Kup\n"
