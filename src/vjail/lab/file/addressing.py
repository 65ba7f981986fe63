"""Addresses of networks: what is written (`auto`, `.10`, 10.0.0.5) becomes addresses, each given once on a segment."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_address, ip_interface

from vjail.lab.file.lock import Lock
from vjail.lab.file.nodes import At, Place, Problems
from vjail.lab.file.topology import Address, Interface, Network

_FIRST_AUTO = 2
"""The host part that `auto` begins with; .1 is where people look for a gateway."""
_GATEWAY = "the gateway"
_LAST_AUTO = 65_535


@dataclass(slots=True)
class Segment:
    """Who has which address of those who see each other's frames: a network's members, all on its uplink's wire."""

    owners: dict[Address, str] = field(default_factory=dict)
    gateways: set[Address] = field(default_factory=set)
    """Gateways that nobody has yet."""

    def claim(self, owner: str, written: At[str], address: Address, problems: Problems) -> None:
        """Give an address that stands by itself to its owner; told, where it is another's."""
        first = self.owners.setdefault(address, owner)
        if first != owner:
            problems.say(written.place, f"{address} is {first}'s, on the same wire", "an address of its own")


class Pool:
    """The addresses of one network of a host, on a segment that others may be on too."""

    def __init__(
        self,
        name: str,
        subnets: Sequence[Network],
        problems: Problems,
        old: Lock,
        new: Lock,
        routers: Collection[str] = (),
        segment: Segment | None = None,
        *,
        whole: bool = True,
    ) -> None:
        """`name`: HOST/NETWORK. What `auto` gives is looked up in the old lock and noted in the new one.

        `routers`: the jails that forward, one of which may have the gateway's address. `whole`: the subnets are all
        that the file gives it; where one could not be read, nothing is said of what may be in that.
        """
        self.whole = whole
        self._name = name
        self._subnets: dict[int, list[Network]] = {
            4: [s for s in subnets if s.version == 4],
            6: [s for s in subnets if s.version == 6],
        }
        self._problems = problems
        self._old, self._new = old, new
        segment = segment or Segment()
        self._owners, self._gateways = segment.owners, segment.gateways
        self._routers = routers
        self._none_left: set[Place] = set()
        """Where that was told: once for all replicas of a jail."""

    def take(self, owner: str, written: At[str], step: int = 0) -> Interface | None:
        """The address that is written; `step` is added to a host part. None, and told, where it cannot be."""
        text = written.value
        if text.startswith(".") or (text.startswith("::") and "/" not in text and self._subnets[6]):
            return self._host_part(owner, written, step)
        try:
            address = ip_interface(text) if "/" in text else ip_address(text)
        except ValueError:
            self._problems.say(written.place, f"{text} is no address", "expected: 10.0.0.5, .10, auto, fd00::5 or ::5")
            return None
        bare = address.ip if isinstance(address, IPv4Interface | IPv6Interface) else address
        subnet = next((each for each in self._subnets[bare.version] if bare in each), None)
        if subnet is None and not self.whole:
            return None
        if subnet is None:
            nets = ", ".join(map(str, (*self._subnets[4], *self._subnets[6]))) or "no subnet"
            self._problems.say(written.place, f"{bare} is not in {self._short} ({nets})", "an address of its subnet")
            return None
        length = address.network.prefixlen if isinstance(address, IPv4Interface | IPv6Interface) else subnet.prefixlen
        if length not in (subnet.prefixlen, subnet.max_prefixlen):
            text = f"{text} has another length than {self._short} ({subnet})"
            self._problems.say(written.place, text, f"{bare}: its length is the network's")
        return self._given(owner, bare, subnet, written.place, counts=step > 0)

    def auto(self, owner: str, key: str, place: Place) -> tuple[Interface, ...]:
        """A free address of each family; the one that the lock remembers where that is still free."""
        found: list[Interface] = []
        for version in (4, 6):
            for subnet in self._subnets[version]:
                address = self._free(f"{key}/{version}", subnet)
                if address is None:
                    if place not in self._none_left:
                        self._problems.say(place, f"no address of {subnet} is left for {owner}", "a larger subnet")
                    self._none_left.add(place)
                    continue
                self._new.addresses[f"{key}/{version}"] = str(address)
                given = self._given(owner, address, subnet, place)
                found += [given] if given is not None else []
        if self.whole and not any(self._subnets.values()):
            self._problems.say(place, f"{self._short} has no subnet that `auto` could take from", "give it `subnet:`")
        return tuple(found)

    def reserve_gateway(self, address: Address) -> None:
        """Keep the gateway's address from everybody but a router that says it has it."""
        if address not in self._owners:
            self._owners[address] = _GATEWAY
            self._gateways.add(address)

    @property
    def _short(self) -> str:
        return self._name.rpartition("/")[2]

    def _host_part(self, owner: str, written: At[str], step: int) -> Interface | None:
        version = 4 if written.value.startswith(".") else 6
        if not self._subnets[version] and not self.whole:
            return None
        if not self._subnets[version]:
            self._problems.say(
                written.place,
                f"{self._short} has no IPv{version} subnet for {written.value}",
                "give it one in `subnet:`",
            )
            return None
        subnet = self._subnets[version][0]
        number = int(written.value[1:]) if version == 4 else int(IPv6Address(written.value))
        offset = number + step
        if offset >= subnet.num_addresses:
            self._problems.say(written.place, f"{written.value} is beyond {subnet}", "a smaller host part")
            return None
        return self._given(owner, subnet[offset], subnet, written.place)

    def _given(
        self, owner: str, address: Address, subnet: Network, place: Place, *, counts: bool = False
    ) -> Interface | None:
        """The address with its length, where it can be had. `counts`: it is a replica's, and might count on with it."""
        wide = subnet.version == 4 and subnet.prefixlen < 31
        if address == subnet.network_address and (wide or (subnet.version == 6 and subnet.prefixlen < 127)):
            self._problems.say(place, f"{address} is the network's own address", f"{subnet[1]} is the first of a host")
            return None
        if wide and address == subnet.broadcast_address:
            self._problems.say(place, f"{address} is the broadcast address", f"{subnet[-2]} is the last of a host")
            return None
        if address in self._gateways and owner in self._routers:
            self._gateways.remove(address)
            self._owners[address] = owner
        first = self._owners.setdefault(address, owner)
        if first == _GATEWAY:
            text = f"{address} is the gateway of {self._short}, and {owner} does not forward"
            self._problems.say(
                place, text, "an address of its own, or `auto`; or `forward: true`, if it is the gateway"
            )
            return None
        if first != owner:
            own = "a host part, which counts on with replicas," if counts else "an address of its own,"
            self._problems.say(place, f"{address} is {first}'s", f"{own} or `auto`")
            return None
        if isinstance(address, IPv4Address):
            return IPv4Interface((address, subnet.prefixlen))
        return IPv6Interface((address, subnet.prefixlen))

    def _free(self, key: str, subnet: Network) -> Address | None:
        remembered = self._old.addresses.get(key)
        if remembered is not None:
            address = ip_address(remembered)
            if address in subnet and address not in self._owners:
                return address
        kept = set(self._old.addresses.values())
        last = min(subnet.num_addresses - (2 if subnet.version == 4 else 1), _LAST_AUTO)
        for offset in range(_FIRST_AUTO if last >= _FIRST_AUTO else 1, last + 1):
            candidate = subnet[offset]
            if candidate not in self._owners and str(candidate) not in kept:
                return candidate
        return next((subnet[at] for at in range(1, last + 1) if subnet[at] not in self._owners), None)
