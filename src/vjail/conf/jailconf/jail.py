"""A jail as jail(8) sees it once its file is loaded: sections merged, variables resolved."""

from __future__ import annotations

from dataclasses import dataclass, field

from vjail.conf.jailconf import options
from vjail.conf.jailconf.messages import Message
from vjail.conf.position import Located, Span


@dataclass(frozen=True, slots=True)
class JailValue:
    """One string of a parameter: what stands at `place`, with the `inserted` values for the variables in it."""

    text: str
    place: Located = field(compare=False, repr=False)
    inserted: tuple[JailValue, ...] = field(default=(), compare=False, repr=False)

    @property
    def span(self) -> Span:
        """Where the value stands whose text this is."""
        return self.place.span

    @property
    def origins(self) -> tuple[Span, ...]:
        """Where it stands, then where the variables in it, and those in their values, got their texts."""
        spans: dict[int, Span] = {}
        rest = [self]
        while rest:
            value = rest.pop()
            if id(value) not in spans:
                spans[id(value)] = value.place.span
                rest.extend(reversed(value.inserted))
        return tuple(spans.values())


@dataclass(frozen=True, slots=True)
class JailParameter:
    """A parameter under the name last given to it; without values where only its name was given.

    `place` is that name, or the block's name where the parameter follows from it.
    """

    name: str
    values: tuple[JailValue, ...]
    place: Located = field(compare=False, repr=False)

    @property
    def span(self) -> Span:
        """Where it was last named."""
        return self.place.span

    @property
    def texts(self) -> tuple[str, ...]:
        """The values."""
        return tuple(value.text for value in self.values)


@dataclass(frozen=True, slots=True)
class Jail:
    """A jail's parameters, in jail(8)'s order (that of `jail -e`).

    `block` is the name of its block, which `depend`, command lines and messages use; None for a jail given on a
    command line. A `failed` jail is not started; `messages` say why. `source` is where the block stands.
    """

    block: str | None
    failed: bool
    parameters: tuple[JailParameter, ...]
    source: Span = field(compare=False, repr=False)
    messages: tuple[Message, ...] = field(default=(), compare=False, repr=False)
    _places: dict[str, int] = field(init=False, compare=False, repr=False)
    """Where among `parameters` each name is first: every run of jail(8) asks for some of every jail's."""

    def __post_init__(self) -> None:
        names = [parameter.name for parameter in self.parameters]
        object.__setattr__(self, "_places", {name: names.index(name) for name in names})

    def parameter(self, name: str) -> JailParameter | None:
        """The parameter of that name, with or without `no`."""
        places = [self._places[each] for each in options.spellings(name) if each in self._places]
        return self.parameters[min(places)] if places else None

    def texts(self, name: str) -> tuple[str, ...]:
        """The values of a parameter; none where it is not set."""
        parameter = self.parameter(name)
        return parameter.texts if parameter is not None else ()

    def text(self, name: str) -> str | None:
        """The value of a parameter that takes one: the last; None where it is not set or has none."""
        texts = self.texts(name)
        return texts[-1] if texts else None


def prefixed(block: str | None, text: str) -> str:
    """A message about a jail: after its block name, if it has one."""
    return text if block is None else f"{block}: {text}"
