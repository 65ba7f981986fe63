"""How those who drive the kernel are told of what happens by itself."""

from __future__ import annotations

from collections.abc import Callable


class Watch:
    """What to call when a descriptor becomes readable, or so many seconds later; the server's event loop."""

    def __init__(
        self,
        add: Callable[[int, Callable[[], None]], None],
        remove: Callable[[int], object],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self.add = add
        self.remove = remove
        self.later = later
