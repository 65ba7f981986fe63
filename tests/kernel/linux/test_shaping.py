"""What is asked of the kernel for wires that delay, lose and limit: read by pyroute2 as it was meant, and in order."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from pyroute2.netlink import nlmsg
from pyroute2.netlink.nfnetlink.nftsocket import nft_chain_msg, nft_rule_msg, nft_table_msg
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from vjail.kernel.conditions import Conditions
from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux import nftables as nft
from vjail.kernel.linux import qdiscs
from vjail.kernel.linux.netlink import Message, NetlinkError, Request
from vjail.kernel.linux.shaping import Shaper

ROOT = 0xFFFFFFFF


def read(message: type[nlmsg], request: Request) -> Any:
    """A request as pyroute2 reads it."""
    head = struct.pack("=IHHII", 16 + len(request.body), request.kind, request.flags, 1, 0)
    found = message(head + request.body)
    found.decode()
    return found


# --- qdiscs -----------------------------------------------------------------------------------------------------------


def test_netem() -> None:
    found = read(tcmsg, qdiscs.netem(7, delay=20_000_000, loss=10_000, rate=1_250_000, limit=99))
    assert (found["index"], found["parent"], found["handle"]) == (7, ROOT, 0x10000)
    assert found.get_attr("TCA_KIND") == "netem"
    options = found.get_attr("TCA_OPTIONS")
    told = {name: options[name] for name in ("delay", "limit", "loss", "gap", "duplicate", "jitter")}
    # A tick is 64 ns, a loss a share of all numbers of 32 bits.
    assert told == {"delay": 312_500, "limit": 99, "loss": (1 << 32) // 100, "gap": 0, "duplicate": 0, "jitter": 0}
    assert options.get_attr("TCA_NETEM_RATE")["rate"] == 1_250_000


def test_netem_has_what_does_not_fit_32_bits() -> None:
    body = qdiscs.netem(7, delay=10**10, loss=0, rate=12_500_000_000, limit=1).body
    options = nl.attributes(nl.attributes(body, 20)[2], 24)
    assert struct.unpack("=q", options[10]) == (10**10,)
    assert struct.unpack("=Q", options[8]) == (12_500_000_000,)
    assert struct.unpack_from("=I", options[6]) == ((1 << 32) - 1,)


def test_htb() -> None:
    found = read(tcmsg, qdiscs.htb(7))
    assert (found["index"], found["parent"], found["handle"]) == (7, ROOT, 0x10000)
    assert found.get_attr("TCA_OPTIONS").get_attr("TCA_HTB_INIT")["defcls"] == 1


@pytest.mark.parametrize(("rate", "said"), [(3_276_750, 3_276_750), (12_500_000_000, (1 << 32) - 1)])
def test_a_class_of_htb(rate: int, said: int) -> None:
    request = qdiscs.htb_class(7, 3, rate=rate, burst=1_000_000, lightest=qdiscs.HEAVIEST)
    found = read(tcmsg, request)
    assert request.kind == nl.RTM_NEWTCLASS
    assert (found["index"], found["parent"], found["handle"]) == (7, 0x10000, 0x10003)
    assert qdiscs.priority(3) == 0x10003
    parameters = found.get_attr("TCA_OPTIONS").get_attr("TCA_HTB_PARMS")
    for name in ("rate", "ceil"):
        assert (parameters[name], parameters[f"{name}_mpu"]) == (said, 65535)
        large = found.get_attr("TCA_OPTIONS").get_attr(f"TCA_HTB_{name.upper()}64")
        assert large == (rate if rate != said else None)
    assert (parameters["buffer"], parameters["cbuffer"]) == (15_625, 15_625)


def test_a_queue_of_bytes() -> None:
    request = qdiscs.queue(7, 72_000)
    found = read(tcmsg, request)
    assert (found["parent"], found.get_attr("TCA_KIND")) == (0x10001, "bfifo")
    assert nl.attributes(request.body, 20)[2] == struct.pack("=I", 72_000)


# --- nf_tables --------------------------------------------------------------------------------------------------------


def test_tables_and_chains() -> None:
    table = read(nft_table_msg, nft.add_table("w1"))
    assert (table["nfgen_family"], table.get_attr("NFTA_TABLE_NAME")) == (5, "w1")
    chain = read(nft_chain_msg, nft.add_chain("w1", "p1", "eth1", nft.Hook.EGRESS))
    hook = chain.get_attr("NFTA_CHAIN_HOOK")
    assert (chain.get_attr("NFTA_CHAIN_TABLE"), chain.get_attr("NFTA_CHAIN_NAME")) == ("w1", "p1")
    assert chain.get_attr("NFTA_CHAIN_TYPE") == "filter"
    assert (hook.get_attr("NFTA_HOOK_HOOKNUM"), hook.get_attr("NFTA_HOOK_DEV")) == (1, "eth1")
    assert read(nft_chain_msg, nft.add_chain("w1", "x")).get_attr("NFTA_CHAIN_HOOK") is None


def expressions(request: Request) -> Iterator[tuple[str, dict[int, bytes]]]:
    """The expressions of a rule: name and attributes."""
    for _, element in nl.each_attribute(nl.attributes(request.body, 4)[4]):
        found = nl.attributes(element)
        yield nl.string(found[1]), nl.attributes(found[2])


def test_a_rule_loses_some_of_a_million() -> None:
    hit = nft.chance(1_000_000) + nft.compare(nft.Compare.LESS, struct.pack(">I", 5_000))
    request = nft.add_rule("w1", "frames", hit, nft.decide(nft.Verdict.DROP))
    found = read(nft_rule_msg, request)
    assert (found.get_attr("NFTA_RULE_TABLE"), found.get_attr("NFTA_RULE_CHAIN")) == ("w1", "frames")
    numgen, byteorder, cmp, immediate = expressions(request)
    one = struct.pack(">I", 1)
    assert numgen == ("numgen", {1: one, 2: struct.pack(">I", 1_000_000), 3: one})
    assert byteorder[0] == "byteorder"
    assert cmp == ("cmp", {1: one, 2: struct.pack(">I", 2), 3: nl.attribute(1, struct.pack(">I", 5_000))})
    assert immediate[0] == "immediate"
    assert immediate[1][1] == bytes(4)


# --- in order ---------------------------------------------------------------------------------------------------------


class Kernel:
    """Takes requests; has no qdisc of some kinds, and no expression of some names."""

    def __init__(self, *lacks: str) -> None:
        self.lacks = [f"{each}\0".encode() for each in lacks]
        self.asked: list[Request] = []
        self.links: dict[str, tuple[int, str]] = {}

    def request(self, *requests: Request) -> None:
        for each in requests:
            if any(word in each.body for word in self.lacks):
                raise NetlinkError(errno.ENOENT, "Specified qdisc kind is unknown")
            self.asked.append(each)
            if each.kind == nl.RTM_NEWLINK and each.flags & nl.NLM_F_CREATE:
                self.links = {"d1": (71, ""), "e1": (72, "")}
            elif each.kind == nl.RTM_NEWLINK and (alias := nl.attributes(each.body, 16).get(20)) is not None:
                self.links["d1"] = (71, alias.rstrip(b"\0").decode())
            elif each.kind == nl.RTM_DELLINK:
                self.links = {}

    def transact(self, _: Request, requests: Sequence[Request], __: Request) -> None:
        self.request(*requests)

    def get(self, _: int, body: bytes) -> Message:
        name = next(nl.string(value) for kind, value in nl.each_attribute(body, 16) if kind == 3)
        if name not in self.links:
            raise NetlinkError(errno.ENODEV, "No such device")
        index, alias = self.links[name]
        head = struct.pack("=BxHiII", 0, 0, index, 0, 0)
        return Message(nl.RTM_NEWLINK, head + nl.text(3, name) + nl.u32(4, 65535) + nl.text(20, alias))


@pytest.fixture
def shaper() -> Callable[[Kernel], Shaper]:
    def made(kernel: Kernel) -> Shaper:
        return Shaper(kernel, lambda: kernel)  # type: ignore[arg-type, return-value]

    return made


ALL = Conditions(20_000_000, 10_000, 10_000_000)


def test_netem_does_all(shaper: Callable[[Kernel], Shaper]) -> None:
    kernel = Kernel()
    found = shaper(kernel)
    assert found.lacking(ALL) == {}
    kernel.asked.clear()
    found.shape("w1", {"p1": 11, "p2": 12}, ALL)
    qdisc = [read(tcmsg, each) for each in kernel.asked if each.kind == nl.RTM_NEWQDISC]
    assert [(each["index"], each.get_attr("TCA_KIND")) for each in qdisc] == [(11, "netem"), (12, "netem")]
    assert kernel.links == {}
    found.shape("w1", {"p1": 11}, Conditions())
    assert kernel.asked[-3].kind == nl.RTM_DELQDISC


def test_without_netem_there_is_a_line_and_it_stays_while_it_is_right(shaper: Callable[[Kernel], Shaper]) -> None:
    kernel = Kernel("netem")
    found = shaper(kernel)
    assert found.lacking(ALL) == {}
    kernel.asked.clear()
    found.shape("w1", {"p1": 11, "p2": 12}, ALL)
    classes = [read(tcmsg, each) for each in kernel.asked if each.kind == nl.RTM_NEWTCLASS]
    # One for each port, and so many that each frame of 25,000 a second finds one that 20 ms have gone by in twice.
    assert [each["index"] for each in classes] == [11, 12, *[71] * 1000]
    paid = classes[-1].get_attr("TCA_OPTIONS").get_attr("TCA_HTB_PARMS")
    assert paid["rate_mpu"] / paid["rate"] == pytest.approx(0.02)
    assert kernel.links["d1"] == (71, "20000000")
    kernel.asked.clear()
    found.shape("w1", {"p1": 11, "p3": 13}, ALL)
    assert nl.RTM_DELLINK not in [each.kind for each in kernel.asked]
    found.shape("w1", {"p1": 11}, Conditions(delay=1_000_000))
    assert kernel.links["d1"] == (71, "1000000")
    found.shape("w1", {"p1": 11}, Conditions())
    assert kernel.links == {}


def test_it_is_told_what_is_lacking(shaper: Callable[[Kernel], Shaper]) -> None:
    kernel = Kernel("netem", "htb", "dup")
    found = shaper(kernel)
    netem, htb = "sch_netem (CONFIG_NET_SCH_NETEM)", "sch_htb (CONFIG_NET_SCH_HTB)"
    dup = "nft_dup_netdev (CONFIG_NFT_DUP_NETDEV)"
    assert found.lacking(ALL) == {"delay": (netem, htb, dup), "rate": (netem, htb)}
    assert found.lacking(Conditions(loss=1)) == {}
    assert found.lacking(Conditions()) == {}
    # A module may have come.
    kernel.lacks.clear()
    assert found.lacking(ALL) != {}
    found.look_again()
    assert found.lacking(ALL) == {}
