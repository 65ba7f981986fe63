"""The sysctls a lab host has: name, type, whose value it is, default, and what sysctl(8) -d says.

Data only. The order is the one `sysctl -a` shows; of net.link.bridge and vfs.devfs it was recorded
(observed/c1_ifconfig_errors.txt, f8_devfs_rule_depth.txt). Values that other parts hold have no default here.
Sources: sysctl(8) -d of FreeBSD 13.2 for the recorded ones; otherwise own words for what the manual pages say.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

from vjail.kernel.core.prison_texts import LIMIT
from vjail.kernel.observed import OidType
from vjail.release import Release

META_LIMIT = "security.jail.meta_maxbufsize"
"""From release 15 on: how long `meta` and `env` of a jail may be."""


class Scope(enum.Enum):
    """Whose value a sysctl is: the host's, a jail's own, or a network stack's."""

    HOST = "host"
    JAIL = "jail"
    VNET = "vnet"


class Access(enum.Enum):
    """Who may change it."""

    READ = "read"
    TUNABLE = "tunable"
    WRITE = "write"


@dataclass(frozen=True, slots=True)
class Entry:
    """A sysctl: `default` is its value at start, None where another part of the kernel holds it."""

    name: str
    type: OidType
    scope: Scope
    access: Access
    default: str | None
    description: str


def _held(name: str, type: OidType, scope: Scope, access: Access, description: str) -> Entry:
    return Entry(name, type, scope, access, None, description)


def _number(name: str, default: int, description: str, access: Access = Access.WRITE) -> Entry:
    return Entry(name, OidType.INT, Scope.HOST, access, str(default), description)


def _vnet(name: str, default: int, description: str) -> Entry:
    return Entry(name, OidType.INT, Scope.VNET, Access.WRITE, str(default), description)


def _text(name: str, description: str) -> Entry:
    return _held(name, OidType.STRING, Scope.HOST, Access.READ, description)


def _allowed(name: str, description: str) -> Entry:
    return _held(f"security.jail.{name}", OidType.INT, Scope.JAIL, Access.READ, description)


NODES = {
    "kern": "High kernel, proc, limits &c",
    "kern.features": "Kernel Features",
    "vfs": "File system",
    "vfs.devfs": "DEVFS filesystem",
    "net": "Network, (see socket.h)",
    "net.inet": "Internet Family",
    "net.inet.ip": "IP",
    "net.inet.icmp": "ICMP",
    "net.inet6": "Internet6 Family",
    "net.inet6.ip6": "IP6",
    "net.link": "Link layers",
    "net.link.bridge": "Bridge",
    "net.link.ether": "Ethernet",
    "net.link.epair": "Pair of virtual cross-over connected Ethernet-like interfaces",
    "hw": "hardware",
    "security": "Security",
    "security.jail": "Jails",
}
"""What is said of the nodes; one that is not named here has no description."""

