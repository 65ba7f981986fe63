"""Labs that are up side by side in one sandbox, where most of the time each waits for its pings."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from sandbox import Sandbox, sandbox

Work = Callable[[Sandbox, str], None]
"""Brings a lab up, shows something of it and takes it down, given the folder it is in."""
_EXAMPLES = Path(__file__).parent.parent.parent / "examples"


def side_by_side(program: Path, uid: int, works: Mapping[str, Work], at_once: int) -> Mapping[str, Future[None]]:
    """Do works for a user, each with the lab of its name; what became of each."""
    place = program / "work"
    shutil.copytree(_EXAMPLES, place)
    try:
        for path in (place, *place.rglob("*")):
            os.chown(path, uid, uid)
        with sandbox(program, uid) as box, ThreadPoolExecutor(at_once) as pool:
            done = {lab: pool.submit(work, box, lab) for lab, work in works.items()}
            for lab, future in done.items():
                if future.exception() is not None:
                    box.vjail("down", "--now", lab)
            return done
    finally:
        shutil.rmtree(place)
