"""/etc/rc.d/netif: makes, renames and configures interfaces as rc.conf says, and takes that back.

Runs the ifconfig(8) lines FreeBSD runs, in its order. Where FreeBSD sleeps for duplicate address detection although
only lo0 has IPv6 addresses, nothing is waited for. Sources: libexec/rc/rc.d/netif, network.subr of 13.2, spec
host-files §1, observed/b2_service_jail.txt, d5_rcconf_blackhole.txt.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence

from vjail.command.rc import dhclient
from vjail.command.rc import interfaces as names
from vjail.command.rc.aliases import aliases
from vjail.command.rc.subr import Keyword, Rc, Script
from vjail.conf.rcconf import variable_name
from vjail.kernel.observed import Inet, Inet6
from vjail.session import Output

IFCONFIG = "/sbin/ifconfig"

_EPAIR = re.compile(r"epair[0-9]")
_NEEDS_INET6 = re.compile(r":|[0-9a-fA-F].*:")

AfterStart = Callable[[Rc, str], Awaitable[None]]
"""What is run for each interface that was named: `bridge start IF`, `routing static any IF`."""


def netif(after_start: Sequence[AfterStart], after_stop: Sequence[AfterStart]) -> Script:
    """The script; other scripts' parts in `service netif start IF` are given."""

    async def start(rc: Rc, words: Sequence[str]) -> int:
        await _clone_up(rc, words)
        await _rename(rc, words)
        await _each(rc, words, _start_one, "Starting")
        for step in after_start:
            for word in words:
                await step(rc, word)
        return 0

    async def clear(rc: Rc, words: Sequence[str]) -> int:
        await _each(rc, words, _stop_one, "Stopping", must_exist=True)
        return 0

    async def stop(rc: Rc, words: Sequence[str]) -> int:
        await clear(rc, words)
        await _clone_down(rc, words)
        for step in after_stop:
            for word in words:
                await step(rc, word)
        return 0

    return Script(
        "netif",
        "Network interface setup",
        {
            "start": start,
            "stop": stop,
            "cloneup": _clone_up,
            "clonedown": _clone_down,
            "clear": clear,
            "vnetup": _vnet_up,
            "vnetdown": _vnet_down,
        },
        rcvar="netif_enable",
        keywords=frozenset({Keyword.NOJAILVNET}),
        heeds=("network",),
    )


# --- clones and names ------------------------------------------------------------------------------------------------


def _clones(rc: Rc) -> list[tuple[str, str]]:
    """The clones by name and option (`sticky`, `nosticky` or none)."""
    entries = [*rc.conf.words("cloned_interfaces"), *rc.conf.words("gif_interfaces")]
    return [(name, option) for name, _, option in (entry.partition(":") for entry in entries)]


async def _clone_up(rc: Rc, words: Sequence[str]) -> int:
    made: list[str] = []
    for name, _ in _clones(rc):
        halves = [f"{name}a", f"{name}b"] if _EPAIR.match(name) else [name]
        if (words and name not in words) or any(names.exists(rc, half) for half in halves):
            continue
        if await rc.call(IFCONFIG, name, "create", *_create_arguments(rc, name)) == 0:
            made += halves
    if made:
        rc.out(f"Created clone interfaces: {' '.join(made)}.\n")
    return 0


async def _clone_down(rc: Rc, words: Sequence[str]) -> int:
    sticky = rc.yes("cloned_interfaces_sticky")
    gone: list[str] = []
    for name, option in _clones(rc):
        if option == "sticky" or (sticky and option != "nosticky") or (words and name not in words):
            continue
        halves = [f"{name}a", f"{name}b"] if _EPAIR.match(name) else [name]
        found = next((half for half in halves if names.exists(rc, half)), None)
        if found is not None and await rc.call(IFCONFIG, "-n", found, "destroy") == 0:
            gone += halves
    if gone:
        rc.out(f"Destroyed clone interfaces: {' '.join(gone)}.\n")
    return 0


def _create_arguments(rc: Rc, name: str) -> list[str]:
    return rc.conf.get(f"create_args_{variable_name(name)}").split()


async def _rename(rc: Rc, words: Sequence[str]) -> None:
    for name in words or names.all_names(rc):
        new = rc.conf.of_interface(name, "ifconfig_IF_name")
        if new:
            await rc.call(IFCONFIG, name, "name", new)


# --- one after the other ---------------------------------------------------------------------------------------------

Step = Callable[[Rc, str], Awaitable[bool]]


