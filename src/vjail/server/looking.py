"""What a lab looks like now, asked of its hosts' kernels, for `vjail ls`."""

from __future__ import annotations

from collections.abc import Mapping

from vjail.kernel.core.prison_record import AddressRule, Prison
from vjail.lab.configured import configured
from vjail.server.host import LabHost
from vjail.server.lab import RunningLab
from vjail.view.topology import HostView, JailView, LabView, Stack


def seen(lab: RunningLab) -> LabView:
    """The lab with its hosts, and their jails: those that are there, and those that are configured and not there."""
    hosts, wiring = [_host(host) for host in lab.hosts.values()], lab.wiring
    return LabView(lab.name, str(lab.origin), hosts, wiring.cut, wiring.uplinks, wiring.conditions)


def _host(host: LabHost) -> HostView:
    prisons = list(host.prisons.prisons())
    owners = {prison.vnet: prison.name for prison in prisons if prison.own_vnet}
    jails = [_jail(host, prison, owners) for prison in prisons]
    there = {prison.name for prison in prisons}
    for checked in configured(host.files(), host.release).jails:
        jail = checked.jail
        name = jail.text("name") or jail.block or ""
        if name not in there:
            hostname = jail.text("host.hostname") or ""
            jails.append(JailView(0, name, jail.text("path") or "/", hostname, "stopped", 0, None))
    return HostView(host.name, str(host.release), Stack(host.kernel.view().interfaces()), jails, host.nics)


def _jail(host: LabHost, prison: Prison, owners: Mapping[int, str]) -> JailView:
    """A jail that is there; `owners`: the jails that have a vnet of their own, by its number."""
    processes = len(host.jails.pids(prison.jid))
    state = "dying" if prison.dying else "active" if processes else "idle"
    stack = None
    if prison.own_vnet and not prison.dying:
        stack = Stack(host.kernel.view(prison.jid).interfaces())
    return JailView(
        prison.jid,
        prison.name,
        prison.path,
        prison.host.hostname,
        state,
        processes,
        stack,
        shares=None if prison.own_vnet else owners.get(prison.vnet),
        addresses=_addresses(prison.ip4, prison.ip6),
    )


def _addresses(*rules: AddressRule) -> tuple[str, ...] | None:
    """The addresses a jail without a vnet may use; None: all there are."""
    if not any(rule.restricted for rule in rules):
        return None
    return tuple(str(address) for rule in rules for address in rule.addresses)