TABLE: tuple[Entry, ...] = (
    _text("kern.ostype", "Operating system type"),
    _text("kern.osrelease", "Operating system release"),
    _number("kern.osrevision", 199506, "Operating system revision", Access.READ),
    _text("kern.version", "Kernel version"),
    _held("kern.hostname", OidType.STRING, Scope.JAIL, Access.WRITE, "Hostname"),
    _held("kern.hostid", OidType.ULONG, Scope.JAIL, Access.WRITE, "Host ID"),
    _held("kern.osreldate", OidType.INT, Scope.HOST, Access.READ, "Kernel release date"),
    Entry(
        "kern.bootfile", OidType.STRING, Scope.HOST, Access.READ, "/boot/kernel/kernel", "Name of kernel file booted"
    ),
    _held("kern.domainname", OidType.STRING, Scope.JAIL, Access.WRITE, "Name of the current YP/NIS domain"),
    _held("kern.securelevel", OidType.INT, Scope.JAIL, Access.WRITE, "Current secure level"),
    _held("kern.hostuuid", OidType.STRING, Scope.JAIL, Access.WRITE, "Host UUID"),
    _text("kern.ident", "Kernel identifier"),
    Entry(
        "kern.module_path",
        OidType.STRING,
        Scope.HOST,
        Access.WRITE,
        "/boot/kernel;/boot/modules;/boot/dtb;/boot/dtb/overlays",
        "module load search path",
    ),
    _held("kern.features.vimage", OidType.INT, Scope.HOST, Access.READ, "VIMAGE kernel virtualization"),
    _number("kern.features.inet", 1, "Internet Protocol version 4", Access.READ),
    _number("kern.features.inet6", 1, "Internet Protocol version 6", Access.READ),
    _number("vfs.usermount", 0, "Unprivileged users may mount and unmount file systems"),
    _number("vfs.devfs.dotimes", 0, "Update timestamps on DEVFS with default precision"),
    _held("vfs.devfs.rule_depth", OidType.UINT, Scope.HOST, Access.WRITE, "Max depth of ruleset include"),
    _number("vfs.devfs.generation", 102, "DEVFS generation number", Access.READ),
    _vnet("net.inet.ip.portrange.first", 10000, "First port given to a socket that asks for any"),
    _vnet("net.inet.ip.portrange.last", 65535, "Last port given to a socket that asks for any"),
    _held("net.inet.ip.forwarding", OidType.INT, Scope.VNET, Access.WRITE, "Enable IP forwarding between interfaces"),
    _vnet("net.inet.ip.redirect", 1, "Enable sending IP redirects"),
    _vnet("net.inet.ip.ttl", 64, "Maximum TTL on IP packets"),
    _vnet("net.inet.ip.sourceroute", 0, "Enable forwarding source routed IP packets"),
    _vnet("net.inet.ip.accept_sourceroute", 0, "Enable accepting source routed IP packets"),
    _vnet("net.inet.icmp.bmcastecho", 0, "Reply to multicast ICMP Echo Request and Timestamp packets"),
    _vnet("net.inet.icmp.drop_redirect", 0, "Ignore ICMP redirects"),
    _vnet("net.inet.icmp.log_redirect", 0, "Log ICMP redirects to the console"),
    _vnet("net.inet.icmp.icmplim", 200, "Maximum number of ICMP responses per second"),
    _vnet("net.link.ether.inet.max_age", 1200, "ARP entry lifetime in seconds"),
    _vnet("net.link.ether.inet.proxyall", 0, "Enable proxy ARP for all suitable requests"),
    _vnet("net.link.bridge.ipfw", 0, "Layer2 filter with IPFW"),
    _vnet(
        "net.link.bridge.allow_llz_overlap", 0, "Allow overlap of link-local scope zones of a bridge and its members"
    ),
    _vnet("net.link.bridge.inherit_mac", 0, "Inherit MAC address from the first bridge member"),
    _vnet("net.link.bridge.log_stp", 0, "Log STP state changes"),
    _vnet("net.link.bridge.pfil_local_phys", 0, "Packet filter on the physical interface for locally destined packets"),
    _vnet("net.link.bridge.pfil_member", 1, "Packet filter on the member interface"),
    _vnet("net.link.bridge.ipfw_arp", 0, "Filter ARP packets through IPFW layer2"),
    _vnet("net.link.bridge.pfil_bridge", 1, "Packet filter on the bridge interface"),
    _vnet("net.link.bridge.pfil_onlyip", 1, "Only pass IP packets when pfil is enabled"),
    _number("net.fibs", 1, "Number of routing tables", Access.TUNABLE),
    _vnet("net.add_addr_allfibs", 0, "Add the routes of an address to all routing tables"),
    _number("net.my_fibnum", 0, "Default FIB of the caller", Access.READ),
    _held("net.inet6.ip6.forwarding", OidType.INT, Scope.VNET, Access.WRITE, "Enable forwarding of IPv6 packets"),
    _vnet("net.inet6.ip6.redirect", 1, "Send ICMPv6 redirects for unforwardable IPv6 packets"),
    _vnet("net.inet6.ip6.hlim", 64, "Default hop limit to use for outgoing IPv6 packets"),
    _vnet("net.inet6.ip6.accept_rtadv", 0, "Default of per-interface flag for accepting router advertisements"),
    _vnet("net.inet6.ip6.dad_count", 1, "Number of neighbour solicitations sent to find a duplicate address"),
    _vnet("net.inet6.ip6.auto_linklocal", 1, "Default of per-interface flag for adding a link-local address"),
    _vnet("net.inet6.ip6.use_defaultzone", 0, "Use the default scope zone when none is given"),
    _vnet("net.inet6.ip6.v6only", 1, "Restrict AF_INET6 sockets to IPv6 addresses only"),
    Entry("hw.machine", OidType.STRING, Scope.HOST, Access.READ, "amd64", "System hardware architecture"),
    _text("hw.model", "Machine model"),
    _held("hw.ncpu", OidType.INT, Scope.HOST, Access.READ, "Number of active CPUs"),
    _held("hw.physmem", OidType.ULONG, Scope.HOST, Access.READ, "Amount of physical memory (in bytes)"),
    _number("hw.pagesize", 4096, "System memory page size", Access.READ),
    Entry("hw.machine_arch", OidType.STRING, Scope.HOST, Access.READ, "amd64", "System architecture"),
    _allowed("jailed", "Process in jail?"),
    _allowed("vnet", "Jail owns vnet?"),
    _allowed("enforce_statfs", "Which mounted file systems processes in the jail can see"),
    _allowed("devfs_ruleset", "Ruleset of devfs in the jail"),
    _allowed("set_hostname_allowed", "Processes in jail can set their hostnames"),
    _allowed("socket_unixiproute_only", "Processes in jail are limited to creating UNIX/IP/route sockets only"),
    _allowed("sysvipc_allowed", "Processes in jail can use System V IPC primitives"),
    _allowed("allow_raw_sockets", "Processes in jail can create raw sockets"),
    _allowed("chflags_allowed", "Processes in jail can alter system file flags"),
    _allowed("mount_allowed", "Processes in jail can mount and unmount jail-friendly file systems"),
    _allowed("mount_devfs_allowed", "Jail may mount the devfs file system"),
    _allowed("mount_fdescfs_allowed", "Jail may mount the fdescfs file system"),
    _allowed("mount_nullfs_allowed", "Jail may mount the nullfs file system"),
    _allowed("mount_procfs_allowed", "Jail may mount the procfs file system"),
    _allowed("mount_tmpfs_allowed", "Jail may mount the tmpfs file system"),
    _allowed("children.max", "Maximum number of child jails"),
    _allowed("children.cur", "Current number of child jails"),
    _number("security.jail.jail_max_af_ips", 255, "Number of IP addresses a jail may have of each family"),
)

