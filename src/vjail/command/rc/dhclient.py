"""/etc/rc.d/dhclient and defaultroute: DHCP where the root has a dhclient(8); vjail has none of its own.

Sources: libexec/rc/rc.d/{dhclient,defaultroute} of 13.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Network

from vjail.command.rc import interfaces as names
from vjail.command.rc.subr import Keyword, Rc, Script, nothing

PROGRAM = "/sbin/dhclient"


async def start(rc: Rc, words: Sequence[str]) -> int:
    """Ask for an address on the interface named first."""
    if not _may(rc, words):
        return 1
    if not rc.is_executable(PROGRAM):
        replace(rc, program="/etc/rc.d/dhclient").warn(f"run_rc_command: cannot run {PROGRAM}")
        return 1
    rc.message("Starting dhclient.\n")
    flags = rc.conf.of_interface(words[0], "dhclient_flags_IF") or rc.conf.get("dhclient_flags")
    return await rc.run(PROGRAM, *flags.split(), words[0])


async def stop(rc: Rc, words: Sequence[str]) -> int:
    """Give the address up."""
    if not _may(rc, words) or not rc.is_executable(PROGRAM):
        return 1
    return await rc.run(PROGRAM, "-r", words[0])


def _may(rc: Rc, words: Sequence[str]) -> bool:
    if not words:
        rc.session.err(f"{rc.program}: ERROR: {rc.program}: no interface specified\n")
        return False
    if not names.uses_dhcp(rc, words[0]):
        if not rc.quiet:
            rc.out(f"'{words[0]}' is not a DHCP-enabled interface\n")
        return False
    return True


async def _wait_for_default_route(rc: Rc, words: Sequence[str]) -> int:
    """Wait for a default route where an interface gets its address by DHCP."""
    if not names.with_dhcp(rc) or not rc.is_executable(PROGRAM):
        return 0
    delay = int(rc.conf.get("defaultroute_delay", "30"))
    for waited in range(delay):
        interface = _default_interface(rc)
        if interface is not None:
            rc.out(f"({interface})\n" if waited else "")
            return 0
        rc.out("." if waited else f"Waiting {delay}s for the default route interface: ")
        await rc.session.sleep(1)
    rc.out("\n")
    return 0


def _default_interface(rc: Rc) -> str | None:
    default = IPv4Network("0.0.0.0/0")
    return next((route.interface for route in rc.session.system.routes() if route.destination == default), None)


DHCLIENT = Script(
    "dhclient",
    "Dynamic Host Configuration Protocol (DHCP) client",
    {"start": start, "stop": stop},
    keywords=frozenset({Keyword.NOJAILVNET, Keyword.NOSTART}),
)
DEFAULTROUTE = Script(
    "defaultroute",
    "Setup default router",
    {"start": _wait_for_default_route, "stop": nothing},
    keywords=frozenset({Keyword.NOJAILVNET}),
)
