"""pf on Linux without a kernel: what is said where nft, or a part of the kernel, is missing; what a refusal leaves."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network
from typing import Any, cast

import pytest

from vjail.conf.pf.rules import (
    Action,
    AnchorRules,
    Direction,
    Family,
    NetAddress,
    Peer,
    Pool,
    PoolType,
    Reach,
    Rule,
    Ruleset,
    UnreachedAddress,
)
from vjail.kernel.core.journal import NoJournal
from vjail.kernel.core.part import Caller
from vjail.kernel.core.pf import PacketFilters
from vjail.kernel.core.pf_driver import PfSetup
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.pf.compile import compile_setup
from vjail.kernel.linux.pf.driver import LinuxPacketFilter
from vjail.kernel.linux.pf.nft import MISSING
from vjail.kernel.linux.vnets import VnetSpaces
from vjail.kernel.operations import EnablePf, LoadPf

BLOCK = Rule(Action.BLOCK, Direction.IN)
HOST = Caller(0, 0)


class Vnets:
    """VnetSpaces in which nft answers as the test says."""

    def __init__(self, answer: Callable[[str], str | None]) -> None:
        self.answer = answer
        self.asked: list[tuple[Sequence[str], str]] = []

    def run(self, number: int, argv: Sequence[str], text: str, patience: float) -> subprocess.CompletedProcess[str]:
        self.asked.append((argv, text))
        error = self.answer(text)
        return subprocess.CompletedProcess(argv, 0 if error is None else 1, "", error or "")

    def write(self, number: int, values: object) -> None:
        """No settings."""

    def socket(self, number: int, protocol: int) -> Any:
        class Socket:
            def request(self, *requests: object) -> None:
                """No connections."""

            def close(self) -> None:
                """Nothing."""

        return Socket()


class Clock:
    def monotonic(self) -> float:
        return 0.0


def filters(vnets: Vnets) -> PacketFilters:
    driver = LinuxPacketFilter(cast(VnetSpaces, vnets))
    return PacketFilters(driver, Clock(), NoJournal(), interfaces_of=lambda number, names: ())


def load(pf: PacketFilters, *rules: Rule) -> None:
    pf.handlers()[LoadPf](HOST, LoadPf((AnchorRules("", Ruleset(filter=rules)),)))


def enable(pf: PacketFilters) -> None:
    pf.handlers()[EnablePf](HOST, EnablePf())


def test_without_nft_rules_are_not_loaded_and_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    pf = filters(Vnets(lambda text: None))
    enable(pf)
    with pytest.raises(KernelError) as refused:
        load(pf, BLOCK)
    assert refused.value.message == MISSING
    assert "apt install nftables" in MISSING
    assert pf.packet_filter(HOST).rulesets == {}


@pytest.mark.parametrize(
    ("lacking", "named"),
    [
        ("snat ip to 192.0.2.1", "this machine's kernel has no nft_chain_nat (CONFIG_NFT_NAT)"),
        ("fib saddr", "this machine's kernel has no nft_fib_inet (CONFIG_NFT_FIB_INET)"),
        ("numgen", "this machine's kernel has no nft_numgen (CONFIG_NFT_NUMGEN)"),
    ],
)
def test_what_the_kernel_lacks_is_named(monkeypatch: pytest.MonkeyPatch, lacking: str, named: str) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: "/usr/sbin/nft")
    missing = "stdin:1:1-9: Error: Could not process rule: No such file or directory"
    pf = filters(Vnets(lambda text: missing if lacking in text or "vjail_trial" not in text else None))
    enable(pf)
    with pytest.raises(KernelError) as refused:
        load(pf, BLOCK)
    assert refused.value.message == named


def test_a_refusal_leaves_what_was_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: "/usr/sbin/nft")
    vnets = Vnets(lambda text: "stdin:3:2-5: Error: no room" if "th dport" in text else None)
    pf = filters(vnets)
    enable(pf)
    load(pf, BLOCK)
    with pytest.raises(KernelError) as refused:
        load(pf, Rule(Action.PASS, proto=6, tos=4), *(BLOCK,) * 5000)
    assert refused.value.message == "more than 4095 rules in one direction"
    assert pf.packet_filter(HOST).ruleset("").filter == (BLOCK,)
    asked = len(vnets.asked)
    load(pf, BLOCK)
    assert len(vnets.asked) == asked, "what is in force is not loaded again"


def test_a_disabled_pf_only_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: "/usr/sbin/nft")
    vnets = Vnets(lambda text: None)
    load(filters(vnets), BLOCK)
    assert [argv[1:] for argv, _ in vnets.asked] == [["--check", "-f", "-"]]


def test_a_jail_on_its_hosts_stack_has_no_pf() -> None:
    pf = filters(Vnets(lambda text: None))
    for asked in (lambda: pf.handlers()[EnablePf](Caller(3, 0), EnablePf()), lambda: pf.packet_filter(Caller(3, 0))):
        with pytest.raises(KernelError) as refused:
            asked()
        assert refused.value.errno is Errno.EPERM


def test_a_table_replaces_the_one_before_in_one_transaction() -> None:
    text = compile_setup(PfSetup({"": Ruleset(filter=(BLOCK,))}))
    assert text.startswith("table inet pf\ndelete table inet pf\ntable inet pf {\n")
    assert "\tchain rules_in {\n\t\tmeta mark set meta mark & 0xfff000ff | 0x00000100\n\t}\n" in text
    assert "\tchain rules_out {\n\t}\n" in text


def test_a_sticky_pool_is_chosen_from_by_who_asks() -> None:
    addresses = tuple(NetAddress(IPv4Network(f"10.0.0.{number}")) for number in (1, 2))
    rdr = Rule(Action.RDR, interface="em0", family=Family.INET, pool=Pool(addresses, PoolType.ROUND_ROBIN, sticky=True))
    text = compile_setup(PfSetup(rulesets={"": Ruleset(rdr=(rdr,))}))
    assert "jhash ip saddr mod 2" in text
    assert "numgen" not in text


def test_addresses_without_a_route_are_looked_up_on_the_way_in_only() -> None:
    unreached = {reach: Peer(UnreachedAddress(reach)) for reach in Reach}
    rules = tuple(Rule(Action.BLOCK, source=peer) for peer in unreached.values())
    text = compile_setup(PfSetup(rulesets={"": Ruleset(filter=rules)}))
    inside, outside = (text.partition(f"chain rules_{way} {{")[2].partition("}")[0] for way in ("in", "out"))
    assert "fib saddr oif missing" in inside
    assert "fib saddr . iif oif missing" in inside
    assert "fib" not in outside
