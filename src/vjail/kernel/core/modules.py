"""Kernel modules: what is compiled into a lab host's kernel, what can be loaded, what is loaded.

Also the kernel's own properties (KernelImage): release, ident, VIMAGE or not, kernel environment. What a module does
when it is there is other parts' business; they ask `has`. Sources: kldload(8), kldstat(8), kern_linker.c, kenv(1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vjail.kernel.core.journal import Journal
from vjail.kernel.core.part import Caller, Handler
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import KernelFile
from vjail.kernel.operations import LoadModule, Operation, UnloadModule
from vjail.release import Release

_RECORD = "module"
_KERNEL = "kernel"
_KERNEL_ADDRESS = 0xFFFFFFFF80200000
_KERNEL_SIZE = 0x1F3E2D0
_FIRST_MODULE_ADDRESS = 0xFFFFFFFF82518000
_PAGE = 0x1000

COMPILED_IN = (
    "if_epair", "if_bridge", "bridgestp", "if_vlan", "if_tuntap", "if_lagg", "if_vxlan", "if_lo", "ether", "pf",
    "pflog", "pty", "devfs", "fdescfs", "nullfs", "procfs", "tmpfs", "ufs",
)  # fmt: skip
"""The modules in the recorded machine's kernel (JAILVM: epair, bridge, vlan and pf built in), as far as they matter."""

LOADABLE: Mapping[str, int] = {
    "if_gif": 0x8A40,
    "if_gre": 0x9C80,
    "if_stf": 0x5B60,
    "ipfw": 0x3D5F8,
    "linprocfs": 0xB2D0,
    "linsysfs": 0x5030,
    "pfsync": 0xA7D8,
    "unionfs": 0xB560,
}
"""Modules that lie in /boot/kernel of a lab host, and their sizes in bytes."""


@dataclass(frozen=True, slots=True)
class KernelImage:
    """A kernel: its release and ident, whether it was built with VIMAGE, and its modules by file name without `.ko`.

    `loadable` gives each module that is not compiled in its size in bytes; `loaded` those that loader(8) loads.
    """

    osrelease: str = "13.2-RELEASE"
    osreldate: int = 1302001
    ident: str = "JAILVM"
    vimage: bool = True
    compiled_in: tuple[str, ...] = COMPILED_IN
    loadable: Mapping[str, int] = field(default_factory=lambda: dict(LOADABLE))
    loaded: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


_RELEASES = {
    Release.V12: ("12.4-RELEASE", 1204000),
    Release.V13: ("13.2-RELEASE", 1302001),
    Release.V14: ("14.3-RELEASE", 1403000),
    Release.V15: ("15.0-RELEASE", 1500000),
    Release.V16: ("16.0-RELEASE", 1600000),
}


def generic_kernel(release: Release) -> KernelImage:
    """The kernel of a lab host."""
    osrelease, osreldate = _RELEASES[release]
    return KernelImage(osrelease, osreldate, "GENERIC")


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A file that was loaded: its id, its name without `.ko` and where it lies."""

    id: int
    name: str
    address: int


class Modules:
    """The modules of one host's kernel."""

    def __init__(self, image: KernelImage, journal: Journal) -> None:
        self._image = image
        self._journal = journal
        self.any_loads = False
        """Whether a module loads that the image does not name: a machine of which not all is known."""
        self._next_id = 2
        self._next_address = _FIRST_MODULE_ADDRESS
        self._loaded: dict[str, _Loaded] = {}
        for name in image.loaded:
            self._insert(name)
        for name, record in journal.records(_RECORD):
            self._loaded[name] = _Loaded(_int(record["id"]), name, _int(record["address"]))
            self._next_id = max(self._next_id, _int(record["id"]) + 1)
            self._next_address = max(self._next_address, self._end(self._loaded[name]))

    @property
    def image(self) -> KernelImage:
        """The kernel itself."""
        return self._image

    def handlers(self) -> Mapping[type[Operation[Any]], Handler]:
        """LoadModule, UnloadModule."""
        return {LoadModule: self._load, UnloadModule: self._unload}

    def has(self, name: str) -> bool:
        """Whether a module is compiled in or loaded."""
        return name in self._image.compiled_in or name in self._loaded

    def available(self, name: str) -> bool:
        """Whether a module is there or would be loaded when it is first needed (mount(8), ifconfig(8))."""
        return self.has(name) or name in self._image.loadable

    def loaded(self, caller: Caller) -> Sequence[str]:
        """The files loaded after the kernel, `.ko` included, in the order kldstat(8) shows them."""
        return [f"{module.name}.ko" for module in self._loaded.values()]

    def files(self, caller: Caller) -> Sequence[KernelFile]:
        """The kernel and the files loaded after it."""
        kernel_modules = tuple(enumerate(self._image.compiled_in, start=1))
        path = f"/boot/kernel/{_KERNEL}"
        refs = 1 + len(self._loaded)
        kernel = KernelFile(1, _KERNEL, refs, _KERNEL_ADDRESS, _KERNEL_SIZE, path, kernel_modules)
        first = len(kernel_modules)
        return [kernel, *(self._file(module, first) for module in self._loaded.values())]

    def kenv(self, caller: Caller) -> Mapping[str, str]:
        """The kernel environment."""
        return self._image.environment

    def _file(self, module: _Loaded, first: int) -> KernelFile:
        size = self._image.loadable.get(module.name, _PAGE)
        modules = ((first + module.id - 1, module.name),)
        path = f"/boot/kernel/{module.name}.ko"
        return KernelFile(module.id, f"{module.name}.ko", 1, module.address, size, path, modules)

    def _load(self, caller: Caller, operation: LoadModule) -> None:
        if caller.jid:
            raise KernelError(Errno.EPERM)
        name = _base_name(operation.name)
        if self.has(name):
            raise KernelError(Errno.EEXIST)
        if name not in self._image.loadable and not self.any_loads:
            raise KernelError(Errno.ENOENT)
        module = self._insert(name)
        self._journal.put(_RECORD, name, {"id": module.id, "address": module.address})

    def _unload(self, caller: Caller, operation: UnloadModule) -> None:
        if caller.jid:
            raise KernelError(Errno.EPERM)
        name = _base_name(operation.name)
        if name == _KERNEL:
            raise KernelError(Errno.EBUSY)
        if name not in self._loaded:
            raise KernelError(Errno.ENOENT)
        del self._loaded[name]
        self._journal.drop(_RECORD, name)

    def _insert(self, name: str) -> _Loaded:
        module = _Loaded(self._next_id, name, self._next_address)
        self._loaded[name] = module
        self._next_id += 1
        self._next_address = self._end(module)
        return module

    def _end(self, module: _Loaded) -> int:
        """The first page behind a module."""
        return module.address + -(-self._image.loadable.get(module.name, _PAGE) // _PAGE) * _PAGE


def _base_name(name: str) -> str:
    """A module's name without the directory and `.ko`."""
    return name.rsplit("/", 1)[-1].removesuffix(".ko")


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"not an int: {value!r}")
    return value
