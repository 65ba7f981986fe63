"""What a lab file says: networks, jails, links, hosts, wires, expectations; the keys of each, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network

from vjail.kernel.conditions import (
    DELAY,
    LOSS,
    RATE,
    read_delay,
    read_loss,
    read_rate,
    write_delay,
    write_loss,
    write_rate,
)
from vjail.lab.file.nodes import At, Place
from vjail.lab.file.schema import (
    SUBNET,
    TEXT,
    VALUE,
    YES_NO,
    Entry,
    Joined,
    Listed,
    Named,
    NamesOr,
    Several,
    Structure,
    Text,
    key,
    others,
    place,
)
from vjail.release import Release

Subnet = IPv4Network | IPv6Network

NAME = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
NAMES = "letters, digits, and `-`, `_` and `.` between them, 63 at most"
CARD = r"(?!(?:bridge|epair|lo|pflog|tap|vlan)\d|(?:true|false|yes|no|on|off)$)[A-Za-z][A-Za-z0-9_.-]{0,14}"
CARDS = "a card's name as FreeBSD's drivers give them (vtnet0, em1), 15 characters at most"
_PART = r"(?![0-9]+(?:[.]|$))[A-Za-z0-9_][A-Za-z0-9_-]*"
JAIL_NAME = rf"(?=.{{1,63}}$){_PART}([.]{_PART})*"
"""One below another is OUTER.INNER, as in jail.conf."""
JAIL_NAMES = "letters, digits, `_` and `-`, not digits alone, 63 at most; OUTER.INNER for a jail in a jail"

_ADDRESS = Text(
    "auto, a host part (.10, ::10), an address (10.0.0.5), or one with its length (10.0.0.5/24)",
    r"auto|\.[0-9]{1,3}|[0-9][0-9.]*(/[0-9]+)?|[0-9a-fA-F:]+(/[0-9]+)?",
    str,
)
_GATEWAY = Text(
    "an address, or its host part (.1, ::1)", r"\.[0-9]{1,3}|[0-9][0-9.]*|[0-9a-fA-F:]+(%[A-Za-z0-9.]+)?", str
)
_INTERFACE = Text("an interface's name", r"[A-Za-z][A-Za-z0-9_.]{0,14}", str)
_CARD = Text(CARDS, CARD, str)
_NAME = Text(NAMES, NAME, str)
_PATH = Text("an absolute path", r"/.*", str)
_TAG = Text("a VLAN's tag, 1 to 4094", r"[0-9]+", lambda text: _between(int(text), 1, 4094))
_MOUNT = Text("`SOURCE TARGET [ro]`, or a line of fstab(5)", r"\s*\S+\s+\S.*", str)
_REPLICAS = Text("a whole number, 9999 at most", r"[0-9]+", lambda text: _between(int(text), 0, 9999))
_MTU = Text("bytes, 72 to 65535", r"[0-9]+", lambda text: _between(int(text), 72, 65535))
_RELEASE = Text("12, 13, 14, 15 or 16", r"[0-9]+(\.[0-9]+)?", Release.parse)
_PARAMETER = r"[a-z0-9_]+(\.[a-z0-9_]+)*"


def _between(number: int, low: int, high: int) -> int:
    if not low <= number <= high:
        raise ValueError(f"not between {low} and {high}")
    return number


def _bridge_name(text: str) -> str:
    """FreeBSD numbers cloned interfaces up to 32767 (IF_MAXUNIT)."""
    _between(int(text.removeprefix("bridge")), 0, 32767)
    return text


@dataclass(frozen=True, slots=True)
class Network:
    """A network of jails: a bridge on its host."""

    subnet: tuple[At[Subnet], ...] = key(Listed(SUBNET), "its addresses: one IPv4 and one IPv6 network at most")
    uplink: At[str] | None = key(_CARD, "a card of the host that joins the bridge: the network goes on outside")
    vlan: At[int] | None = key(_TAG, "frames leave the uplink with this tag")
    nat: At[str] | None = key(_CARD, "a card of the host, which routes the network; outside it has that card's address")
    host: tuple[At[str], ...] = key(Listed(_ADDRESS), "the host's own address in the network")
    gateway: tuple[At[str], ...] = key(
        Listed(_GATEWAY), "where jails send what leaves the network (with nat: the host); may be a jail's that forwards"
    )
    bridge: At[str] | None = key(
        Text("bridge and a number, 32767 at most", r"bridge(0|[1-9][0-9]{0,4})", _bridge_name),
        "the bridge's name, instead of one that is made up",
    )
    mtu: At[int] | None = key(_MTU, "the size of its packets; all members have it")
    private: At[bool] | None = key(YES_NO, "its jails do not reach one another, only what is outside")
    domain: At[str] | None = key(_NAME, "what the names of its jails end in, in /etc/hosts")
    place: Place | None = place()


@dataclass(frozen=True, slots=True)
class Vlan:
    """A VLAN handed into a jail. One that is whole has a tag and a card."""

    tag: At[int] | None = key(_TAG, "the tag of its frames", required=True)
    on: At[str] | None = key(_CARD, "the card of the host that they go through", required=True)
    address: tuple[At[str], ...] = key(Listed(_ADDRESS), "addresses, each with its length")


@dataclass(frozen=True, slots=True)
class Jail:
    """A jail. Every key that is none of these is a network it is in, with its address there."""

    path: At[str] | None = key(_PATH, "its root on the host (default: /jails/NAME)")
    base: At[str] | None = key(
        _PATH, "a userland that is shared: bin lib libexec sbin usr are mounted from it, read-only"
    )
    hostname: At[str] | None = key(_NAME, "its host name (default: its own name)")
    gateway: tuple[At[str], ...] = key(Listed(_GATEWAY), "its default routes (default: its first network's gateway)")
    routes: Mapping[str, Entry[At[str]]] = key(
        Named(_GATEWAY, r"[0-9a-fA-F.:]+/[0-9]+", "a network (10.1.0.0/16); the default route is `gateway:`"),
        "further routes: network: gateway",
    )
    nics: Mapping[str, Entry[tuple[At[str], ...]]] = key(
        NamesOr(Named(Listed(_ADDRESS), CARD, CARDS)),
        "cards of the host that move into the jail, with their addresses",
    )
    shared: Mapping[str, Entry[tuple[At[str], ...]]] = key(
        Named(Listed(_ADDRESS), CARD, CARDS),
        "no stack of its own: addresses on cards of the host, there while it runs (card: address)",
    )
    vnet: At[bool] | None = key(YES_NO, "it has a network stack of its own (default: unless it has shared addresses)")
    vlans: Mapping[str, Entry[Vlan]] = key(
        Named(Structure(Vlan, "a VLAN"), r"[A-Za-z][A-Za-z0-9_.]{0,14}", "an interface's name"),
        "VLANs of the host's cards that move into the jail",
    )
    forward: At[bool] | None = key(YES_NO, "it passes packets on: a router")
    public: At[str] | None = key(
        _ADDRESS, "the address under which the outside reaches it (static NAT, both ways, IPv4 or IPv6)"
    )
    mounts: tuple[At[str], ...] = key(
        Listed(_MOUNT),
        "what is mounted in it: TARGET is as the jail sees it, but in a line of fstab(5), which has the host's path",
    )
    allow: tuple[At[str], ...] = key(
        Listed(Text("a permission (raw_sockets, mount.nullfs)", _PARAMETER, str)),
        "what it may: allow.* of jail(8)",
    )
    devices: tuple[At[str], ...] = key(Listed(TEXT), "devices it sees besides the usual ones (bpf*, tap0)")
    run: tuple[At[str], ...] = key(
        Listed(TEXT), "commands that are run in it, one after another; one that does not end needs `&` behind it"
    )
    services: tuple[At[str], ...] = key(
        Listed(Text("a service's name", r"[A-Za-z_][A-Za-z0-9_]*", str)), "services its /etc/rc starts"
    )
    rc: Mapping[str, Entry[At[str]]] = key(
        Named(VALUE, r"[A-Za-z_][A-Za-z0-9_]*", "a variable's name"),
        "variables of its /etc/rc.conf; its /etc/rc is run",
    )
    boot: At[bool] | None = key(YES_NO, "its /etc/rc is run, also where no service and no variable is given")
    user: At[str] | None = key(_NAME, "the user that what `run` says runs as")
    depend: tuple[At[str], ...] = key(Listed(_NAME), "jails that must run before it")
    replicas: At[int] | None = key(_REPLICAS, "so many of it: NAME1, NAME2, …; a host part counts on with them")
    group: tuple[At[str], ...] = key(Listed(_NAME), "groups whose keys it has too, later ones first")
    parameters: Mapping[str, Entry[tuple[At[str], ...]]] = key(
        Named(Listed(VALUE), _PARAMETER, "a parameter of jail(8)"),
        "further parameters of jail(8), as they are",
    )
    networks: Mapping[str, Entry[tuple[At[str], ...]]] = others(Listed(_ADDRESS), "network")
    place: Place | None = place()

    def over(self, other: Jail) -> Jail:
        """This one's keys, and another's where this one has none."""
        values: dict[str, object] = {}
        for each in fields(Jail):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            merged = {**theirs, **mine} if isinstance(mine, Mapping) else mine
            values[each.name] = merged if merged not in (None, (), {}) else theirs
        return Jail(**values)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Wire:
    """An Ethernet segment between cards of hosts."""

    nic: At[str] | None = key(_INTERFACE, "a card of this machine that the wire goes on through (as root)")
    delay: At[int] | None = key(
        Text("a time (20ms, 0.5ms, 1s), 10s at most", DELAY, read_delay, write_delay),
        "how long each frame takes, one way",
    )
    loss: At[int] | None = key(
        Text("a share (1%, 0.5%), less than 100%", LOSS, read_loss, write_loss), "how many frames do not arrive"
    )
    rate: At[int] | None = key(
        Text("bits a second (512kbit, 10Mbit, 1Gbit)", RATE, read_rate, write_rate), "how much it carries to each card"
    )
    cut: At[bool] | None = key(YES_NO, "it begins cut; `vjail mend` joins it")
    place: Place | None = place()


_LINKS = Several(Joined(Named(Listed(_ADDRESS), JAIL_NAME, "a jail's name")))
Link = At[Mapping[str, Entry[tuple[At[str], ...]]]]
"""One epair between two jails: each jail's name with its addresses."""


