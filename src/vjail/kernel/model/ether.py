"""Frames: through epairs, wires and vlans, and through bridges as if_bridge(4) learns, forwards and drops.

Every rule is FreeBSD 13.2's: sys/net/{if_epair.c,if_vlan.c,if_ethersubr.c,if_bridge.c}; functions bear the names of
those they follow. Nothing here knows what a frame carries; what arrives for the host itself is handed on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from vjail.kernel.core.driver import Clock
from vjail.kernel.core.ifnet import FIRST_LOOPBACK, BridgeState, Membership
from vjail.kernel.errno import Errno
from vjail.kernel.model.devices import Device, Learnt
from vjail.kernel.model.packets import Discovery, Frame, Packet, Tag
from vjail.kernel.model.spanning import forwards, tree
from vjail.kernel.model.trace import Loss, Mark, Step
from vjail.kernel.observed import Iff, Kind, MemberFlag
from vjail.release import Release

_UNTAGGED = 1
_TAG = 4
"""Bytes of a tag: an epair takes frames with one more than its MTU has room for (struct ether_vlan_header)."""
_STP_ADDRESS = bytes.fromhex("0180c2000000")
_RESERVED = bytes.fromhex("0180c20000")
"""The first five octets of the addresses that IEEE 802.1D keeps from being forwarded; the sixth is below 16."""
_STORM = 20_000
"""Deliveries that one packet may cause before it is taken for a storm."""

Deliver = Callable[[Device, Frame, Mark], None]
"""Takes what arrived for the host on an interface."""


class Ether:
    """Moves frames. What happens is put in a queue, so that it happens in one order, and none of it deep."""

    def __init__(self, clock: Clock, release: Release, lose: Callable[[Mark], None]) -> None:
        """`lose` is told of every frame that is lost."""
        self._clock = clock
        self._release = release
        self._lose = lose
        self._queue: deque[tuple[Device, Frame, Mark]] = deque()
        self.deliver: Deliver
        self.carry: Deliver
        """Sends a frame of a vxlan through the network that it lies over."""

    def run(self) -> None:
        """Let everything under way arrive."""
        left = _STORM
        while self._queue:
            device, frame, mark = self._queue.popleft()
            left -= 1
            if left < 0:
                self.lost(device, mark, Loss.STORM)
                self._queue.clear()
                return
            self._input(device, frame, mark)

    def lost(self, device: Device, before: Mark | None, loss: Loss, detail: str = "") -> None:
        """Note that a frame or packet is lost."""
        self._lose(Mark(Step.LOST, device, detail, before, loss))

    # --- out --------------------------------------------------------------------------------------------------------

    def output(self, device: Device, frame: Frame, mark: Mark) -> Errno | None:
        """ether_output: send a frame by an interface, through its bridge if it is in one; ENETDOWN."""
        if not device.runs or Iff.MONITOR in device.ifnet.flags:
            self.lost(device, mark, _why_not_running(device))
            return Errno.ENETDOWN
        mark = Mark(Step.OUT, device, "", mark)
        membership = device.bridge()
        if membership is not None:
            self._bridge_output(device, *membership, frame, mark)
            return None
        return self._transmit(device, frame, mark)

    def _transmit(self, device: Device, frame: Frame, mark: Mark) -> Errno | None:
        """if_transmit of an interface."""
        match device.ifnet.kind:
            case Kind.EPAIR:
                return self._epair_transmit(device, frame, mark)
            case Kind.VLAN:
                return self._vlan_transmit(device, frame, mark)
            case Kind.BRIDGE:
                self._bridge_transmit(device, frame, mark)
            case Kind.NIC:
                self._wire_transmit(device, frame, mark)
            case Kind.VXLAN if device.runs:
                self.carry(device, frame, mark)
            case _:
                self.lost(device, mark, Loss.CLOSED if device.runs else Loss.DOWN)
        return None

    def _epair_transmit(self, device: Device, frame: Frame, mark: Mark) -> Errno | None:
        peer = device.other(device.ifnet.peer or 0)
        if self._release >= Release.V15 and frame.length + _TAG * (len(frame.tags) - 1) > device.ifnet.mtu:
            self.lost(device, mark, Loss.TOO_BIG, f"{frame.length} > {device.ifnet.mtu}")
            return Errno.EMSGSIZE
        if not device.runs:
            self.lost(device, mark, Loss.DOWN)
            return Errno.ENXIO
        if not peer.runs:
            self.lost(peer, mark, Loss.PEER_DOWN)
            return None
        self._queue.append((peer, frame, mark))
        return None

    def _wire_transmit(self, device: Device, frame: Frame, mark: Mark) -> None:
        wire = device.wire
        if not device.runs:
            self.lost(device, mark, Loss.DOWN)
        elif wire is None:
            self.lost(device, mark, Loss.NO_WIRE)
        elif not wire.reaches(device):
            self.lost(device, mark, Loss.CUT, wire.name)
        elif not (others := wire.others(device)):
            self.lost(device, mark, Loss.ALONE, wire.name)
        else:
            for port in others:
                self._queue.append((port, frame, mark))

    def _vlan_transmit(self, device: Device, frame: Frame, mark: Mark) -> Errno | None:
        state = device.ifnet.vlan
        if state is None or state.parent is None:
            self.lost(device, mark, Loss.UNBOUND)
            return Errno.ENETDOWN
        parent = device.other(state.parent)
        if not parent.runs:
            self.lost(parent, mark, Loss.PARENT_DOWN)
            return Errno.ENETDOWN
        tagged = Frame(frame.destination, frame.source, frame.payload, (Tag(state.tag, state.proto), *frame.tags))
        return self._transmit(parent, tagged, Mark(Step.TAGGED, parent, str(state.tag), mark))

    # --- in ---------------------------------------------------------------------------------------------------------

    def arrive(self, device: Device, frame: Frame, mark: Mark) -> None:
        """A frame comes in by an interface in its turn."""
        self._queue.append((device, frame, mark))

    def _input(self, device: Device, frame: Frame, mark: Mark) -> None:
        """ether_input."""
        if not device.runs:
            self.lost(device, mark, _why_not_running(device))
            return
        if device.ifnet.kind is Kind.NIC and frame.length > device.ifnet.mtu:
            self.lost(device, mark, Loss.TOO_BIG, f"{frame.length} > {device.ifnet.mtu}")
            return
        mark = Mark(Step.IN, device, "", mark)
        if Iff.MONITOR in device.ifnet.flags:
            self.lost(device, mark, Loss.MONITOR)
            return
        membership = device.bridge()
        if membership is not None and device.master is not None:
            self._bridge_input(device, *membership, frame, mark)
        else:
            self._demux(device, frame, mark)

    def _demux(self, device: Device, frame: Frame, mark: Mark) -> None:
        """ether_demux: to the vlan whose tag a frame carries, or to the host if it is for this interface."""
        if frame.tags:
            self._vlan_input(device, frame, mark)
        elif not frame.is_group and frame.destination != device.mac and Iff.PPROMISC not in device.ifnet.flags:
            loss = Loss.BRIDGE_DOWN if device.in_dead_bridge else Loss.FOREIGN_FRAME
            self.lost(device, mark, loss, frame.destination.hex(":"))
        else:
            self.deliver(device, frame, mark)

    def _vlan_input(self, device: Device, frame: Frame, mark: Mark) -> None:
        tag = frame.tags[0]
        for ident in device.ifnet.vlans:
            vlan = device.other(ident)
            state = vlan.ifnet.vlan
            if state is not None and (state.tag, state.proto) == (tag.vlan, tag.proto):
                if not vlan.runs:
                    self.lost(vlan, mark, Loss.DOWN)
                    return
                bare = Frame(frame.destination, frame.source, frame.payload, frame.tags[1:])
                self._queue.append((vlan, bare, Mark(Step.UNTAGGED, device, str(tag.vlan), mark)))
                return
        self.lost(device, mark, Loss.NO_TAG, str(tag.vlan))

    # --- bridges ----------------------------------------------------------------------------------------------------

    def _bridge_input(
        self, device: Device, bridge: Device, state: BridgeState, membership: Membership, frame: Frame, mark: Mark
    ) -> None:
        """bridge_input: for the bridge, for one of its members, or to be forwarded."""
        self._span(bridge, state, frame, mark)
        if frame.is_group:
            if frame.destination == _STP_ADDRESS:
                return
            if not forwards(bridge, device):
                self._demux(device, frame, mark)
                return
            self._forward(device, bridge, state, membership, frame, mark)
            self._input_again(bridge, frame, mark)
            self._demux(device, frame, mark)
            return
        if not forwards(bridge, device):
            self._demux(device, frame, mark)
            return
        for own in (bridge, device):
            if frame.destination == own.mac:
                self._take(device, bridge, state, membership, own, frame, mark)
                return
            if frame.source == own.mac:
                self.lost(bridge, mark, Loss.OWN_FRAME, f"{own.ifnet.name} {own.mac.hex(':')}")
                return
        if (other := bridge.member_called(frame.destination)) is not None:
            self._take(device, bridge, state, membership, other, frame, mark)
        elif (other := bridge.member_called(frame.source)) is not None:
            self.lost(bridge, mark, Loss.OWN_FRAME, f"{other.ifnet.name} {other.mac.hex(':')}")
        else:
            self._forward(device, bridge, state, membership, frame, mark)

    def _take(
        self,
        device: Device,
        bridge: Device,
        state: BridgeState,
        membership: Membership,
        own: Device,
        frame: Frame,
        mark: Mark,
    ) -> None:
        """A frame for the bridge or one of its members, whichever member it came in by."""
        if self._learn(bridge, state, device, membership, frame):
            self._demux(own, frame, mark if own is device else Mark(Step.IN, own, "", mark))
        else:
            self.lost(bridge, mark, Loss.FULL)

    def _input_again(self, bridge: Device, frame: Frame, mark: Mark) -> None:
        """A group frame arrives on the bridge too, for the host may listen there."""
        self._demux(bridge, frame, Mark(Step.IN, bridge, "", mark))

    def _forward(
        self, device: Device, bridge: Device, state: BridgeState, membership: Membership, frame: Frame, mark: Mark
    ) -> None:
        """bridge_forward."""
        if not self._learn(bridge, state, device, membership, frame):
            self.lost(bridge, mark, Loss.FULL)
            return
        passed = self._filtered(bridge, device, frame, mark, outbound=False)
        if passed is None:
            return
        frame = passed
        if frame.is_group:
            if frame.destination[:5] == _RESERVED and frame.destination[5] < 16:
                self.lost(bridge, mark, Loss.RESERVED)
                return
            self._broadcast(bridge, state, device, membership, frame, mark)
            return
        target = self._look_up(bridge, state, frame)
        if target is None:
            self._broadcast(bridge, state, device, membership, frame, mark)
            return
        if target is device:
            self.lost(bridge, mark, Loss.SAME_PORT, f"{device.ifnet.name} {frame.destination.hex(':')}")
            return
        if MemberFlag.PRIVATE in membership.flags & state.members[target.ifnet.ident].flags:
            self.lost(bridge, mark, Loss.PRIVATE, target.ifnet.name)
            return
        passed = self._filtered(bridge, target, frame, mark, outbound=True)
        if passed is not None:
            self._enqueue(bridge, target, passed, mark, Step.BRIDGED)

    def _filtered(self, bridge: Device, member: Device, frame: Frame, mark: Mark, *, outbound: bool) -> Frame | None:
        """bridge_pfil: the host's pf looks at what is bridged, on the member and on the bridge, where it is told to."""
        net = bridge.net
        payload = frame.payload
        if net.filter is None or not isinstance(payload, Packet | Discovery):
            return frame
        looked = [(bridge, "net.link.bridge.pfil_bridge"), (member, "net.link.bridge.pfil_member")]
        packet = payload if isinstance(payload, Packet) else payload.packet()
        for device, setting in looked if outbound else reversed(looked):
            if bridge.driver.setting(net.number, setting) == "0":
                continue
            passed = net.filter(device, packet, outbound=outbound)
            if passed is None:
                self.lost(device, mark, Loss.FILTERED)
                return None
            packet = passed
        return Frame(frame.destination, frame.source, packet, frame.tags) if isinstance(payload, Packet) else frame

    def _broadcast(
        self,
        bridge: Device,
        state: BridgeState,
        source: Device | None,
        from_member: Membership | None,
        frame: Frame,
        mark: Mark,
    ) -> None:
        """bridge_broadcast: to every member but the one it came from; `source` None: from the bridge itself."""
        for ident in _newest_first(state):
            target, flags = bridge.other(ident), state.members[ident].flags
            if target is source:
                continue
            if from_member is not None and MemberFlag.PRIVATE in from_member.flags & flags:
                self.lost(bridge, mark, Loss.PRIVATE, target.ifnet.name)
            elif MemberFlag.DISCOVER not in flags and not frame.is_group:
                self.lost(bridge, mark, Loss.UNKNOWN_MEMBER, target.ifnet.name)
            elif source is None:
                self._enqueue(bridge, target, frame, mark, Step.FLOODED)
            elif (passed := self._filtered(bridge, target, frame, mark, outbound=True)) is not None:
                self._enqueue(bridge, target, passed, mark, Step.FLOODED)

    def _enqueue(self, bridge: Device, target: Device, frame: Frame, mark: Mark, step: Step) -> None:
        if not forwards(bridge, target):
            self.lost(bridge, mark, Loss.BLOCKED, target.ifnet.name)
        elif Iff.RUNNING not in target.ifnet.flags:
            self.lost(target, mark, _why_not_running(target))
        else:
            self._transmit(target, frame, Mark(step, bridge, target.ifnet.name, mark))

    def _bridge_output(
        self, device: Device, bridge: Device, state: BridgeState, membership: Membership, frame: Frame, mark: Mark
    ) -> None:
        """bridge_output: what the host sends by a member goes where the bridge knows the station, or to all members."""
        if Iff.RUNNING not in bridge.ifnet.flags:
            self._transmit(device, frame, mark)
            return
        self._span(bridge, state, frame, mark)
        target = None if frame.is_group else self._look_up(bridge, state, frame)
        if target is not None:
            if Iff.RUNNING in target.ifnet.flags:
                self._transmit(target, frame, Mark(Step.BRIDGED, bridge, target.ifnet.name, mark))
            else:
                self.lost(target, mark, _why_not_running(target))
            return
        for ident in _newest_first(state):
            member = bridge.other(ident)
            if Iff.RUNNING not in member.ifnet.flags:
                self.lost(member, mark, _why_not_running(member))
            elif member is not device and not forwards(bridge, member):
                self.lost(bridge, mark, Loss.BLOCKED, member.ifnet.name)
            else:
                self._transmit(member, frame, Mark(Step.FLOODED, bridge, member.ifnet.name, mark))

    def _bridge_transmit(self, bridge: Device, frame: Frame, mark: Mark) -> None:
        """bridge_transmit: what the host sends by the bridge itself."""
        state = bridge.ifnet.bridge or BridgeState()
        self._span(bridge, state, frame, mark)
        target = None if frame.is_group else self._look_up(bridge, state, frame)
        if target is not None:
            self._enqueue(bridge, target, frame, mark, Step.BRIDGED)
        else:
            self._broadcast(bridge, state, None, None, frame, mark)

    def _span(self, bridge: Device, state: BridgeState, frame: Frame, mark: Mark) -> None:
        for ident in state.members if state.spans else ():
            if ident in state.spans:
                port = bridge.other(ident)
                if Iff.RUNNING in port.ifnet.flags:
                    self._transmit(port, frame, Mark(Step.COPIED, bridge, port.ifnet.name, mark))

    # --- what bridges learn -----------------------------------------------------------------------------------------

    def _learn(self, bridge: Device, state: BridgeState, device: Device, membership: Membership, frame: Frame) -> bool:
        """bridge_rtupdate: the source is behind this member. False: the frame must be dropped for want of room."""
        if MemberFlag.LEARNING not in membership.flags or frame.source[0] & 1 or not any(frame.source):
            return True
        now, ident = self._clock.monotonic(), device.ifnet.ident
        station = frame.source, frame.tags[0].vlan if frame.tags else _UNTAGGED
        known = bridge.stations.get(station)
        if known is not None and known.expires is not None and known.expires <= now:
            known = None
        if known is None:
            behind = sum(learnt.member == ident for learnt in bridge.stations.values()) if membership.ifmaxaddr else 0
            if len(bridge.stations) >= state.maxaddr or (membership.ifmaxaddr and behind >= membership.ifmaxaddr):
                return membership.ifmaxaddr == 0
            sticky = MemberFlag.STICKY in membership.flags
            bridge.stations[station] = Learnt(ident, now + (state.timeout or 1e9), sticky)
            return True
        if known.expires is not None:
            if not known.sticky:
                known.member = ident
            known.expires = now + (state.timeout or 1e9)
        return True

    def _follow_tree(self, bridge: Device) -> None:
        """Where spanning tree has come to something else, what was learnt before is forgotten (bstp_notify_rtage)."""
        now = tree(bridge)
        if now != bridge.tree:
            bridge.tree = now
            for station in [each for each, learnt in bridge.stations.items() if learnt.expires is not None]:
                del bridge.stations[station]

    def _look_up(self, bridge: Device, state: BridgeState, frame: Frame) -> Device | None:
        if bridge.tree is not None:
            self._follow_tree(bridge)
        station = frame.destination, frame.tags[0].vlan if frame.tags else _UNTAGGED
        known = bridge.stations.get(station)
        if known is None or known.member not in state.members:
            return None
        if known.expires is not None and known.expires <= self._clock.monotonic():
            del bridge.stations[station]
            return None
        return bridge.other(known.member)


def _newest_first(state: BridgeState) -> list[int]:
    """The members, span ports not counted, in the order in which the kernel goes through them."""
    return [ident for ident, membership in reversed(state.members.items()) if MemberFlag.SPAN not in membership.flags]


def _why_not_running(device: Device) -> Loss:
    if not device.ifnet.up:
        return Loss.LOOPBACK_DOWN if device.ifnet.name == FIRST_LOOPBACK else Loss.DOWN
    if device.ifnet.kind is Kind.VLAN:
        return Loss.UNBOUND
    return Loss.MONITOR if Iff.MONITOR in device.ifnet.flags else Loss.DOWN
