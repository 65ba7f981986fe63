"""Members that keep watch over link-layer addresses: `sticky`, and those with an `ifmaxaddr`.

Linux learns addresses by itself and says so afterwards. A sticky member's are then fixed to it, and a member that has
as many as it may is locked: frames from other sources are dropped, until an address is forgotten. What a burst sends in
the moment between is let through, and forgotten.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, field

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.linux import links
from vjail.kernel.linux import netlink as nl
from vjail.kernel.linux.netlink import NetlinkError, Socket
from vjail.kernel.linux.ports import Ports, tolerant
from vjail.kernel.linux.watch import Watch
from vjail.kernel.observed import MemberFlag


@dataclass(slots=True)
class _Post:
    """What is listened to in one vnet, for which members (their idents)."""

    socket: Socket
    members: set[int] = field(default_factory=set)


class Guards:
    """The members of all vnets that are watched over."""

    def __init__(self, ports: Ports, watch: Watch) -> None:
        self._ports = ports
        self._watch = watch
        self._posts: dict[int, _Post] = {}
        self._locked: dict[int, bool] = {}
        """Whether a member is locked, once that has been seen to."""

    def is_locked(self, member: IfNet) -> bool:
        """Whether a member has as many addresses as it may."""
        return self._locked.get(member.ident, False)

    def keep(self, member: IfNet) -> None:
        """Watch over an attached member as its flags and numbers ask for, or no more."""
        membership = member.member
        if membership is None or not (MemberFlag.STICKY in membership.flags or membership.ifmaxaddr):
            self.leave(member)
            return
        vnet = self._ports[member.ident].vnet
        post = self._posts.get(vnet)
        if post is None:
            with self._ports.vnets.inside(vnet):
                post = self._posts[vnet] = _Post(Socket(nl.RTMGRP_NEIGH))
            self._watch.add(post.socket.fileno(), lambda: self._hear(vnet))
        post.members.add(member.ident)
        self.look(member)

    def leave(self, member: IfNet) -> None:
        """Watch over a member no more."""
        self._locked.pop(member.ident, None)
        for vnet, post in list(self._posts.items()):
            post.members.discard(member.ident)
            if not post.members:
                self._watch.remove(post.socket.fileno())
                post.socket.close()
                del self._posts[vnet]

    def adopt(self) -> None:
        """Watch over the members that another server has attached."""
        for port in self._ports:
            bridge = self._ports.find(port.ifnet.member.bridge) if port.ifnet.member is not None else None
            if bridge is not None and bridge.ifnet.up and port.index:
                self.keep(port.ifnet)

    def _hear(self, vnet: int) -> None:
        post = self._posts[vnet]
        heard = post.socket.heard()
        indexes = None if heard is None else {links.read_entry(message).index for message in heard}
        for ident in list(post.members):
            port = self._ports.find(ident)
            if port is not None and (indexes is None or port.index in indexes):
                self.look(port.ifnet)

    def look(self, member: IfNet) -> None:
        """See which addresses a watched member has now, and do what follows from it."""
        membership, port = member.member, self._ports[member.ident]
        if membership is None or not port.index:
            return
        socket, bridge = self._ports.vnets[port.vnet].socket, self._ports[membership.bridge]
        try:
            entries = [
                entry
                for entry in map(links.read_entry, socket.dump(*links.dump_forwarding(bridge.index)))
                if entry.index == port.index and entry.lladdr and not entry.state & links.NUD_PERMANENT
            ]
            if membership.ifmaxaddr:
                entries = self._limit(socket, port.index, member, membership.ifmaxaddr, entries)
            if MemberFlag.STICKY in membership.flags:
                socket.request(
                    *(
                        links.add_forwarding(port.index, entry.lladdr, sticky=True)
                        for entry in entries
                        if entry.lladdr and not entry.state & links.NUD_NOARP
                    )
                )
        except NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise

    def _limit(
        self, socket: Socket, index: int, member: IfNet, most: int, entries: list[links.Entry]
    ) -> list[links.Entry]:
        """Lock or unlock the member, and forget what it learnt beyond its limit, the latest first."""
        # Lock it first: what is forgotten would be learnt again.
        full = len(entries) >= most
        if full != self._locked.get(member.ident):
            socket.request(links.lock_port(index, full))
            self._locked[member.ident] = full
        entries.sort(key=lambda entry: -entry.updated)
        socket.request(
            *(
                tolerant(links.delete_forwarding(index, entry.lladdr), errno.ENOENT)
                for entry in entries[most:]
                if entry.lladdr and not entry.state & links.NUD_NOARP
            )
        )
        return entries[:most]
