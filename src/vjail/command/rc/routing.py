"""/etc/rc.d/routing: static and default routes, and the options of a router.

Sources: libexec/rc/rc.d/routing of 13.2, spec host-files §1, observed/b2_service_jail.txt, d5_rcconf_blackhole.txt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vjail.command.rc import interfaces as names
from vjail.command.rc.subr import Keyword, Rc, Script
from vjail.session import Output

ROUTE = "/sbin/route"
_SYSCTL = "/sbin/sysctl"
_ANY = ("", "all", "any")

_INET_LOOPBACK = ("_loopback", "-inet 127.0.0.1 -iface lo0")
_INET6_ROUTES = (
    ("_loopback", "::1 -prefixlen 128 -iface lo0"),
    ("_lla", "fe80:: -prefixlen 10 ::1 -reject"),
    ("_llma", "ff02:: -prefixlen 16 ::1 -reject"),
    ("_v4mapped", "::ffff:0.0.0.0 -prefixlen 96 ::1 -reject"),
    ("_v4compat", "::0.0.0.0 -prefixlen 96 ::1 -reject"),
)


@dataclass(frozen=True, slots=True)
class _Option:
    """A variable that sets a sysctl to 1 or 0, and what is said where it is 1."""

    variable: str
    said: str
    sysctl: str


_INET_OPTIONS = (
    _Option("icmp_bmcastecho", "broadcast ping responses", "net.inet.icmp.bmcastecho"),
    _Option("icmp_drop_redirect", "ignore ICMP redirect", "net.inet.icmp.drop_redirect"),
    _Option("icmp_log_redirect", "log ICMP redirect", "net.inet.icmp.log_redirect"),
    _Option("gateway_enable", "gateway", "net.inet.ip.forwarding"),
    _Option("forward_sourceroute", "do source routing", "net.inet.ip.sourceroute"),
    _Option("accept_sourceroute", "accept source routing", "net.inet.ip.accept_sourceroute"),
    _Option("arpproxy_all", "ARP proxyall", "net.link.ether.inet.proxyall"),
)
_INET6_OPTIONS = (_Option("ipv6_gateway_enable", "gateway", "net.inet6.ip6.forwarding"),)


async def start(rc: Rc, words: Sequence[str]) -> int:
    """Routes of both families, or of the family named, then the options."""
    for family in _families(rc, words):
        await _static(rc, family, "add", _interface(words))
        await _options(rc, family)
    return 0


async def static(rc: Rc, words: Sequence[str]) -> int:
    """`static [FAMILY [IF]]`: the routes alone; with an interface only those marked `NAME:IF`."""
    for family in _families(rc, words):
        await _static(rc, family, "add", _interface(words))
    return 0


async def options(rc: Rc, words: Sequence[str]) -> int:
    """The options alone."""
    for family in _families(rc, words):
        await _options(rc, family)
    return 0


async def stop(rc: Rc, words: Sequence[str]) -> int:
    """Delete the routes, and where no interface is named flush the table."""
    interface = _interface(words)
    for family in _families(rc, words):
        await _static(rc, family, "delete", interface)
        if interface is None:
            await rc.call(ROUTE, "-n", "flush", f"-{family}")
            if family == "inet6":
                for name in names.listed(rc):
                    if names.uses_ipv6(rc, name):
                        await rc.call("/sbin/ifconfig", name, "inet6", "-defaultif")
    return 0


def _families(rc: Rc, words: Sequence[str]) -> Sequence[str]:
    family = words[0] if words else ""
    if family.lower() in _ANY:
        return ("inet", "inet6")
    if family in ("inet", "inet6"):
        return (family,)
    rc.session.err(f"{rc.program}: ERROR: Unsupported address family: {family}.\n")
    return ()


def _interface(words: Sequence[str]) -> str | None:
    return words[1] if len(words) > 1 and words[1].lower() not in _ANY else None


async def _static(rc: Rc, family: str, action: str, interface: str | None) -> None:
    for name, arguments in _routes(rc, family):
        if interface is not None and not name.endswith(f":{interface}"):
            continue
        plain = name.rpartition(":")[0] or name
        if arguments:
            prefix = ["-inet6"] if family == "inet6" else []
            await rc.call(ROUTE, action, *prefix, *arguments.split())
        else:
            rc.warn(f"route_{plain} not found." if family == "inet" else f"route_{plain} not found")
    if family == "inet6" and interface is None and action == "add":
        await _default_interface(rc)


def _routes(rc: Rc, family: str) -> list[tuple[str, str]]:
    """Each route's name and words, in the order in which they are made."""
    prefix = "" if family == "inet" else "ipv6_"
    routes = [_INET_LOOPBACK] if family == "inet" else list(_INET6_ROUTES)
    for name in rc.conf.words(f"{prefix}static_routes"):
        plain = name.rpartition(":")[0] or name
        routes.append((name, rc.conf.of_interface(plain, f"{prefix}route_IF")))
    default = rc.conf.get(f"{prefix}defaultrouter")
    if default.lower() not in ("", "no"):
        routes.append(("_default", f"default {default}"))
    return routes


async def _default_interface(rc: Rc) -> None:
    """ipv6_default_interface, which only a host that is no router heeds."""
    interface = rc.conf.get("ipv6_default_interface")
    if interface.lower() in ("", "no", "none", "auto") or rc.yes("ipv6_gateway_enable"):
        return
    await rc.call("/sbin/ifconfig", interface, "inet6", "defaultif")
    await rc.call(_SYSCTL, "net.inet6.ip6.use_defaultzone=1", output=Output.NULL)


async def _options(rc: Rc, family: str) -> None:
    said: list[str] = []
    for option in _INET_OPTIONS if family == "inet" else _INET6_OPTIONS:
        automatic = option.variable == "icmp_drop_redirect" and rc.conf.get(option.variable).lower() in ("", "auto")
        on = not automatic and rc.yes(option.variable)
        if on:
            said.append(f" {option.said}=YES")
        await rc.call(_SYSCTL, f"{option.sysctl}={int(on)}", output=Output.NULL)
    if said:
        rc.out(f"Additional {family} routing options:{''.join(said)}.\n")


ROUTING = Script(
    "routing",
    "Routing setup",
    {"start": start, "stop": stop, "options": options, "static": static},
    keywords=frozenset({Keyword.NOJAILVNET}),
)