_SINCE_15 = (
    _vnet("net.link.bridge.member_ifaddrs", 1, "Allow layer 3 addresses on bridge members"),
    _number("net.link.epair.ether_gen_addr", 1, "Generate MAC with FreeBSD OUI using ether_gen_addr(9)"),
    _number(META_LIMIT, LIMIT, "Maximum buffer size of each meta and env"),
    _held("security.jail.env", OidType.STRING, Scope.JAIL, Access.READ, "Meta information provided by parent jail"),
)
_DEFAULTS_15 = {"net.link.bridge.pfil_member": "0", "net.link.bridge.pfil_bridge": "0"}


def table(release: Release) -> tuple[Entry, ...]:
    """The sysctls of a release."""
    if release < Release.V15:
        return TABLE
    return (*(replace(each, default=_DEFAULTS_15.get(each.name, each.default)) for each in TABLE), *_SINCE_15)


HOST_JAIL_DEFAULTS = {
    "env": "",
    "jailed": "0",
    "vnet": "0",
    "enforce_statfs": "2",
    "devfs_ruleset": "0",
    "set_hostname_allowed": "1",
    "socket_unixiproute_only": "1",
    "sysvipc_allowed": "0",
    "allow_raw_sockets": "0",
    "chflags_allowed": "0",
    "mount_allowed": "0",
    "mount_devfs_allowed": "0",
    "mount_fdescfs_allowed": "0",
    "mount_nullfs_allowed": "0",
    "mount_procfs_allowed": "0",
    "mount_tmpfs_allowed": "0",
    "children.max": "999999",
    "children.cur": "0",
}
"""What security.jail.* says on the host: the defaults of new jails (jail(8), sysctl.8)."""
