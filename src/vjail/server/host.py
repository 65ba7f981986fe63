"""A lab host as the server has it: FreeBSD's kernel of it (core/) on Linux's drivers, and the files of its tree."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from vjail.kernel.core.devfs import Devfs
from vjail.kernel.core.host import Host
from vjail.kernel.core.jail_addresses import source_for
from vjail.kernel.core.journal import Journal
from vjail.kernel.core.modules import Modules, generic_kernel
from vjail.kernel.core.mount_driver import MountKind
from vjail.kernel.core.mounts import Mounts
from vjail.kernel.core.network import Network, Nic
from vjail.kernel.core.pf import PacketFilters
from vjail.kernel.core.prison import Prisons
from vjail.kernel.core.prison_queries import PrisonQueries
from vjail.kernel.core.prison_record import AddressRule
from vjail.kernel.core.sysctl import Hardware, Sysctls
from vjail.kernel.core.sysctl_table import META_LIMIT
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.linux.devices import NODES
from vjail.kernel.linux.enter import Execution, in_host, in_jail, in_place
from vjail.kernel.linux.files import RootedFiles
from vjail.kernel.linux.groups import Groups
from vjail.kernel.linux.held_jails import HeldJails
from vjail.kernel.linux.jails import LinuxJails
from vjail.kernel.linux.mounts import LinuxMounts
from vjail.kernel.linux.network import LinuxNetwork
from vjail.kernel.linux.pf.driver import LinuxPacketFilter
from vjail.kernel.linux.program import Program
from vjail.kernel.linux.spaces import HostSpace, LabSpace, inode
from vjail.kernel.linux.syscalls import MACHINE, openat2
from vjail.kernel.linux.vnets import VnetSpaces
from vjail.kernel.linux.watch import Watch
from vjail.lab.userland import loader_link
from vjail.release import Release
from vjail.server.processes import newest_first, of_jail, processes
from vjail.session import ProcessInfo

_log = logging.getLogger(__name__)

SOCKET = "\0vjail"
"""Where the native clients in a vnet find the server (native/agent.c)."""
_FILE_SYSTEMS = tuple(kind.value for kind in MountKind)


class Clock:
    """The machine's clock."""

    def monotonic(self) -> float:
        """Seconds on a clock that only goes forward."""
        return time.monotonic()


