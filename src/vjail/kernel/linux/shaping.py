"""Wires that delay, lose and limit: what the kernel has for that, put on the ports by which frames leave a wire.

A frame leaves a wire once for each card that gets it, and by then it is certain that it does; so whatever is sent to a
card meets the wire's conditions once. Where the kernel has netem, that is the root qdisc of each port, and does all.

Else a frame is lost by a rule of nf_tables at the port, and limited by a class of htb, the port's root qdisc. What
delays is a pair of devices between which frames that leave a port make a detour, the *line*. Frames go into it through
classes of htb, each through the next one. A class of htb gives way to a frame and then, as it is in debt, to no other
for as long as the frame was heavy. All frames weigh the same there, and the debt for one is the delay; so first a copy
of the frame is sent through its class, and the frame follows when that is paid. At the line's other end the copy ends,
and the frame is sent out of its port. All this is to be had without root too.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable, Iterator, Mapping

from vjail.kernel.conditions import Conditions
from vjail.kernel.core.mac import nic_address
from vjail.kernel.linux import links, qdiscs
from vjail.kernel.linux import nftables as nft
from vjail.kernel.linux.netlink import Message, NetlinkError, Request, Socket

_SECOND = 1_000_000_000
_LOOPBACK, _LOOPBACK_INDEX = "lo", 1
_TRIAL = "vjail_trial"
_MILLION = 1_000_000

_COPY = 0xFFFF_FFFF
"""The mark of a copy that only makes debts. That of a frame in the line is the index of the port it leaves by, and as
frames that come from hosts have none, those that come out of the line are known by it."""
_FRAMES, _FEWEST, _MOST = 25_000, 64, 8192
"""Frames a second that a line carries, and how many classes one has. A class is in use for twice the delay."""
_WIDEST = 65535

_AHEAD = _SECOND // 1000
"""Nanoseconds for which frames may be ahead of a rate."""
_PATIENCE, _QUEUE = 10, 72 << 10
"""What waits for a rate: as much as goes in this part of a second; bytes that may wait always, as one frame may be."""
_SMALLEST, _USUAL = 64, 1514
"""Bytes of frames."""

_NETEM, _HTB = "sch_netem (CONFIG_NET_SCH_NETEM)", "sch_htb (CONFIG_NET_SCH_HTB)"
_TABLES, _EGRESS = "nf_tables (CONFIG_NF_TABLES_NETDEV)", "their hook for what is sent (CONFIG_NETFILTER_EGRESS)"
_NUMGEN, _DUP = "nft_numgen (CONFIG_NFT_NUMGEN)", "nft_dup_netdev (CONFIG_NFT_DUP_NETDEV)"
_FWD = "nft_fwd_netdev (CONFIG_NFT_FWD_NETDEV)"
_NEEDS = {
    "delay": (_HTB, _TABLES, _EGRESS, _NUMGEN, _DUP, _FWD),
    "loss": (_TABLES, _EGRESS, _NUMGEN),
    "rate": (_HTB,),
}
"""What each needs of a kernel that has no netem."""


class Shaper:
    """Puts conditions on the wires of a lab, whose network namespace the socket is of."""

    def __init__(self, socket: Socket, netfilter: Callable[[], Socket]) -> None:
        """`netfilter` opens a socket of that protocol in the same namespace; it raises OSError."""
        self._socket = socket
        self._open = netfilter
        self._netfilter: Socket | None = None
        self._lacks: dict[str, bool] = {}

    # --- what the kernel has -----------------------------------------------------------------------------------------

    def lacking(self, conditions: Conditions) -> dict[str, tuple[str, ...]]:
        """The keys that this machine cannot carry out, each with what its kernel lacks."""
        if not conditions or not self._is_without(_NETEM):
            return {}
        missing = {key: tuple(each for each in _NEEDS[key] if self._is_without(each)) for key in conditions.names()}
        return {key: (_NETEM, *features) for key, features in missing.items() if features}

    def look_again(self) -> None:
        """What was lacking may have come since, as a module."""
        self._lacks = {feature: lacks for feature, lacks in self._lacks.items() if not lacks}

    def _is_without(self, feature: str) -> bool:
        """Whether the kernel lacks something, tried on the loopback of a namespace where nobody uses it."""
        if feature not in self._lacks:
            try:
                self._try(feature)
                self._lacks[feature] = False
            except OSError:
                self._lacks[feature] = True
        return self._lacks[feature]

    def _try(self, feature: str) -> None:
        link = _LOOPBACK_INDEX
        if feature in (_NETEM, _HTB):
            netem = qdiscs.netem(link, delay=1, loss=0, rate=0, limit=1)
            self._socket.request(netem if feature == _NETEM else qdiscs.htb(link))
            self._socket.request(qdiscs.remove(link))
            return
        device = None if feature == _TABLES else _LOOPBACK
        rules = {
            _NUMGEN: nft.chance(2),
            _DUP: nft.number(link) + nft.copy_out(),
            _FWD: nft.number(link) + nft.send_out(),
        }
        self._transact(
            nft.add_table(_TRIAL),
            nft.add_chain(_TRIAL, "trial", device),
            nft.add_rule(_TRIAL, "trial", rules.get(feature, nft.decide(nft.Verdict.ACCEPT))),
            nft.delete_table(_TRIAL),
        )

    def _transact(self, *requests: Request) -> None:
        if self._netfilter is None:
            self._netfilter = self._open()
        self._netfilter.transact(nft.BEGIN, requests, nft.END)

    # --- a wire ------------------------------------------------------------------------------------------------------

    def shape(self, bridge: str, ports: Mapping[str, int], conditions: Conditions) -> None:
        """Let the ports of a wire, by name with their indexes, have its conditions, whatever they have. OSError."""
        with_netem = bool(conditions) and not self._is_without(_NETEM)
        for port in ports.values():
            if with_netem:
                self._do_all(port, conditions)
            else:
                self._limit(port, conditions.rate)
        if with_netem:
            conditions = Conditions()
        line = _Line(bridge)
        entry = self._make(line, conditions.delay)
        if not self._is_without(_TABLES):
            table = [nft.add_table(bridge), nft.delete_table(bridge)]
            if entry is not None or conditions.loss:
                table += [nft.add_table(bridge), *_rules(bridge, ports, conditions, line, entry)]
            self._transact(*table)

    def _do_all(self, port: int, conditions: Conditions) -> None:
        if conditions:
            try:
                self._socket.request(_netem(port, conditions))
                return
            except NetlinkError as error:
                if error.errno != errno.EINVAL:
                    raise
        # There is none to be, or another, which was made when there was no netem.
        self._socket.request(qdiscs.remove(port))
        if conditions:
            self._socket.request(_netem(port, conditions))

    def _limit(self, port: int, rate: int) -> None:
        if not rate:
            self._socket.request(qdiscs.remove(port))
            return
        share = max(1, rate // 8)
        self._socket.request(
            qdiscs.htb(port),
            qdiscs.htb_class(port, 1, rate=share, burst=_AHEAD),
            qdiscs.queue(port, max(_QUEUE, share // _PATIENCE)),
        )

    def _make(self, line: _Line, delay: int) -> int | None:
        """Let there be a line that takes so long, or none; the index of its entry."""
        there = self._find(line.entry)
        if there is not None:
            if delay and links.read_alias(there) == str(delay):
                return links.read_link(there).index
            self._socket.request(links.delete(links.read_link(there).index))
        if not delay:
            return None
        self._socket.request(links.new_veth(*line.ends(), _WIDEST))
        entry, end = (links.read_link(self._socket.get(*links.get_link(name))).index for name in (line.entry, line.end))
        # A class holds the copy, the frame, and where frames come too fast one more of each.
        self._socket.request(links.set_queue_length(entry, 4), qdiscs.htb(entry), *_classes(entry, delay))
        self._socket.request(*(links.set_flags(each, links.IFF_UP, links.IFF_UP) for each in (entry, end)))
        # What a line takes it is called only now that it is whole.
        self._socket.request(links.set_alias(entry, str(delay)))
        return entry

    def _find(self, name: str) -> Message | None:
        try:
            return self._socket.get(*links.get_link(name))
        except NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise
            return None


class _Line:
    """The two devices of a wire's line: frames are sent into its `entry`, and come in at its `end`."""

    def __init__(self, bridge: str) -> None:
        self._bridge = bridge
        self.entry, self.end = f"d{bridge[1:]}", f"e{bridge[1:]}"

    def ends(self) -> tuple[tuple[str, bytes], tuple[str, bytes]]:
        """Both with their MACs."""
        entry, end = ((name, nic_address("wire", self._bridge, name)) for name in (self.entry, self.end))
        return entry, end


