"""Sysctls of the core: what a vnet leaves behind, and what another process finds."""

from __future__ import annotations

import pytest
from hostfake import Machine
from test_mounts import Memory

from vjail.kernel.core.part import Caller
from vjail.kernel.core.sysctl_table import NODES, TABLE, table
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import SetSysctl
from vjail.release import Release

HOST = Caller(0, 0)


def machine(journal: Memory) -> Machine:
    host = Machine(journal=journal)
    host.jails.add(4, "v", "/", vnet="new")
    return host


def value(host: Machine, caller: Caller, name: str) -> str:
    return host.sysctls.values(caller, name)[0][1]


def test_another_process_takes_over_and_a_vnet_is_forgotten() -> None:
    journal = Memory()
    first = machine(journal)
    vnet = Caller(4, 4)
    first.apply(vnet, SetSysctl("net.inet.ip.ttl", "7"))
    first.apply(HOST, SetSysctl("net.inet.ip.ttl", "9"))
    first.apply(HOST, SetSysctl("vfs.devfs.rule_depth", "2"))
    first.apply(HOST, SetSysctl("kern.module_path", "/boot"))
    second = machine(journal)
    assert value(second, vnet, "net.inet.ip.ttl") == "7"
    assert value(second, HOST, "net.inet.ip.ttl") == "9"
    assert second.devfs.rule_depth == 2
    second.sysctls.forget_vnet(4)
    assert value(second, vnet, "net.inet.ip.ttl") == "64"
    assert value(second, HOST, "kern.module_path") == "/boot"
    assert value(machine(journal), vnet, "net.inet.ip.ttl") == "64"


@pytest.mark.parametrize(
    ("name", "text", "errno"),
    [
        ("nosuch", "1", Errno.ENOENT),
        ("net.inet", "1", Errno.EISDIR),
        ("kern.ostype", "x", Errno.EPERM),
        ("net.fibs", "2", Errno.EPERM),
        ("net.inet.ip.ttl", "x", Errno.EINVAL),
        ("kern.securelevel", "-2", Errno.EPERM),
    ],
)
def test_refusals(name: str, text: str, errno: Errno) -> None:
    with pytest.raises(KernelError) as caught:
        Machine().apply(HOST, SetSysctl(name, text))
    assert caught.value.errno is errno


def test_the_table() -> None:
    names = [entry.name for entry in TABLE]
    assert len(set(names)) == len(names)
    newest = [entry.name for entry in table(Release.V16)]
    assert all(any(name.startswith(f"{node}.") for name in newest) for node in NODES)
    with pytest.raises(KernelError):
        Machine().sysctls.values(HOST, "net.ine")


@pytest.mark.parametrize(("release", "pfil", "since_15"), [(Release.V14, "1", None), (Release.V15, "0", "1")])
def test_what_release_15_has_otherwise(release: Release, pfil: str, since_15: str | None) -> None:
    """Spec ifconfig §5, §6."""
    defaults = {entry.name: entry.default for entry in table(release)}
    assert defaults["net.link.bridge.pfil_member"] == defaults["net.link.bridge.pfil_bridge"] == pfil
    for name in ("net.link.bridge.member_ifaddrs", "net.link.epair.ether_gen_addr"):
        assert defaults.get(name) == since_15
