"""IPv4 addresses on the command line. Source: FreeBSD 13.2 sbin/ifconfig/{af_inet.c,ifconfig.c}; spec §3."""

from __future__ import annotations

from ipaddress import IPv4Address

from vjail.command.ifconfig.run import Run
from vjail.command.names import Family, inet_aton, resolve
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Iff, Inet
from vjail.kernel.operations import AddAddress, RemoveAddress
from vjail.release import Release
from vjail.session import Quit

_ALL_ONES = 0xFFFFFFFF


def set_address(run: Run, text: str) -> None:
    """The interface address, perhaps with a prefix length; after `-alias` the one to remove, which has none."""
    if run.alias < 0:
        run.inet.removed = _resolved(run, text)
        return
    address, slash, width = text.rpartition("/")
    if slash:
        run.inet.mask = _mask_of_width(text, width)
    run.inet.address = _resolved(run, address if slash else text)


def _mask_of_width(text: str, width: str) -> IPv4Address:
    if not width[:1].isdecimal() or not width.isdecimal():
        raise Quit(f"{text}: bad value (width invalid)")
    if int(width) > 32:
        raise Quit(f"{text}: bad value (width too large)")
    return IPv4Address(_ALL_ONES << 32 - int(width) & _ALL_ONES)


def set_mask(run: Run, text: str) -> None:
    """`netmask`."""
    run.inet.mask = _resolved(run, text)


def set_broadcast(run: Run, text: str) -> None:
    """`broadcast`, or a second address: where the link ends, if it is one from point to point."""
    run.inet.broadcast = _resolved(run, text)


def _resolved(run: Run, text: str) -> IPv4Address:
    address = inet_aton(text)
    if address is not None:
        return address
    found = resolve(run.session.files, text, Family.INET)
    if found and isinstance(found[0].address, IPv4Address):
        return found[0].address
    raise Quit(f"{text}: bad value")


def check(run: Run) -> None:
    """After the last word: an address without a mask is warned of, from release 15 on refused."""
    if run.inet.address is None or run.inet.mask is not None or not run.add:
        return
    interface = run.interface()
    if interface is not None and interface.flags & (Iff.POINTOPOINT | Iff.LOOPBACK):
        return
    if run.release >= Release.V15:
        raise Quit("ERROR: setting interface address without mask is no longer supported.")
    run.warn("WARNING: setting interface address without mask is deprecated,\ndefault mask may not be correct.")


def remove(run: Run) -> None:
    """Remove the address meant, or the interface's first. That there is none matters only after `-alias`."""
    address = run.inet.removed if run.inet.removed is not None else _first(run)
    try:
        run.check_privilege()
        if address is None:
            raise KernelError(Errno.EADDRNOTAVAIL)
        run.perform(RemoveAddress(run.name, address))
    except KernelError as error:
        if error.errno is not Errno.EADDRNOTAVAIL or run.alias < 0:
            raise Quit(run.explained_generic("ioctl (SIOCDIFADDR)", error)) from None


def _first(run: Run) -> IPv4Address | None:
    interface = run.interface()
    addresses = interface.addresses if interface else ()
    return next((each.address for each in addresses if isinstance(each, Inet)), None)


def add(run: Run) -> None:
    """Add the address."""
    request = run.inet
    if request.address is None:
        raise Quit("ioctl (SIOCAIFADDR): Invalid argument")
    mask = request.mask if request.mask is not None else _class_mask(request.address)
    interface = run.interface()
    point_to_point = interface is not None and Iff.POINTOPOINT in interface.flags
    address = Inet(
        request.address,
        mask,
        None if point_to_point else request.broadcast,
        request.broadcast if point_to_point else None,
    )
    run.apply_generic(AddAddress(run.name, address), "ioctl (SIOCAIFADDR)")


def _class_mask(address: IPv4Address) -> IPv4Address:
    """The mask of an address's class: what the kernel uses where none was given."""
    first = int(address) >> 24
    if first < 128:
        return IPv4Address("255.0.0.0")
    return IPv4Address("255.255.0.0") if first < 192 else IPv4Address("255.255.255.0")
