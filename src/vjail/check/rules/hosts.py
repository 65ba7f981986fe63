"""What hosts have together on their wires, and a host's rc.conf."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from vjail.check.finding import Finding, Rule, Severity
from vjail.check.ifconfig import of_jail
from vjail.check.run.state import MEMBER_ADDRESS, MEMBER_ADDRESS_WHY
from vjail.check.subject import HostSubject, Subject
from vjail.command.rc.hostid import hostid_of
from vjail.conf.position import Source, Span
from vjail.conf.rcconf import Answer, check_yes_no
from vjail.kernel.core.mac import Identity, bridge
from vjail.release import Release

ONE_HOSTID = Rule("VJ801", Severity.ERROR, "one hostid on two hosts of a wire")
ONE_ADDRESS = Rule("VJ727", Severity.WARNING, "bridges of two hosts that come to one MAC address")
NEVER_UP = Rule("VJ701", Severity.ERROR, "a bridge's member that rc.conf never brings up")
NOT_LISTED = Rule("VJ702", Severity.ERROR, "jail_list names a jail that is not configured")
ALIAS_WORD = Rule("VJ703", Severity.ERROR, "an alias without inet or inet6")
NOT_YES_NO = Rule("VJ704", Severity.WARNING, "a switch of rc.conf that is neither YES nor NO")
NOT_READ = Rule("VJ709", Severity.WARNING, "a jail in a file that the boot does not read")
LENT = Rule("VJ710", Severity.WARNING, "a lent interface that rc.conf has configured")
_JAIL_CONF = "/etc/jail.conf"


def one_hostid(subject: Subject) -> Iterator[Finding]:
    """D5: bridges and epairs of both get the same MAC addresses."""
    seen: dict[str, HostSubject] = {}
    for host in subject.hosts:
        known = seen.setdefault(_hostid(host), host)
        if known is not host and set(known.spec.nics.values()) & set(host.spec.nics.values()):
            yield _one_hostid(known, host, f"hosts {known.name} and {host.name} have one hostid and share a wire")


def one_hostid_between(subjects: Sequence[Subject]) -> Iterator[Finding]:
    """The same of hosts that are looked at together, and of whose wires nothing is known."""
    seen: dict[str, tuple[Subject, HostSubject]] = {}
    for subject in subjects:
        for host in subject.hosts:
            other, known = seen.setdefault(_hostid(host), (subject, host))
            if other is not subject and other.lab.origin != subject.lab.origin:
                both = f"the hosts of {other.lab.origin} and {subject.lab.origin}"
                yield _one_hostid(known, host, f"{both} have one hostid: on one network their jails do not meet")


def _hostid(host: HostSubject) -> str:
    """A host's uuid; of one that brings none, its own."""
    file = host.spec.files.get("hostid")
    return f"of {id(host)}" if file is None else file.content.decode(errors="replace").strip()


def _one_hostid(known: HostSubject, host: HostSubject, text: str) -> Finding:
    places = []
    for each in (known, host):
        file = each.spec.files["hostid"]
        source = Source(str(file.origin), file.content)
        places.append(Span(source, 0, len(file.content.strip())))
    return Finding(
        ONE_HOSTID,
        places[1],
        text,
        "the MAC addresses of bridges and epairs are made from it: both hosts make the same ones, switches learn "
        "them now here, now there, and jails of the two hosts do not reach each other",
        "`service hostid reset` on one of them (a virtual machine may get the same again: then write a random uuid "
        "into /etc/hostid), or set the MACs: ifconfig epair0b link random",
        related=((places[0], f"host {known.name}"),),
        host=host.name,
    )


def one_address(subject: Subject) -> Iterator[Finding]:
    """Few bits of a bridge's address vary: hosts with hostids of their own may come to the same one."""
    seen: dict[bytes, tuple[HostSubject, str]] = {}
    for host in subject.hosts:
        for name, address in _bridges(host):
            known, other = seen.setdefault(address, (host, name))
            if known is host or _hostid(known) == _hostid(host):
                continue
            if set(known.spec.nics.values()) & set(host.spec.nics.values()):
                origin = host.rc.origin("cloned_interfaces")
                yield Finding(
                    ONE_ADDRESS,
                    None if origin is None else origin.value_span,
                    f"{name} of {host.name} and {other} of {known.name} both have the address {address.hex(':')}, and "
                    "the hosts share a wire",
                    "it is made from hostuuid and name, of which few bits are left: what the one host is sent reaches "
                    "now the one, now the other",
                    f"another name for one of the bridges; or a MAC of its own: ifconfig {name} link random",
                    host=host.name,
                )