async def _each(rc: Rc, words: Sequence[str], step: Step, doing: str, *, must_exist: bool = False) -> list[str]:
    """netif_common: do `step` for the interfaces named or all, and say for which it did something."""
    done: list[str] = []
    for name in names.expand_epairs(words or names.listed(rc)):
        if must_exist and not names.exists(rc, name):
            rc.warn(f"{name} does not exist.  Skipped.")
        elif await step(rc, name):
            done.append(name)
    if doing == "Starting" and any(name != "lo0" and names.uses_ipv6(rc, name) for name in done):
        await rc.session.sleep(int(rc.session.system.sysctl("net.inet6.ip6.dad_count")[0][1]) + 1)
    if done:
        rc.message(f"{doing} Network: {' '.join(done)}.\n")
        if rc.shows_messages() and doing != "Moving":
            for name in done:
                await rc.call(IFCONFIG, name)
    return done


async def _vnet_up(rc: Rc, words: Sequence[str]) -> int:
    await _each(rc, words, lambda rc, name: _move(rc, name, "vnet"), "Moving")
    return 0


async def _vnet_down(rc: Rc, words: Sequence[str]) -> int:
    await _each(rc, words, lambda rc, name: _move(rc, name, "-vnet"), "Reclaiming")
    return 0


async def _move(rc: Rc, name: str, word: str) -> bool:
    jail = names.vnet_of(rc, name)
    return jail is not None and await rc.call(IFCONFIG, name, word, jail) == 0


# --- starting one ----------------------------------------------------------------------------------------------------


async def _start_one(rc: Rc, name: str) -> bool:
    """ifn_start. True also where there was nothing to do but the interface could have addresses, as in FreeBSD."""
    configured = await _run_hook(rc, f"/etc/start_if.{name}")
    configured |= await _configure(rc, name)
    if names.has_families(name):
        configured |= await _inet_up(rc, name)
        configured |= await _inet6_up(rc, name)
    configured |= await _children_up(rc, name)
    return configured


async def _run_hook(rc: Rc, path: str) -> bool:
    if not rc.is_readable(path):
        return False
    await rc.run("/bin/sh", path)
    return True


async def _configure(rc: Rc, name: str) -> bool:
    """ifconfig_up: the interface's own lines, `up`, then DHCP."""
    configured = name == "lo0"
    families = names.has_families(name)
    if families:
        options = ["-ifdisabled"] if rc.yes("ipv6_activate_all_interfaces") else []
        options += ["-no_radr", "accept_rtadv"] if rc.conf.get("ipv6_cpe_wanif") == name else []
        if options:
            await rc.call(IFCONFIG, name, "inet6", *options)
    words = names.arguments(rc, name)
    if words:
        await rc.call(IFCONFIG, name, *names.evaluated(rc, words))
        configured = True
    if families:
        configured |= await _configure_inet6(rc, name)
    for family in ("link", "ether"):
        await _apply_aliases(rc, name, family, "alias")
    description = rc.conf.of_interface(name, "ifconfig_IF_descr")
    if description:
        await rc.call(IFCONFIG, name, "description", description)
    if configured:
        await rc.call(IFCONFIG, name, "up")
    if families and names.autoconfigures_ipv6(rc, name):
        await rc.call(IFCONFIG, name, "inet6", "accept_rtadv", "up")
        configured = True
    if names.uses_dhcp(rc, name):
        if not configured:
            await rc.call(IFCONFIG, name, "up")
        if names.waits_for_dhcp(rc, name):
            await dhclient.start(rc, [name])
        configured = True
    return configured


async def _configure_inet6(rc: Rc, name: str) -> bool:
    configured = False
    words = names.arguments(rc, name, "_ipv6")
    if words:
        if _NEEDS_INET6.match(words[0]):
            rc.warn(f'$ifconfig_{name}_ipv6 needs leading "inet6" keyword for an IPv6 address.')
            words = ["inet6", *words]
        await rc.call(IFCONFIG, name, "inet6", "-ifdisabled")
        await rc.call(IFCONFIG, name, *names.evaluated(rc, words))
        configured = True
    if rc.conf.of_interface(name, "ipv6_prefix_IF"):
        await rc.call(IFCONFIG, name, "inet6", "-ifdisabled")
        configured = True
    return configured


async def _inet_up(rc: Rc, name: str) -> bool:
    if name == "lo0" and not rc.conf.of_interface(name, "ifconfig_IF"):
        await rc.call(IFCONFIG, name, "inet", "127.0.0.1/8", "alias")
    return await _apply_aliases(rc, name, "inet", "alias")


async def _inet6_up(rc: Rc, name: str) -> bool:
    if not names.uses_ipv6(rc, name):
        return True
    done = await _apply_aliases(rc, name, "inet6", "alias")
    return await _apply_prefixes(rc, name, "alias") or done