def _classes(entry: int, delay: int) -> Iterator[Request]:
    rate = max(1, qdiscs.HEAVIEST * _SECOND // delay)
    for number in range(1, _many(delay) + 1):
        yield qdiscs.htb_class(entry, number, rate=rate, lightest=qdiscs.HEAVIEST)


def _many(delay: int) -> int:
    return min(_MOST, max(_FEWEST, 2 * delay * _FRAMES // _SECOND))


def _rules(
    bridge: str, ports: Mapping[str, int], conditions: Conditions, line: _Line, entry: int | None
) -> Iterator[Request]:
    """What a wire's table holds. `entry`: the index of its line's, where frames are to be delayed."""
    frames = "frames"
    yield nft.add_chain(bridge, frames)
    if entry is not None:
        unmarked = struct.pack("=I", 0)
        from_line = nft.load(nft.Meta.MARK) + nft.compare(nft.Compare.NOT_EQUAL, unmarked)
        yield nft.add_rule(bridge, frames, from_line, nft.decide(nft.Verdict.ACCEPT))
    if conditions.loss:
        hit = nft.chance(_MILLION) + nft.compare(nft.Compare.LESS, struct.pack(">I", conditions.loss))
        yield nft.add_rule(bridge, frames, hit, nft.decide(nft.Verdict.DROP))
    if entry is not None:
        next_class = nft.count(_many(conditions.delay), qdiscs.priority(1)) + nft.store(nft.Meta.PRIORITY)
        copied = nft.number(_COPY) + nft.store(nft.Meta.MARK) + nft.number(entry) + nft.copy_out()
        yield nft.add_rule(bridge, frames, next_class, copied)
        own = nft.load(nft.Meta.OIF) + nft.store(nft.Meta.MARK)
        yield nft.add_rule(bridge, frames, own, nft.number(entry), nft.send_out())
        yield nft.add_chain(bridge, line.end, line.end, nft.Hook.INGRESS)
        is_copy = nft.load(nft.Meta.MARK) + nft.compare(nft.Compare.EQUAL, struct.pack("=I", _COPY))
        yield nft.add_rule(bridge, line.end, is_copy, nft.decide(nft.Verdict.DROP))
        yield nft.add_rule(bridge, line.end, nft.load(nft.Meta.MARK), nft.send_out())
    for port in ports:
        yield nft.add_chain(bridge, port, port)
        yield nft.add_rule(bridge, port, nft.jump(frames))


def _netem(port: int, conditions: Conditions) -> Request:
    """All conditions at once, and room for the frames that are on their way and for those that wait."""
    share = max(1, conditions.rate // 8) if conditions.rate else 0
    if share:
        limit = conditions.delay * share // _SMALLEST // _SECOND + max(100, share // _PATIENCE // _USUAL)
    else:
        limit = conditions.delay * _MILLION // _SECOND + 1000
    return qdiscs.netem(port, delay=conditions.delay, loss=conditions.loss, rate=share, limit=limit)