def _bridges(host: HostSubject) -> Iterator[tuple[str, bytes]]:
    """The bridges that rc.conf makes, with their addresses, where the host's uuid is known."""
    file = host.spec.files.get("hostid")
    uuid = "" if file is None else file.content.decode(errors="replace").strip()
    if not uuid:
        return
    identity = Identity(int(hostid_of(uuid), 16), uuid, "0")
    for word in host.rc.words("cloned_interfaces"):
        found = re.fullmatch(r"bridge(\d+)(?::\w+)?", word)
        if found is not None:
            name = f"bridge{found[1]}"
            yield name, bridge(host.release, identity, name, int(found[1]), os.urandom)


def members(host: HostSubject) -> Iterator[Finding]:
    """C3's slip: the card is joined to the bridge, and nobody brings it up."""
    for name in host.rc.matching("ifconfig_*"):
        words = host.rc.get(name).split()
        origin = host.rc.origin(name)
        for word, member in pairwise(words):
            if word != "addm" or origin is None:
                continue
            own = [host.rc.of_interface(member, each, host.rc.get("ifconfig_DEFAULT")) for each in _CONFIGURED]
            made = member in host.rc.words("cloned_interfaces") or any(
                member.startswith(each) for each in host.rc.words("cloned_interfaces")
            )
            if any(own) or _raised(host, member) or _opened(host, member):
                continue
            yield Finding(
                NEVER_UP,
                origin.value_span,
                f"{member} joins the bridge, and nothing brings it up",
                "addm does not: frames neither come in nor go out by it",
                f'ifconfig_{member}="up"' if not made else f'ifconfig_{member}="up" beside cloned_interfaces',
            )


_CONFIGURED = ("ifconfig_IF", "ifconfig_IF_ipv6", "ifconfig_IF_alias0", "ifconfig_IF_aliases", "ipv4_addrs_IF")


def _opened(host: HostSubject, member: str) -> bool:
    """Whether opening its device may raise it (net.link.tap.up_on_open), as where a virtual machine is behind a tap."""
    if not re.fullmatch(r"tap\d+", member):
        return False
    settings = host.reader.source("/etc/sysctl.conf")
    return settings is None or re.search(rb"^\s*net\.link\.tap\.up_on_open\s*=\s*1", settings.data, re.M) is not None


def member_addresses(host: HostSubject) -> Iterator[Finding]:
    """From 15 on the bridge has the addresses, not its members."""
    if host.release < Release.V15:
        return
    for name in host.rc.matching("ifconfig_*"):
        origin = host.rc.origin(name)
        for word, member in pairwise(host.rc.words(name)):
            own = [host.rc.of_interface(member, f"ifconfig_IF{suffix}") for suffix in ("", "_ipv6", "_alias0")]
            if word == "addm" and origin is not None and any(_gives_address(value.split()) for value in own):
                yield Finding(
                    MEMBER_ADDRESS,
                    origin.value_span,
                    f"{member} joins the bridge, and has an address of its own",
                    MEMBER_ADDRESS_WHY,
                    f'ifconfig_{member}="up", and its addresses in {name}',
                )


def _gives_address(words: Sequence[str]) -> bool:
    return any(word in ("DHCP", "SYNCDHCP", "inet") or word[:1].isdigit() for word in words) or (
        "inet6" in words[:1] and any(":" in word for word in words)
    )


def _raised(host: HostSubject, member: str) -> bool:
    return any(line.interface == member and (line.has("up") or line.given) for j in host.jails for line in of_jail(j))


def jail_list(host: HostSubject) -> Iterator[Finding]:
    """Names that rc.d/jail is to start and that are in no file."""
    origin = host.rc.origin("jail_list")
    known = {jail.name for jail in host.jails}
    if origin is None or not host.configurations or any(each.exit_status for each in host.configurations):
        return
    for name in host.rc.words("jail_list"):
        if name not in known and f"jail_{name}_rootdir" not in host.rc:
            yield Finding(
                NOT_LISTED,
                origin.value_span,
                f"there is no jail {name}",
                f'`service jail start` says `cannot start jail "{name}"`, and exits 0',
                f"one of: {', '.join(sorted(known))}" if known else "configure it in jail.conf",
            )