async def _apply_aliases(rc: Rc, name: str, family: str, action: str) -> bool:
    done = False
    for words in aliases(rc, name, family, action):
        done |= await rc.call(IFCONFIG, name, *words) == 0
    return done


async def _apply_prefixes(rc: Rc, name: str, action: str) -> bool:
    """ipv6_prefix_IF: the EUI-64 address in each prefix, on a router the subnet's anycast address too."""
    prefixes = rc.conf.of_interface(name, "ipv6_prefix_IF").split()
    for prefix in prefixes:
        plain, _, length = prefix.partition("/")
        head = plain.rsplit("::", 1)[0].removesuffix(":")
        net = (f"{head}::", "prefixlen", length or "64")
        await rc.call(IFCONFIG, name, "inet6", *net, "eui64", action)
        if rc.yes("ipv6_gateway_enable"):
            await rc.call(IFCONFIG, name, "inet6", *net, action, "anycast")
    return bool(prefixes)


async def _children_up(rc: Rc, name: str) -> bool:
    """vlans_IF: make each, then configure it like any interface."""
    children = rc.conf.of_interface(name, "vlans_IF").split()
    if children:
        await _load_vlan(rc)
    made = False
    for child in children:
        given = _create_arguments(rc, child)
        if re.fullmatch(r"[1-9][0-9]*", child):
            child = f"{name}.{child}"
            made |= await rc.call(IFCONFIG, child, "create", *_create_arguments(rc, child)) == 0
        elif re.fullmatch(r"vlan[0-9]+", child):
            made |= await rc.call(IFCONFIG, child, "create", "vlandev", name, *given) == 0
        else:
            made |= await _named_child(rc, child, ["vlandev", name, *given])
        if names.is_automatic(rc, child):
            await _start_one(rc, child)
    return made


async def _load_vlan(rc: Rc) -> None:
    if any(module == "if_vlan" for file in rc.session.system.kernel_files() for _, module in file.modules):
        return
    if await rc.call("/sbin/kldload", "if_vlan") != 0:
        rc.warn("Unable to load kernel module if_vlan")


async def _named_child(rc: Rc, child: str, create_arguments: Sequence[str]) -> bool:
    """A vlan of any name: the next free one, renamed."""
    before = set(names.all_names(rc))
    await rc.call(IFCONFIG, "vlan", "create", *create_arguments, output=Output.NULL)
    new = [name for name in names.all_names(rc) if name not in before]
    return bool(new) and await rc.call(IFCONFIG, new[0], "name", child) == 0


# --- stopping one ----------------------------------------------------------------------------------------------------


async def _stop_one(rc: Rc, name: str) -> bool:
    """ifn_stop."""
    done = False
    if names.has_families(name):
        done |= await _inet6_down(rc, name)
        done |= await _inet_down(rc, name)
    if names.uses_dhcp(rc, name):
        await dhclient.stop(rc, [name])
        done = True
    if names.exists(rc, name):
        await rc.call(IFCONFIG, name, "down")
        done = True
    done |= await _run_hook(rc, f"/etc/stop_if.{name}")
    return await _children_down(rc, name) or done


async def _inet_down(rc: Rc, name: str) -> bool:
    done = await _apply_aliases(rc, name, "inet", "-alias")
    interface = rc.session.system.interface(name)
    for address in interface.addresses if interface else ():
        if isinstance(address, Inet):
            await rc.call(IFCONFIG, name, "inet", str(address.address), "delete")
            done = True
    return done


async def _inet6_down(rc: Rc, name: str) -> bool:
    if not names.uses_ipv6(rc, name):
        return True
    done = False
    if names.autoconfigures_ipv6(rc, name):
        done = await rc.call(IFCONFIG, name, "inet6", "-accept_rtadv") == 0
    done |= await _apply_prefixes(rc, name, "-alias")
    done |= await _apply_aliases(rc, name, "inet6", "-alias")
    interface = rc.session.system.interface(name)
    for address in interface.addresses if interface else ():
        if isinstance(address, Inet6):
            await rc.call(IFCONFIG, name, "inet6", str(address.address), "-alias")
            done = True
    return done


async def _children_down(rc: Rc, name: str) -> bool:
    done = False
    for child in rc.conf.of_interface(name, "vlans_IF").split():
        child = f"{name}.{child}" if re.fullmatch(r"[1-9][0-9]*", child) else child
        if names.exists(rc, child):
            done |= await rc.call(IFCONFIG, "-n", child, "destroy") == 0
    return done
