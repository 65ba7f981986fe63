"""One host in memory: FreeBSD's kernel (core/) over drivers that keep everything in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vjail.kernel.core.devfs import Devfs
from vjail.kernel.core.devnodes import LAB_NODES
from vjail.kernel.core.host import Host
from vjail.kernel.core.journal import NoJournal
from vjail.kernel.core.mac import NO_UUID, Identity
from vjail.kernel.core.modules import KernelImage, Modules, generic_kernel
from vjail.kernel.core.mount_driver import MountKind
from vjail.kernel.core.mounts import Mounts
from vjail.kernel.core.network import Network, Nic
from vjail.kernel.core.part import Caller
from vjail.kernel.core.pf import PacketFilters
from vjail.kernel.core.prison import Prisons
from vjail.kernel.core.prison_queries import PrisonQueries
from vjail.kernel.core.prison_record import HostIdentity
from vjail.kernel.core.sysctl import Hardware, Sysctls
from vjail.kernel.core.sysctl_table import META_LIMIT
from vjail.kernel.model.clock import ModelClock
from vjail.kernel.model.devices import Device, Net
from vjail.kernel.model.files import HostFiles, SessionFiles, Tree
from vjail.kernel.model.jails import MemoryJails
from vjail.kernel.model.mounts import MemoryMounts
from vjail.kernel.model.network import MemoryDriver
from vjail.kernel.model.pf import MemoryPacketFilter
from vjail.kernel.operations import CreateInterface
from vjail.release import Release

_FILE_SYSTEMS = tuple(kind.value for kind in MountKind)
_HARDWARE = Hardware(2, 2 << 30, "vjail")


class ModelHost:
    """A host: its kernel, its files, its processes."""

    def __init__(
        self,
        name: str,
        clock: ModelClock,
        release: Release,
        tree: Tree,
        *,
        nics: Mapping[str, bytes],
        identity: HostIdentity | None = None,
        image: KernelImage | None = None,
        pflog: bool = False,
    ) -> None:
        """`tree` are its files, `nics` the MAC addresses of its NICs by name; `pflog`: every vnet has a pflog0."""
        self.name = name
        self.clock = clock
        self.release = release
        self._pflog = pflog
        self._random = 0
        journal = NoJournal()
        self.files = HostFiles(tree)
        self.jails = MemoryJails(self.files, self._root_of)
        self.driver = MemoryDriver(clock, name)
        self.modules = Modules(image or generic_kernel(release), journal)
        self.prisons = Prisons(
            release,
            self.jails,
            add_vnet=self._add_vnet,
            remove_vnet=self._remove_vnet,
            osrelease=self.modules.image.osrelease,
            osreldate=self.modules.image.osreldate,
            identity=identity or HostIdentity(hostname=name),
            modules=self._file_systems,
            text_limit=self._text_limit,
            journal=journal,
        )
        self.queries = PrisonQueries(self.prisons)
        mount_driver = MemoryMounts(self.files)
        self.mounts = Mounts(mount_driver, journal, self.queries, available=self.modules.available)
        self.files.mounts = self.mounts
        self.devfs = Devfs(self.mounts, mount_driver, journal, nodes=LAB_NODES)
        self.network = Network(
            self.driver,
            clock,
            journal,
            release=release,
            random=self._octets,
            identity_of=self._identity_of,
            vnet_of=self.queries.vnet_of,
            setting_of=self._setting,
            nodes=self.devfs,
            nics=[Nic(nic, address) for nic, address in nics.items()],
        )
        self.sysctls = Sysctls(
            self.modules.image, _HARDWARE, journal, jails=self.queries, network=self.driver, devfs=self.devfs
        )
        self.pf_driver = MemoryPacketFilter(self.driver, clock)
        self.packet_filters = PacketFilters(self.pf_driver, clock, journal, interfaces_of=self.network.host_interfaces)
        self.kernel = Host(
            release,
            network=self.network,
            prisons=self.prisons,
            mounts=self.mounts,
            devfs=self.devfs,
            sysctls=self.sysctls,
            modules=self.modules,
            packet_filters=self.packet_filters,
        )
        self.jails.ended = self.prisons.last_process
        self.driver.setting = self._setting
        self._add_pflog(0)
        self.mounts.boot()

    # --- what the parts ask of each other ---------------------------------------------------------------------------

    def _root_of(self, jid: int) -> str:
        return self.queries.root(jid)

    def _identity_of(self, vnet: int) -> Identity:
        """Who makes interfaces in a vnet; pflog0 is made in a new one before the table knows its jail."""
        if self.prisons.prison(vnet) is None:
            return Identity(0, NO_UUID, str(vnet))
        return self.queries.identity_of(vnet)

    def _setting(self, vnet: int, name: str) -> str:
        return self.sysctls.of_vnet(vnet, name)

    def _text_limit(self) -> int:
        return int(self._setting(0, META_LIMIT))

    def _file_systems(self) -> Sequence[str]:
        return [name for name in _FILE_SYSTEMS if self.modules.has(name)]

    def _octets(self, size: int) -> bytes:
        """What is random on a machine: here a count, so that equal runs are equal."""
        self._random += 1
        return self._random.to_bytes(size, "big")

    def _add_vnet(self, number: int) -> None:
        self.network.add_vnet(number)
        self._add_pflog(number)

    def _add_pflog(self, number: int) -> None:
        if self._pflog:
            self.network.handlers()[CreateInterface](Caller(number, number), CreateInterface("pflog0"))

    def _remove_vnet(self, number: int) -> None:
        self.network.remove_vnet(number)
        self.sysctls.forget_vnet(number)
        self.packet_filters.remove_vnet(number)

    # --- who and where ----------------------------------------------------------------------------------------------

    def files_of(self, jid: int = 0, cwd: str = "/") -> SessionFiles:
        """The files of the host (0) or a jail."""
        return SessionFiles(self.files, self.queries.root(jid), cwd)

    def net_of(self, jid: int) -> Net:
        """The network stack of the host (0) or a jail."""
        return self.driver.nets[self.prisons.vnet_of(jid)]

    def nic(self, name: str) -> Device:
        """A NIC by the name its driver gave it, wherever it is and whatever it is called by now."""
        return next(device for device in self.driver.devices.values() if device.ifnet.made_as == name)

    def jail_name(self, vnet: int) -> str:
        """The jail that owns a vnet; empty for the host."""
        prison = self.prisons.prison(vnet)
        return prison.name if prison is not None and vnet else ""

    def may_open_raw(self, jid: int) -> bool:
        """Whether a jail may open raw sockets."""
        prison = self.prisons.prison(jid)
        return prison is not None and (prison.own_vnet or "raw_sockets" in prison.allow)