class LabHost:
    """One host of the lab."""

    def __init__(
        self,
        name: str,
        lab: LabSpace,
        space: HostSpace,
        folder: Path,
        template: int,
        journal: Journal,
        *,
        release: Release,
        agent: bytes,
        groups: Callable[[], Groups],
        accept: Callable[[LabHost, socket.socket], None],
    ) -> None:
        """`folder` is where its jails are pinned, `accept` is given each connection a native client makes.

        `groups` gives the lab's control groups, or raises Unable.
        """
        self.name = name
        self.nics: dict[str, str] = {}
        """Its cards by name, and the wire each is on."""
        self.made: dict[str, str] = {}
        """What it was made with and has as long as it is there, by what that is called."""
        self._lab = lab
        self.space = space
        self._journal = journal
        self._accept = accept
        self._agent = agent
        self._clients: dict[tuple[int, int, int], bool] = {}
        self._listening: dict[int, socket.socket] = {}
        self._pf_driver: LinuxPacketFilter | None = None
        self.release = release
        self._loop = asyncio.get_running_loop()
        self.vnets = VnetSpaces(lab)
        self.mount_driver = LinuxMounts(lab, space, lambda path, on: self.jails.procfs_changed(path, on))
        watch = self._watch = Watch(self._loop.add_reader, self._loop.remove_reader, self._loop.call_later)
        self.network_driver = LinuxNetwork(self.vnets, journal, watch)
        self.held_jails = HeldJails(name, groups, self.network_driver.ways)
        self.jails = LinuxJails(
            lab,
            space,
            folder,
            template,
            self.mount_driver,
            self.vnets,
            self.held_jails,
            watch,
            root_of=lambda jid: self.queries.root(jid),
            emptied=self._emptied,
            prepare_root=self._prepare_root,
        )

    # --- putting it together -----------------------------------------------------------------------------------------

    def create(self, nics: Mapping[str, bytes]) -> None:
        """Make the kernel of a host that has just come to be; its NICs (MAC by name) are in its namespace."""
        self.vnets.add(0, self.space.namespaces["net"], fresh=True)
        self.held_jails.enter_host()
        self._assemble()
        self.network = Network(
            self.network_driver,
            Clock(),
            self._journal,
            release=self.release,
            random=os.urandom,
            identity_of=self.queries.identity_of,
            vnet_of=self.queries.vnet_of,
            setting_of=lambda vnet, name: self.sysctls.of_vnet(vnet, name),
            nodes=self.devfs,
            nics=[Nic(name, address) for name, address in nics.items()],
        )
        # A host whose rc.conf gives it no name is called what the lab calls it.
        self.prisons.set_identity(0, replace(self.prisons.identity(0), hostname=self.name))
        self._finish()
        self.mounts.boot()
        self.listen(0)

    def restore(self) -> None:
        """Take over the kernel of a host that another server has left."""
        self.vnets.add(0, self.space.namespaces["net"], fresh=False)
        self.held_jails.enter_host()
        self._assemble()
        self.prisons.restore()
        living = {prison.jid: prison for prison in self.prisons.prisons()}
        mounted = [(point.ident, point.kind, point.target) for point in self.mounts.points() if point.kind is not None]
        self.mount_driver.adopt(mounted, (prison.path for prison in living.values()))
        self.jails.adopt(living, {target for _, kind, target in mounted if kind is MountKind.PROCFS})
        self.network = Network.restore(
            self.network_driver,
            Clock(),
            self._journal,
            release=self.release,
            random=os.urandom,
            identity_of=self.queries.identity_of,
            vnet_of=self.queries.vnet_of,
            setting_of=lambda vnet, name: self.sysctls.of_vnet(vnet, name),
            nodes=self.devfs,
        )
        for prison in living.values():
            self.jails.changed(prison)
        self._finish()
        for vnet in (0, *(prison.vnet for prison in living.values() if prison.own_vnet)):
            self.listen(vnet)
        for jid in living:
            # Its last process may have gone while nobody was there to see.
            self.prisons.last_process(jid)

    def close(self) -> None:
        """Let go of everything; what there is of the host goes on."""
        for vnet in list(self._listening):
            self._stop_listening(vnet)
        if self._pf_driver is not None:
            self._pf_driver.close()
        self.jails.close()
        self.vnets.close()
        self.space.close()

    def _assemble(self) -> None:
        image = generic_kernel(self.release)
        self.modules = Modules(image, self._journal)
        self.prisons = Prisons(
            self.release,
            self.jails,
            add_vnet=self._add_vnet,
            remove_vnet=self._remove_vnet,
            osrelease=image.osrelease,
            osreldate=image.osreldate,
            modules=lambda: [name for name in _FILE_SYSTEMS if self.modules.has(name)],
            text_limit=lambda: int(self.sysctls.of_vnet(0, META_LIMIT)),
            journal=self._journal,
        )
        self.queries = PrisonQueries(self.prisons)
        self.mounts = Mounts(self.mount_driver, self._journal, self.queries, available=self.modules.available)
        self.devfs = Devfs(self.mounts, self.mount_driver, self._journal, nodes=NODES)

    def _finish(self) -> None:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self.sysctls = Sysctls(
            self.modules.image,
            Hardware(os.cpu_count() or 1, memory, MACHINE),
            self._journal,
            jails=self.queries,
            network=self.network_driver,
            devfs=self.devfs,
        )
        self._pf_driver = LinuxPacketFilter(self.vnets, self._watch, self._limits_exceeded)
        self.packet_filters = PacketFilters(
            self._pf_driver, Clock(), self._journal, interfaces_of=self.network.host_interfaces
        )
        self.kernel = Host(
            self.release,
            network=self.network,
            prisons=self.prisons,
            mounts=self.mounts,
            devfs=self.devfs,
            sysctls=self.sysctls,
            modules=self.modules,
            packet_filters=self.packet_filters,
            applied=self.held_jails.refresh,
        )

    def _limits_exceeded(self, vnet: int) -> None:
        try:
            self.packet_filters.catch_up(vnet)
        except KernelError as error:
            _log.warning("pf of vnet %d of %s does not follow its limits: %s", vnet, self.name, error)

    def _emptied(self, jid: int) -> None:
        self.prisons.last_process(jid)
        self.prisons.released(jid)

    def _add_vnet(self, number: int) -> None:
        self.network.add_vnet(number)
        self.listen(number)

    def _remove_vnet(self, number: int) -> None:
        self._stop_listening(number)
        self.network.remove_vnet(number)
        self.sysctls.forget_vnet(number)
        self.packet_filters.remove_vnet(number)
        # What was lent to it has come home.
        self.packet_filters.follow()

    def listen(self, vnet: int) -> None:
        """Let native clients in a vnet find the server."""
        with self._lab.network(self.vnets[vnet].namespace):
            listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)
            try:
                listening.bind(SOCKET)
            except OSError:
                # While no server was there somebody inside has taken the name; the commands there find only him.
                listening.close()
                return
            listening.listen(128)
        self._listening[vnet] = listening
        self._loop.add_reader(listening.fileno(), self._connected, listening)

    def _stop_listening(self, vnet: int) -> None:
        listening = self._listening.pop(vnet, None)
        if listening is not None:
            self._loop.remove_reader(listening.fileno())
            listening.close()

    def _connected(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:
            return
        self._accept(self, connection)

    def _prepare_root(self, root: int) -> None:
        try:
            loader_link(root)
        except OSError:
            # A root that cannot be written to has its loader, or its programs will say that they have none.
            return

    # --- who and where -----------------------------------------------------------------------------------------------

    def jail_of(self, mounts: int) -> int | None:
        """The jail whose mount namespace has this inode number, 0 for the host itself, None for neither."""
        if mounts == inode(self.space.namespaces["mnt"]):
            return 0
        return self.jails.of_mounts(mounts)

    def root_of(self, jid: int) -> int:
        """A descriptor of the root folder of the host (0) or a jail."""
        return self.jails.space(jid).root if jid else self.space.root

    def files(self, jid: int = 0) -> RootedFiles:
        """The files of the host (0) or a jail."""
        return RootedFiles(self.root_of(jid))

    def program(self, execution: Execution, jid: int, *, elsewhere: bool, outside: bool) -> Program:
        """How to run something in a jail or on the host (0); `elsewhere`: the agent is not there already."""
        if not elsewhere:
            return in_place(execution)
        join = self._lab.outside if outside else None
        if jid == 0:
            return in_host(execution, self.space, outside=join, door=self.held_jails.door(0))
        return in_jail(execution, self.jails.place(jid), outside=join)

    def is_client(self, jid: int, name: str, path: str) -> bool:
        """Whether a command's name, looked up in a root along PATH, leads to vjail's native client."""
        candidates = [name] if "/" in name else [f"{folder or '.'}/{name}" for folder in path.split(":")]
        for candidate in candidates:
            try:
                fd = openat2(self.root_of(jid), candidate, os.O_RDONLY | os.O_NONBLOCK)
            except OSError:
                continue
            try:
                seen = os.fstat(fd)
                if stat.S_ISREG(seen.st_mode) and seen.st_mode & 0o111:
                    return self._is_agent(fd, seen)
            finally:
                os.close(fd)
        return False

    def _is_agent(self, fd: int, seen: os.stat_result) -> bool:
        key = (seen.st_dev, seen.st_ino, seen.st_mtime_ns)
        if key not in self._clients:
            same = seen.st_size == len(self._agent) and os.pread(fd, seen.st_size, 0) == self._agent
            self._clients[key] = same
        return self._clients[key]

    def processes(self, jid: int) -> list[ProcessInfo]:
        """The processes that a caller in a jail, or on the host (0), may see."""
        users = _users(self.files(jid))
        return list(
            processes(
                self.jail_of,
                2 if jid else 1,
                lambda other: other == jid or self.prisons.is_descendant(other, jid) or jid == 0,
                users,
            )
        )

    def newest_first(self, jid: int) -> list[int]:
        """The processes whose jail is exactly this one (0: the host), by their numbers in the lab."""
        return newest_first(self.jails.pids(jid) if jid else of_jail(self.jail_of, 0))

    # --- for ping ----------------------------------------------------------------------------------------------------

    def may_open_raw(self, jid: int) -> bool:
        """Whether a jail may open raw sockets."""
        prison = self.prisons.prison(jid)
        return prison is not None and (prison.own_vnet or "raw_sockets" in prison.allow)

    def settle(self) -> None:
        """Let everything be as the host's kernel has it, before somebody looks who does not ask here."""
        self.network_driver.settle()

    def is_not_held(self, jid: int) -> bool:
        """Whether a jail may use some addresses only, and nothing here keeps it to them (`held_jails.problem`)."""
        prison = self.prisons.prison(jid)
        restricted = prison is not None and (prison.ip4.restricted or prison.ip6.restricted)
        return restricted and not self.held_jails.holds(jid)

    def rule(self, jid: int, version: int) -> AddressRule:
        """Which addresses of family 4 or 6 a jail, or the host (0), may use. KernelError(EINVAL): it has gone."""
        prison = self.prisons.prison(jid)
        if prison is None:
            raise KernelError(Errno.EINVAL)
        return prison.ip4 if version == 4 else prison.ip6

    def source_towards(self, jid: int, destination: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address | None:
        """The address a jail sends from, None where it may use all and the machine beneath chooses."""
        rule = self.rule(jid, destination.version)
        ways = self.network_driver.ways(self.prisons.vnet_of(jid), rule, destination.version)
        return source_for(ways, destination)

    def network_of(self, jid: int) -> AbstractContextManager[None]:
        """To be in a jail's vnet for a while."""
        self.settle()
        return self._lab.network(self.vnets[self.prisons.vnet_of(jid)].namespace)

    def check_reachable(self, jid: int, destination: IPv4Address | IPv6Address, zone: str | None) -> None:
        """Raise what FreeBSD's ip_output says where Linux would say something else, or nothing."""
        self.network_driver.check_reachable(self.prisons.vnet_of(jid), destination, zone)

    def forget_unanswered(self, jid: int) -> None:
        """Let neighbours that have not answered a jail's vnet yet be asked for anew."""
        self.network_driver.forget_unanswered(self.prisons.vnet_of(jid))

    def neighbour_error(self, jid: int, destination: IPv4Address | IPv6Address) -> Errno:
        """What FreeBSD says of a destination whose neighbour does not answer: the host itself, or a gateway."""
        through_gateway = self.network_driver.is_through_gateway(self.prisons.vnet_of(jid), destination)
        return Errno.EHOSTUNREACH if through_gateway else Errno.EHOSTDOWN

    def interface_index(self, jid: int, name: str) -> int:
        """Linux's index of an interface in a jail's vnet. Raises KernelError(ENXIO)."""
        index = self.network_driver.index_of(self.prisons.vnet_of(jid), name)
        if not index:
            raise KernelError(Errno.ENXIO)
        return index


def _users(files: RootedFiles) -> dict[int, str]:
    try:
        lines = files.read("/etc/passwd").decode(errors="replace").splitlines()
    except KernelError:
        return {}
    found: dict[int, str] = {}
    for line in lines:
        fields = line.split(":")
        if len(fields) > 2 and fields[2].isdigit():
            found.setdefault(int(fields[2]), fields[0])
    return found
