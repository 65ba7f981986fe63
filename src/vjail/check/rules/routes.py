"""route(8) lines."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface

from vjail.check.finding import Finding, Rule, Severity
from vjail.check.ifconfig import of_jail
from vjail.check.lines import Call
from vjail.check.subject import HostSubject, JailSubject
from vjail.jail.phases import Where
from vjail.release import Release

BLACKHOLE = Rule("VJ221", Severity.ERROR, "a blackhole or reject route before lo0 has an address")
OFF_LINK = Rule("VJ222", Severity.ERROR, "a gateway that no address of the jail is on a network with")
SECOND_DEFAULT = Rule("VJ223", Severity.WARNING, "a second default route")
NO_INET6 = Rule("VJ224", Severity.ERROR, "an IPv6 route without -inet6")

_TAKE_ONE = frozenset(
    ("-gateway", "-dst", "-netmask", "-prefixlen", "-ifp", "-ifa", "-genmask", "-fib", "-mtu", "-weight", "-hopcount")
)


@dataclass(frozen=True, slots=True)
class _Add:
    """`route add`: family, destination and gateway as written, their places, and the modifiers."""

    call: Call
    family: int
    destination: str | None
    gateway: str | None
    gateway_place: int | None
    modifiers: frozenset[str]


def _adds(jail: JailSubject) -> Iterator[_Add]:
    for line in jail.lines:
        if line.where is not Where.JAIL:
            continue
        for call in line.calls:
            if call.name == "route" and "add" in call.words:
                yield _read(call)


def _read(call: Call) -> _Add:
    family, operands, modifiers = 4, [], set()
    slots: dict[str, tuple[str | None, int]] = {}
    words = call.words
    at = 0
    while at < len(words):
        word = words[at]
        if word in ("-inet6", "-6"):
            family = 6
        elif word is not None and word in _TAKE_ONE:
            slots[word] = (words[at + 1] if at + 1 < len(words) else None, at + 1)
            at += 1
        elif word is not None and word.startswith("-"):
            modifiers.add(word)
        elif word != "add":
            operands.append((word, at))
        at += 1
    if "-dst" in slots:
        operands.insert(0, slots["-dst"])
    destination = operands[0][0] if operands else None
    gateway: tuple[str | None, int | None] = slots.get("-gateway") or (
        operands[1] if len(operands) > 1 else (None, None)
    )
    return _Add(call, family, destination, gateway[0], gateway[1], frozenset(modifiers))


def blackhole(host: HostSubject) -> Iterator[Finding]:
    """D3: in exec.start, before rc has brought lo0 up, the kernel has nothing to send such packets to."""
    for jail in host.jails:
        ready = {4: False, 6: False}
        for line in jail.lines:
            if line.where is not Where.JAIL:
                continue
            for call in line.calls:
                words = call.words
                if call.name == "sh" and "/etc/rc" in words:
                    ready = {4: True, 6: True}
                elif call.name == "ifconfig" and words[:1] == ("lo0",):
                    ready[6] = ready[6] or "up" in words or any(_is(word, 4) for word in words)
                    ready[4] = ready[4] or any(_is(word, 4) for word in words)
                elif call.name == "route" and "add" in words:
                    add = _read(call)
                    kind = next((each for each in ("-blackhole", "-reject") if each in add.modifiers), None)
                    if kind is None or ready[add.family] or not jail.is_vnet:
                        continue
                    address = "::1" if add.family == 6 else "127.0.0.1"
                    setting = "ifconfig lo0 up" if add.family == 6 else "ifconfig lo0 inet 127.0.0.1/8"
                    answer = "Operation not supported" if host.release >= Release.V13 else "Network is unreachable"
                    yield Finding(
                        BLACKHOLE,
                        call.span,
                        f"a {kind} route while lo0 has no address: in a fresh vnet lo0 is down and has none",
                        f"the kernel answers `{answer}`, route(8) exits 1, and the start of the jail is taken back; "
                        f"once lo0 has {address} the same line works",
                        f'before it: exec.start += "{setting}"; or set the route behind /etc/rc, which brings lo0 up',
                        jails=(jail.name,),
                    )


def _is(word: str | None, version: int) -> bool:
    try:
        return word is not None and ip_interface(word).version == version
    except ValueError:
        return False


def off_link(host: HostSubject) -> Iterator[Finding]:
    """A gateway must lie in a network that an address of the jail, or a route onto an interface, leads to."""
    for jail in host.jails:
        networks = []
        certain = jail.is_vnet
        for line in of_jail(jail):
            if line.jail is None:
                continue
            if line.interface is None or any(word is None for word in line.call.words):
                certain = False
            given = line.given
            if given is None:
                continue
            length = given.length
            if given.netmask is not None and given.netmask.arguments:
                length = given.netmask.arguments[0]
            elif given.prefixlen is not None and given.prefixlen.arguments:
                length = given.prefixlen.arguments[0]
            elif length is None and line.family == "inet6":
                length = "64"
            try:
                hexadecimal = length is not None and length.startswith("0x")
                mask = str(ip_address(int(length or "0", 16))) if hexadecimal else length
                networks.append(ip_interface(f"{given.address}/{mask}").network)
            except ValueError:
                certain = False
        uses_rc = any(call.name == "sh" and "/etc/rc" in call.words for call in jail.calls("sh"))
        uses_other = any(
            call.name in ("dhclient", "service", "jng", "jib") for line in jail.lines for call in line.calls
        )
        if not certain or uses_rc or uses_other or not networks:
            continue
        for add in _adds(jail):
            if add.gateway is None or add.gateway_place is None or "%" in add.gateway:
                continue
            if add.modifiers & {"-interface", "-iface"}:
                # By a route onto an interface gateways are reached, too.
                with contextlib.suppress(ValueError):
                    networks.append(ip_interface(add.destination or "").network)
                continue
            if add.modifiers & {"-blackhole", "-reject"}:
                continue
            try:
                gateway = ip_address(add.gateway)
            except ValueError:
                continue
            mine = [network for network in networks if network.version == gateway.version]
            if gateway.is_link_local or any(gateway in network for network in mine):
                continue
            there = ", ".join(map(str, mine)) or "none of its family"
            yield Finding(
                OFF_LINK,
                add.call.span_of(add.gateway_place),
                f"no address of the jail is in a network with {gateway}; its networks: {there}",
                "route(8) answers `Network is unreachable`, exits 1, and the start of the jail is taken back",
                "a gateway of one of these networks, or an address in the gateway's",
                jails=(jail.name,),
            )


def second_default(host: HostSubject) -> Iterator[Finding]:
    """Two default routes of one family."""
    for jail in host.jails:
        first: dict[int, _Add] = {}
        for add in _adds(jail):
            if add.destination not in ("default", "0.0.0.0/0", "::/0") or not add.call.certain:
                continue
            known = first.setdefault(add.family, add)
            if known is add or known.gateway == add.gateway:
                continue
            yield Finding(
                SECOND_DEFAULT,
                add.call.span,
                f"a second default route (IPv{add.family}), beside the one by {known.gateway}",
                "FreeBSD 13 takes both and spreads connections over them; a plain `route delete default` then says "
                "`not in table`. Before 13 the second is refused, and the start fails"
                if host.release >= Release.V13
                else "`route already in table`: the start fails",
                "one default route; the other network by a route of its own",
                related=((known.call.span, "the first"),),
                jails=(jail.name,),
            )


def without_inet6(host: HostSubject) -> Iterator[Finding]:
    """route(8) takes an address for IPv4 unless told otherwise."""
    for jail in host.jails:
        for add in _adds(jail):
            texts = [text.partition("/")[0].partition("%")[0] for text in (add.destination, add.gateway) if text]
            if add.family == 4 and any(_is(text, 6) for text in texts):
                yield Finding(
                    NO_INET6,
                    add.call.span,
                    "an IPv6 address, and no -inet6 (or -6)",
                    "route(8) looks it up as IPv4: `bad address`, exit 68, and the start of the jail is taken back",
                    "route -6 add …",
                    jails=(jail.name,),
                )


RULES = (blackhole, off_link, second_default, without_inet6)
