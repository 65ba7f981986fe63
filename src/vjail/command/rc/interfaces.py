"""network.subr's questions about interfaces: which there are, what rc.conf says of one.

Reads only. Sources: libexec/rc/network.subr of 13.2, rc.conf(5), spec host-files §1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vjail.command.rc.subr import Rc
from vjail.conf.rcconf import RcConf
from vjail.conf.sh import ShellSyntaxError
from vjail.conf.sh.plain import split

_PSEUDO_WORDS = {"dhcp", "noauto", "nosyncdhcp", "syncdhcp", "wpa", "hostap"}
_WITHOUT_FAMILIES = re.compile(r"(pflog|pfsync|usbus|an|ath|ipw|ipfw|iwi|iwn|ral|wi|wl|wpi)[0-9]")
_NEVER_DHCP = re.compile(r"(lo|stf|lp|sl)[0-9]")
_EPAIR = re.compile(r"epair[0-9]")


def exists(rc: Rc, interface: str) -> bool:
    """Whether there is an interface of that name."""
    return rc.session.system.interface(interface) is not None


def all_names(rc: Rc) -> Sequence[str]:
    """`ifconfig -l`."""
    return [interface.name for interface in rc.session.system.interfaces()]


def raw_words(conf: RcConf, interface: str, suffix: str = "") -> list[str]:
    """The words of `ifconfig_IF` or `ifconfig_IF_ipv6`, pseudo words included; ifconfig_DEFAULT where it is unset."""
    return conf.of_interface(interface, f"ifconfig_IF{suffix}", conf.get("ifconfig_DEFAULT")).split()


def arguments(rc: Rc, interface: str, suffix: str = "") -> list[str]:
    """The words for ifconfig(8): without the pseudo words and `vnet JAIL`."""
    kept: list[str] = []
    skip = False
    for word in raw_words(rc.conf, interface, suffix):
        if skip:
            skip = False
        elif word == "vnet":
            skip = True
        elif word.lower() not in _PSEUDO_WORDS:
            kept.append(word)
    return kept


def evaluated(rc: Rc, words: Sequence[str]) -> Sequence[str]:
    """Words as `eval` makes them: quotes and variables in them take effect."""
    try:
        return split(" ".join(words), rc.conf.values)
    except ShellSyntaxError as error:
        rc.warn(f"{' '.join(words)}: {error.reason}")
        return words


def vnet_of(rc: Rc, interface: str) -> str | None:
    """The jail behind the pseudo word `vnet`."""
    words = raw_words(rc.conf, interface)
    return words[words.index("vnet") + 1] if "vnet" in words[:-1] else None


def is_automatic(rc: Rc, interface: str) -> bool:
    """Whether it is configured at boot: no NOAUTO."""
    return "noauto" not in [word.lower() for word in raw_words(rc.conf, interface)]


def has_families(interface: str) -> bool:
    """Whether addresses are configured on such an interface at all (not `noafif`)."""
    return _WITHOUT_FAMILIES.match(interface) is None


def uses_dhcp(rc: Rc, interface: str) -> bool:
    """Whether one of the DHCP words is given."""
    if _NEVER_DHCP.match(interface) or not has_families(interface):
        return False
    return bool({"dhcp", "nosyncdhcp", "syncdhcp"} & {word.lower() for word in raw_words(rc.conf, interface)})


def waits_for_dhcp(rc: Rc, interface: str) -> bool:
    """Whether dhclient is started at once instead of when the link comes up."""
    for word in raw_words(rc.conf, interface):
        if word.lower() in ("nosyncdhcp", "syncdhcp"):
            return word.lower() == "syncdhcp"
    return rc.yes("synchronous_dhclient")


def uses_ipv6(rc: Rc, interface: str) -> bool:
    """Whether it has an IPv6 configuration (ipv6if); lo0 always has."""
    if interface == "lo0":
        return True
    listed = rc.conf.words("ipv6_network_interfaces")
    if interface not in listed and [word.lower() for word in listed] != ["auto"]:
        return False
    return bool(raw_words(rc.conf, interface, "_ipv6") or rc.conf.of_interface(interface, "ipv6_prefix_IF"))


def autoconfigures_ipv6(rc: Rc, interface: str) -> bool:
    """Whether it takes its address from router advertisements."""
    if _NEVER_DHCP.match(interface) or not has_families(interface) or not uses_ipv6(rc, interface):
        return False
    if rc.yes("ipv6_gateway_enable") or rc.conf.of_interface(interface, "ipv6_prefix_IF"):
        return False
    return "accept_rtadv" in raw_words(rc.conf, interface, "_ipv6")


def expand_epairs(names: Sequence[str]) -> list[str]:
    """`epair0` as `epair0a epair0b`; other names as they are."""
    expanded: list[str] = []
    for name in names:
        whole = _EPAIR.match(name) and not name.endswith(("a", "b"))
        expanded += [f"{name}a", f"{name}b"] if whole else [name]
    return expanded


def listed(rc: Rc) -> Sequence[str]:
    """list_net_interfaces: those to configure, lo0 first."""
    if rc.conf.get("network_interfaces").lower() == "auto":
        names = [name for name in all_names(rc) if is_automatic(rc, name)]
        return [*(["lo0"] if "lo0" in names else []), *(name for name in names if name != "lo0")]
    clones = [entry.split(":")[0] for entry in rc.conf.words("cloned_interfaces")]
    names = expand_epairs([*rc.conf.words("network_interfaces"), *clones])
    return names if "lo0" in names else ["lo0", *names]


def with_dhcp(rc: Rc) -> Sequence[str]:
    """Those of `listed` that use DHCP."""
    return [name for name in listed(rc) if uses_dhcp(rc, name)]
