"""The network driver on Linux: what the core's rules decided, with netlink (links.py) and /proc/sys/net.

This says only which part does what; what the parts share is ports.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from vjail.kernel.core.ifnet import IfNet
from vjail.kernel.core.journal import Journal
from vjail.kernel.linux.bonds import Laggs
from vjail.kernel.linux.bridges import Bridges, is_span
from vjail.kernel.linux.epairs import Epairs
from vjail.kernel.linux.guards import Guards
from vjail.kernel.linux.inet import Inets
from vjail.kernel.linux.making import Making
from vjail.kernel.linux.ports import Ports
from vjail.kernel.linux.routing import Routing
from vjail.kernel.linux.settings import Settings
from vjail.kernel.linux.stations import Stations
from vjail.kernel.linux.vlans import Vlans
from vjail.kernel.linux.vnets import VnetSpaces
from vjail.kernel.linux.vxlans import Vxlans
from vjail.kernel.linux.watch import Watch

P = ParamSpec("P")
T = TypeVar("T")


class LinuxNetwork:
    """A `NetworkDriver` (core/driver.py), whose words are explained there."""

    def __init__(self, vnets: VnetSpaces, journal: Journal, watch: Watch) -> None:
        """`watch` calls when something is to be read from a descriptor."""
        self._ports = ports = Ports(vnets, journal)
        inets = Inets(ports)
        self.remove_address = inets.remove_address
        self.set_inet6 = inets.set_inet6
        self.seen, self.see = inets.seen, inets.see

        settings = Settings(ports, inets)
        self._set_up, self.set_mtu, self.set_carrier = settings.set_up, settings.set_mtu, settings.set_carrier
        self.set_arp, self.set_promiscuous = settings.set_arp, settings.set_promiscuous
        self.set_description = settings.set_description

        self._guards = Guards(ports, watch)
        self._bridges = bridges = Bridges(ports, self._guards)
        self.configure_member, self.configure_bridge = bridges.configure_member, bridges.configure_bridge

        self._epairs = epairs = Epairs(ports, inets, settings, self.attach)
        self.settle = epairs.settle
        self.spanning_tree = self._settled(bridges.tree)
        self.bridge_addresses, self.bridge_flush = self._settled(bridges.addresses), self._settled(bridges.flush)
        self.bridge_static, self.bridge_forget = self._settled(bridges.add_static), self._settled(bridges.forget)

        self._stations = stations = Stations(ports, inets, settings)
        self.add_address, self.set_lladdr = stations.add_address, stations.set_lladdr

        self._making = making = Making(ports, inets, stations, epairs)
        self.create, self.destroy = making.create, making.destroy
        self.rename, self.move, self.lacks = making.rename, making.move, making.lacks

        laggs = Laggs(ports)
        self.add_lagg_port, self.delete_lagg_port = laggs.add, laggs.delete
        self.set_lagg_protocol = laggs.set_protocol

        vxlans = Vxlans(ports, inets, settings)
        self.bind_vxlan, self.unbind_vxlan, self.flush_vxlan = self._settled(vxlans.bind), vxlans.unbind, vxlans.flush

        self.vlans = Vlans(ports, inets, settings, bridges)

        routing = Routing(ports)
        self.routes, self.add_route, self.delete_route = routing.routes, routing.add_route, routing.delete_route
        self.neighbours = routing.neighbours
        self.add_neighbour = self._settled(routing.add_neighbour)
        self.delete_neighbour = self._settled(routing.delete_neighbour)
        self.get_forwarding, self.set_forwarding = routing.get_forwarding, routing.set_forwarding
        # Beyond the driver's words, what the host needs for ping(8) and the like.
        self.check_reachable = self._settled(routing.check_reachable)
        self.is_through_gateway = routing.is_through_gateway
        self.forget_unanswered, self.ways = routing.forget_unanswered, routing.ways

    def adopt(self, interfaces: Sequence[IfNet]) -> None:
        """Take over interfaces that another server made."""
        self._making.adopt(interfaces)
        self.vlans.adopt()
        self._guards.adopt()

    def attach(self, bridge: IfNet, member: IfNet) -> None:
        """Let the bridge have the member's frames; tagged ones too, which its vlans had until now."""
        self._bridges.attach(bridge, member)
        if not is_span(member):
            self.vlans.set_bridged(member, True)
            self._stations.provide(member)

    def detach(self, bridge: IfNet, member: IfNet) -> None:
        """The opposite of attach."""
        self._stations.remove(member)
        self._bridges.detach(bridge, member)
        self.vlans.set_bridged(member, False)

    def bind_vlan(self, vlan: IfNet, parent: IfNet) -> None:
        """Tag what `vlan` sends with its tag and give it what arrives on `parent` so tagged."""
        self.settle()
        self._stations.remove(vlan)
        self.vlans.bind(vlan, parent)
        self._stations.provide(vlan)

    def unbind_vlan(self, vlan: IfNet) -> None:
        """The opposite of bind_vlan."""
        self._stations.remove(vlan)
        self.vlans.unbind(vlan)

    def _settled(self, action: Callable[P, T]) -> Callable[P, T]:
        """The same, but that every interface has its device first."""

        def settled(*args: P.args, **kwargs: P.kwargs) -> T:
            self.settle()
            return action(*args, **kwargs)

        return settled

    def set_up(self, ifnet: IfNet, up: bool) -> None:
        """Set or clear UP."""
        self._set_up(ifnet, up)
        if up:
            self._epairs.came_up(ifnet)

    def index_of(self, vnet: int, name: str) -> int:
        """The index of the device of that name in a vnet, 0 where it has none or is not there."""
        self.settle()
        found = (port.speaker for port in self._ports.of(vnet).values() if port.ifnet.name == name)
        return next(found, 0)
