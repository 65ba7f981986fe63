"""Elements of `ip4.addr` and `ip6.addr`: `[IFACE|]ADDRESS[/MASK][ WORDS]`, of which the kernel gets the address alone.

Source: check_intparams() in usr.sbin/jail/config.c.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vjail.conf.jailconf import options
from vjail.conf.jailconf.jail import JailParameter, JailValue
from vjail.conf.position import Span


class Family(enum.Enum):
    """Address families, by the words of ifconfig(8)."""

    INET = "inet"
    INET6 = "inet6"


@dataclass(frozen=True, slots=True)
class InterfaceAddress:
    """An address that jail(8) sets on an interface of the host: `IFACE|ADDRESS/MASK WORDS`.

    `mask` is a prefix length or a dotted mask, None where none is given; `words` go to ifconfig(8) as they are.
    """

    family: Family
    interface: str
    address: str
    mask: str | None
    words: tuple[str, ...]
    origins: tuple[Span, ...]


_FAMILIES = {"ip4.addr": Family.INET, "ip6.addr": Family.INET6}


def family_of(name: str) -> Family | None:
    """The address family of an address list, by its name with or without `no`."""
    option = options.match(name, _FAMILIES)
    return _FAMILIES[option] if option is not None else None


def with_addresses(parameters: Sequence[JailParameter], found: Sequence[JailValue]) -> list[JailParameter]:
    """The parameters with addresses added that a host name has."""
    result = list(parameters)
    for name, family in _FAMILIES.items():
        more = tuple(value for value in found if (":" in value.text) == (family is Family.INET6))
        if not more:
            continue
        index = next((index for index, parameter in enumerate(result) if family_of(parameter.name) is family), None)
        if index is None:
            result.append(JailParameter(name, more, more[0]))
        else:
            result[index] = replace(result[index], name=name, values=(*result[index].values, *more))
    return result


def interface_addresses(parameters: Sequence[JailParameter], interface: str | None) -> Iterator[InterfaceAddress]:
    """What is to be set on the host: elements that name an interface, or all where `interface` does."""
    for family in Family:
        for parameter in parameters:
            if family_of(parameter.name) is not family:
                continue
            for value in parameter.values:
                name, bar, rest = value.text.partition("|")
                if not bar:
                    name, rest = interface or "", value.text
                if bar or interface is not None:
                    head, _, words = rest.partition(" ")
                    address, slash, mask = head.partition("/")
                    split = tuple(word for word in words.split(" ") if word)
                    yield InterfaceAddress(family, name, address, mask if slash else None, split, value.origins)


def bare_address(text: str) -> str:
    """The address of an element: between `|` and `/` or a blank."""
    _, bar, rest = text.partition("|")
    return (rest if bar else text).partition("/")[0].partition(" ")[0]
