"""pf on Linux without a kernel: what is said where nft, or a part of the kernel, is missing; what a refusal leaves."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any, cast

import pytest

from vjail.conf.pf.rules import (
    Action,
    AnchorRules,
    Detour,
    Direction,
    Family,
    Keep,
    NetAddress,
    Peer,
    Pool,
    PoolType,
    Reach,
    Rule,
    Ruleset,
    StateOptions,
    Table,
    TableAddress,
    TableEntry,
    Turn,
    UnreachedAddress,
)
from vjail.kernel.core.journal import NoJournal
from vjail.kernel.core.part import Caller
from vjail.kernel.core.pf import PacketFilters
from vjail.kernel.core.pf_driver import PfSetup
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.pf.compile import compile_setup
from vjail.kernel.linux.pf.driver import LinuxPacketFilter
from vjail.kernel.linux.pf.limits import rate_text
from vjail.kernel.linux.pf.names import detours
from vjail.kernel.linux.pf.nft import MISSING
from vjail.kernel.linux.vnets import VnetSpaces
from vjail.kernel.linux.watch import Watch
from vjail.kernel.operations import ChangePfTable, EnablePf, LoadPf, TableChange

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
    watch = Watch(lambda number, call: None, lambda number: None, lambda seconds, call: None)
    driver = LinuxPacketFilter(cast(VnetSpaces, vnets), watch, lambda vnet: None)
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
        (
            "ct count",
            "this machine's kernel has no nft_connlimit "
            "(CONFIG_NFT_CONNLIMIT; for max, max-src-nodes, max-src-states, max-src-conn)",
        ),
        (
            "ct label",
            "this machine's kernel has no labels of connections (CONFIG_NF_CONNTRACK_LABELS; for route-to, reply-to)",
        ),
        ("limit rate", "this machine's kernel has no nft_limit (CONFIG_NFT_LIMIT; for max-src-conn-rate)"),
        (
            "log group",
            "this machine's kernel has no nft_log or nfnetlink_log "
            "(CONFIG_NFT_LOG, CONFIG_NETFILTER_NETLINK_LOG; for max-src-conn, max-src-conn-rate)",
        ),
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
    text = compile_setup(PfSetup({"": Ruleset(filter=(BLOCK,))})).text
    assert text.startswith("table inet pf\ndelete table inet pf\ntable inet pf {\n")
    assert "\tchain rules_in {\n\t\tmeta mark set meta mark & 0xfff000ff | 0x00000100\n\t}\n" in text
    assert "\tchain rules_out {\n\t}\n" in text


def test_a_sticky_pool_is_chosen_from_by_who_asks() -> None:
    addresses = tuple(NetAddress(IPv4Network(f"10.0.0.{number}")) for number in (1, 2))
    rdr = Rule(Action.RDR, interface="em0", family=Family.INET, pool=Pool(addresses, PoolType.ROUND_ROBIN, sticky=True))
    text = compile_setup(PfSetup(rulesets={"": Ruleset(rdr=(rdr,))})).text
    assert "jhash ip saddr mod 2" in text
    assert "numgen" not in text


def test_addresses_without_a_route_are_looked_up_on_the_way_in_only() -> None:
    unreached = {reach: Peer(UnreachedAddress(reach)) for reach in Reach}
    rules = tuple(Rule(Action.BLOCK, source=peer) for peer in unreached.values())
    text = compile_setup(PfSetup(rulesets={"": Ruleset(filter=rules)})).text
    inside, outside = (text.partition(f"chain rules_{way} {{")[2].partition("}")[0] for way in ("in", "out"))
    assert "fib saddr oif missing" in inside
    assert "fib saddr . iif oif missing" in inside
    assert "fib" not in outside


# --- reply-to ---


def test_answers_are_told_their_way_before_the_routes_are_asked() -> None:
    way = Detour(Turn.REPLY_TO, "em1", IPv4Address("198.51.100.9"))
    rule = Rule(Action.PASS, Direction.IN, keep=Keep.STATE, detour=way)
    compiled = compile_setup(PfSetup({"": Ruleset(filter=(rule,))}))
    number = compiled.detours[way]
    assert chain(compiled.text, f"end_in_pass_keep_plain_0_{number}")[-2:] == [f"ct label set {number}", "goto keep_in"]
    told = (
        f"ct direction reply ct mark & 0x00000001 != 0 ct label {number} "
        f"meta mark set meta mark & 0xffffff00 | 0x{number:08x}"
    )
    assert chain(compiled.text, "turn") == ["type filter hook prerouting priority mangle; policy accept;", told]
    assert chain(compiled.text, "turn_own") == ["type route hook output priority mangle; policy accept;", told]


def test_what_begins_is_told_its_way_when_its_state_is_made_and_later() -> None:
    way = Detour(Turn.ROUTE_TO, "em1", IPv4Address("198.51.100.9"))
    rule = Rule(Action.PASS, Direction.IN, keep=Keep.STATE, detour=way)
    compiled = compile_setup(PfSetup({"": Ruleset(filter=(rule,))}))
    number = compiled.detours[way]
    told = f"meta mark set meta mark & 0xffffff00 | 0x{number:08x}"
    assert chain(compiled.text, f"end_in_pass_keep_plain_0_{number}")[-2:] == [told, "goto keep_in"]
    state = f"ct direction original ct mark & 0x00000001 != 0 ct label {number} {told}"
    assert chain(compiled.text, "turn") == ["type filter hook prerouting priority mangle; policy accept;", state]
    assert "turn_own" not in compiled.text


def test_a_way_keeps_its_number_when_others_come() -> None:
    ways = [Detour(Turn.REPLY_TO, f"em{number}", IPv4Address(f"198.51.100.{number}")) for number in range(127)]
    rules = [Rule(Action.PASS, Direction.IN, keep=Keep.STATE, detour=way) for way in ways]
    alone = detours(PfSetup({"": Ruleset(filter=(rules[0],))}))
    assert alone[ways[0]] == detours(PfSetup({"": Ruleset(filter=tuple(rules[:3]))}))[ways[0]]
    assert sorted(detours(PfSetup({"": Ruleset(filter=tuple(rules))})).values()) == list(range(1, 128))


# --- limits ---


def limiting(options: StateOptions, direction: Direction | None = Direction.IN) -> Rule:
    return Rule(Action.PASS, direction, proto=6, keep=Keep.STATE, state_options=options)


def chain(text: str, name: str) -> list[str]:
    """The rules of a chain."""
    return text.partition(f"\tchain {name} {{\n")[2].partition("\t}\n")[0].replace("\t", "").splitlines()


def test_states_are_counted_before_they_are_made() -> None:
    rule = limiting(StateOptions(max=9, max_src_nodes=5, max_src_states=3))
    compiled = compile_setup(PfSetup({"": Ruleset(filter=(rule,))}))
    assert chain(compiled.text, "end_in_pass_keep_plain_1_0")[-2:] == ["jump limit1", "goto keep_in"]
    assert chain(compiled.text, "limit1") == [
        "ct count over 9 drop",
        "add @sources1_4 { ip saddr ct count 3 } return",
        "add @sources1_6 { ip6 saddr ct count 3 } return",
        "drop",
    ]
    assert "\tset sources1_4 {\n\t\ttype ipv4_addr\n\t\tsize 5\n\t\tflags dynamic\n\t}\n" in compiled.text
    assert not compiled.counts_connections
    assert "log group" not in compiled.text


def test_connections_are_counted_when_their_handshake_is_done() -> None:
    options = StateOptions(max_src_conn=9, max_src_conn_rate=(5, 30), overload="bad", flush="flush global")
    compiled = compile_setup(PfSetup({"": Ruleset(filter=(limiting(options), BLOCK))}, (Table("", "bad"),)))
    assert compiled.counts_connections
    assert chain(compiled.text, "keep_in1")[0] == "ct direction original ct mark set ct mark & 0x01ffffff | 0x02000001"
    assert chain(compiled.text, "established_in") == ["ct mark & 0x7e000000 vmap { 0x02000000 : goto established_in1 }"]
    assert chain(compiled.text, "established_in1")[:3] == [
        "ct mark set ct mark | 0x80000000",
        "add @connections1_4 { ct original ip saddr ct count over 9 } goto exceeded_in1",
        "update @rates1_4 { ct original ip saddr timeout 30s limit rate over 10/minute burst 5 packets } "
        "goto exceeded_in1",
    ]
    assert chain(compiled.text, "exceeded_in1") == [
        "ct mark set ct mark & 0xfffffffe",
        "add @over0_4 { ct original ip saddr }",
        "add @flush1_in_4 { ct original ip saddr }",
        "add @over0_6 { ct original ip6 saddr }",
        "add @flush1_in_6 { ct original ip6 saddr }",
        "log group 28774 queue-threshold 1",
        "drop",
    ]


def test_what_goes_out_is_counted_by_the_address_it_has_outside() -> None:
    compiled = compile_setup(PfSetup({"": Ruleset(filter=(limiting(StateOptions(max_src_conn=9), None),))}))
    assert "ct original ip saddr" in chain(compiled.text, "established_in1")[1]
    assert "ct reply ip daddr" in chain(compiled.text, "established_out1")[1]
    assert chain(compiled.text, "connect1")[0] == "meta l4proto 6 add @connections1_4 { ip saddr ct count over 9 }"
    assert compiled.text.count("chain connect1 {") == 1, "both ways count in one place"


@pytest.mark.parametrize(
    ("limit", "seconds", "text"),
    [
        (5, 30, "10/minute burst 5 packets"),
        (100, 1, "100/second burst 100 packets"),
        (3, 86400, "3/day burst 3 packets"),
        (7, 11, "384872/week burst 7 packets"),
        (1, 4_000_000, "1/week burst 1 packets"),
    ],
)
def test_a_rate_is_told_to_nft(limit: int, seconds: int, text: str) -> None:
    assert rate_text(limit, seconds) == text


def test_a_table_that_is_filled_by_overload_is_looked_for_in_both_places() -> None:
    options = StateOptions(max_src_conn=1, overload="bad")
    sides = (Peer(TableAddress("bad")), Peer(TableAddress("bad"), negated=True))
    blocking = [Rule(Action.BLOCK, Direction.IN, family=Family.INET, source=peer) for peer in sides]
    text = compile_setup(PfSetup({"": Ruleset(filter=(limiting(options), *blocking))}, (Table("", "bad"),))).text
    found = [each.partition(" meta mark")[0] for each in chain(text, "rules_in")][1:]
    assert found == [
        "meta nfproto ipv4 ip saddr @table0_4",
        "meta nfproto ipv4 ip saddr @over0_4",
        "meta nfproto ipv4 ip saddr != @table0_4 meta length > 0 ip saddr != @over0_4",
    ]


def test_only_a_table_that_changes_is_loaded_so_that_counts_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: "/usr/sbin/nft")
    vnets = Vnets(lambda text: None)
    pf = filters(vnets)
    enable(pf)
    rules = (Rule(Action.BLOCK, Direction.IN, source=Peer(TableAddress("bad"))), limiting(StateOptions(max=1)))
    pf.handlers()[LoadPf](HOST, LoadPf((AnchorRules("", Ruleset(filter=rules)),), (Table("", "bad"),)))
    entries = (TableEntry(IPv4Network("192.0.2.9")),)
    pf.handlers()[ChangePfTable](HOST, ChangePfTable("", "bad", TableChange.ADD, entries))
    assert vnets.asked[-1][1] == ("flush set inet pf table0_4\nadd element inet pf table0_4 { 192.0.2.9 }\n")
    # What somebody inside has taken away is made again.
    vnets.answer = lambda text: "Error: no such set" if text.startswith("flush") else None
    pf.handlers()[ChangePfTable](HOST, ChangePfTable("", "bad", TableChange.FLUSH, ()))
    assert vnets.asked[-1][1].startswith("table inet pf\ndelete table inet pf\n")


def test_more_rules_than_marks_can_tell_apart_are_refused() -> None:
    rules = tuple(limiting(StateOptions(max_src_conn=number + 1)) for number in range(64))
    with pytest.raises(KernelError) as refused:
        compile_setup(PfSetup({"": Ruleset(filter=rules)}))
    assert refused.value.message == "more than 63 rules with max-src-conn or max-src-conn-rate"