@dataclass(frozen=True, slots=True)
class Host:
    """A machine with jails, or a plain one."""

    nics: Mapping[str, Entry[At[str]]] = key(Named(_NAME, CARD, CARDS), "its cards, and the wire each is on")
    files: At[str] | None = key(TEXT, "the folder with its own rc.conf, jail.conf, devfs.rules, pf.conf, hostid")
    tree: At[str] | None = key(
        TEXT, "a folder that is laid over its files (jails/web/etc/motd in it is /jails/web/etc/motd)"
    )
    userland: At[str] | None = key(TEXT, "machine, minimal, or a folder to take /usr from")
    addresses: Mapping[str, Entry[tuple[At[str], ...]]] = key(
        Named(Listed(_ADDRESS), CARD, CARDS), "its cards' addresses, each with its length"
    )
    gateway: tuple[At[str], ...] = key(Listed(_GATEWAY), "its default routes")
    routes: Mapping[str, Entry[At[str]]] = key(
        Named(_GATEWAY, r"[0-9a-fA-F.:]+/[0-9]+", "a network (10.1.0.0/16); the default route is `gateway:`"),
        "further routes: network: gateway",
    )
    forward: At[bool] | None = key(YES_NO, "it passes packets on")
    hostid: At[str] | None = key(
        Text("a UUID", r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", str),
        "its /etc/hostid (default: made from its name)",
    )
    rc: Mapping[str, Entry[At[str]]] = key(
        Named(VALUE, r"[A-Za-z_][A-Za-z0-9_]*", "a variable's name"), "further variables of its rc.conf"
    )
    pf: At[str] | None = key(TEXT, "its pf.conf, where networks with nat do not make it")
    devfs: At[str] | None = key(TEXT, "further sets of its devfs.rules")
    networks: Mapping[str, Entry[Network]] = key(
        Named(Structure(Network, "a network"), NAME, NAMES), "networks of its jails"
    )
    jails: Mapping[str, Entry[Jail]] = key(Named(Structure(Jail, "a jail"), JAIL_NAME, JAIL_NAMES), "its jails")
    links: tuple[Link, ...] = key(_LINKS, "epairs between two jails: [a: 10.0.0.1/24, b: 10.0.0.2/24]")
    place: Place | None = place()


_EXPECT = Text("A -> B, or A -x-> B", r"\S+\s+-(x-)?>\s+\S+", str)


@dataclass(frozen=True, slots=True)
class LabFile:
    """The whole file. `networks`, `jails` and `links` at the top are those of the one host of a lab without `hosts`."""

    freebsd: At[Release] | None = key(_RELEASE, "the release of FreeBSD (default: 13)")
    include: tuple[At[str], ...] = key(Listed(TEXT), "files whose keys are taken in, this file's own above theirs")
    variables: Mapping[str, Entry[At[str]]] = key(
        Named(TEXT, r"[A-Za-z_][A-Za-z0-9_]*", "a name"), "texts that ${name} stands for in values"
    )
    defaults: Jail | None = key(Structure(Jail, "defaults"), "keys that every jail has, unless it says otherwise")
    groups: Mapping[str, Entry[Jail]] = key(
        Named(Structure(Jail, "a group"), NAME, NAMES), "keys that the jails of a group have"
    )
    networks: Mapping[str, Entry[Network]] = key(
        Named(Structure(Network, "a network"), NAME, NAMES), "networks of jails"
    )
    jails: Mapping[str, Entry[Jail]] = key(Named(Structure(Jail, "a jail"), JAIL_NAME, JAIL_NAMES), "jails")
    links: tuple[Link, ...] = key(_LINKS, "epairs between two jails: [a: 10.0.0.1/24, b: 10.0.0.2/24]")
    hosts: Mapping[str, Entry[Host]] = key(Named(Structure(Host, "a host"), NAME, NAMES), "machines")
    wires: Mapping[str, Entry[Wire]] = key(
        Named(Structure(Wire, "a wire"), NAME, NAMES), "Ethernet segments between hosts' cards"
    )
    expect: tuple[At[str], ...] = key(Listed(_EXPECT), "who reaches whom (->), and who must not (-x->)")
    place: Place | None = place()


FILE: Structure[LabFile] = Structure(LabFile, "the lab file")

RESERVED = frozenset(each.metadata.get("name") or each.name for each in fields(Jail) if "type" in each.metadata)
"""What a network cannot be called: the keys of a jail."""

_EXPECTATION = re.compile(r"(\S+)\s+-(x-)?>\s+(\S+)")


@dataclass(frozen=True, slots=True)
class Expectation:
    """Who reaches whom, or must not."""

    source: str
    target: str
    reaches: bool
    place: Place = field(compare=False)

    @classmethod
    def of(cls, line: At[str]) -> Expectation:
        """A line of `expect:`."""
        found = _EXPECTATION.fullmatch(line.value)
        assert found is not None
        return cls(found[1], found[3], found[2] is None, line.place)
