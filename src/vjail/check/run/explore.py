"""All of it: the stage of each host, groups, orders, failures; what was seen becomes findings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial

from vjail.check.finding import Finding
from vjail.check.run import boot, explain, failures, orders
from vjail.check.run.alike import Told, is_alone
from vjail.check.run.beyond import unread
from vjail.check.run.groups import groups
from vjail.check.run.packet_filter import packet_filter
from vjail.check.run.stage import Stage, Standing, stages
from vjail.check.subject import HostSubject, JailSubject, Subject
from vjail.rehearsal import NotModelled


def explore(subject: Subject) -> Iterator[Finding]:
    """What running the lab's jails on the model shows."""
    try:
        found = stages(subject)
    except NotModelled as unknown:
        yield explain.boot_unknown(unknown)
        return
    for host in subject.hosts:
        yield from (replace(finding, host=host.name) for finding in _host(host, found[host.name]))


def _host(host: HostSubject, stage: Stage) -> Iterator[Finding]:
    absent = {jail.name: unread(jail.jail, host) for jail in host.jails}
    jails = [
        jail for jail in host.jails if not jail.jail.failed and len(absent[jail.name]) == len(jail.checked.messages)
    ]
    for jail in jails:
        yield from explain.not_here(jail, absent[jail.name])
    yield from packet_filter(host, stage)
    yield from boot.findings(host, stage.refusals)
    yield from explain.granted(host, stage.granted)
    standing = stage.standing()
    told = Told(standing)
    for group in groups(jails):
        yield from told.of(group, partial(_group, host, stage, group, standing))


def _group(host: HostSubject, stage: Stage, group: Sequence[JailSubject], standing: Standing) -> Iterator[Finding]:
    seen = orders.run(stage, group, standing)
    yield from explain.orders(host, group, seen)
    yield from explain.flaws(group, stage.granted, seen)
    if seen.broken_off or seen.trials:
        return
    told = Told(standing)
    for jail in group:
        look = partial(_failing, stage, group, jail)
        yield from told.of([jail], look) if is_alone(jail) else look()


def _failing(stage: Stage, group: Sequence[JailSubject], jail: JailSubject) -> Iterator[Finding]:
    for broken in failures.run(stage, group, jail):
        yield from explain.broken(jail, broken)