def lent(host: HostSubject) -> Iterator[Finding]:
    """Fact 23: what rc.conf made of an interface is gone when a jail gets it, and does not come home with it."""
    rc = host.rc
    bridges = {
        member: name.removeprefix("ifconfig_")
        for name in rc.matching("ifconfig_*")
        for word, member in pairwise(rc.words(name))
        if word == "addm"
    }
    for jail in host.jails:
        parameter = jail.jail.parameter("vnet.interface") if jail.is_vnet else None
        for value in parameter.values if parameter is not None else ():
            lost = []
            own = [rc.of_interface(value.text, f"ifconfig_IF{suffix}") for suffix in ("", "_ipv6", "_alias0")]
            if any(_gives_address(text.split()) for text in own):
                lost.append("its addresses and the routes by them")
            if value.text in bridges:
                lost.append(f"its place in {bridges[value.text]}")
            if rc.of_interface(value.text, "vlans_IF"):
                lost.append("its vlans, which stay behind bound to nothing")
            if lost:
                yield Finding(
                    LENT,
                    value.span,
                    f"{value.text} goes to {jail.name}, and the host has it in use: it loses {', '.join(lost)}",
                    "an interface that moves keeps its name, MAC address and MTU only, also when it comes home",
                    "lend one that nobody needs: one end of an epair whose other end the host has, or another card",
                    jails=(jail.name,),
                )


def files_of_their_own(host: HostSubject) -> Iterator[Finding]:
    """Jails in jail.conf.d and jail.NAME.conf, which `service jail start` reads for names it is told only."""
    rc = host.rc
    if check_yes_no(rc.get("jail_enable")) is not Answer.YES or rc.words("jail_list"):
        return
    if rc.get("jail_conf") != _JAIL_CONF:
        return
    read = host.configurations[: host.reader.origin(_JAIL_CONF) is not None]
    started = {jail.block for each in read for jail in each.jails}
    names = " ".join(jail.name for jail in host.jails)
    include = ', or in jail.conf `.include "/etc/jail.conf.d/*.conf";`' if host.release >= Release.V14 else ""
    for jail in host.jails:
        if jail.name not in started:
            yield Finding(
                NOT_READ,
                jail.jail.source,
                f"{jail.name} is not started at the boot: its file is read only where its name is given",
                "without jail_list `service jail start` starts what jail.conf describes",
                f'jail_list="{names}" in rc.conf{include}',
                jails=(jail.name,),
            )


def aliases(host: HostSubject) -> Iterator[Finding]:
    """ifconfig_IF_aliasN must say the family first."""
    for name in host.rc.matching("ifconfig_*_alias[0-9]*"):
        words = host.rc.get(name).split()
        origin = host.rc.origin(name)
        if words and words[0] not in ("inet", "inet6", "link", "ether", "ipx") and origin is not None:
            yield Finding(
                ALIAS_WORD,
                origin.value_span,
                f"{name} does not begin with inet or inet6",
                f'rc warns `${name} needs leading "inet" keyword for an IPv4 address.` and passes it over',
                f'{name}="inet {host.rc.get(name)}"',
            )


def switches(host: HostSubject) -> Iterator[Finding]:
    """Switches that rc.subr's checkyesno takes for no, with a warning."""
    for name in host.rc.matching("*_enable"):
        origin = host.rc.origin(name)
        if origin is None or origin.span.source.name == "/etc/defaults/rc.conf":
            continue
        value = host.rc.get(name)
        if name == "pf_fallback_rules_enable" or (name == "sendmail_enable" and value.upper() == "NONE"):
            continue
        if check_yes_no(value) is Answer.NEITHER:
            yield Finding(
                NOT_YES_NO,
                origin.value_span,
                f"{name} is {value!r}",
                "rc warns at each script that asks, and takes it for NO",
                f'{name}="YES" or "NO"',
            )


HOST_RULES = (members, member_addresses, lent, jail_list, files_of_their_own, aliases, switches)
LAB_RULES = (one_hostid, one_address)
