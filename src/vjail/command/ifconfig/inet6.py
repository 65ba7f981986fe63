"""IPv6 addresses and their words. Source: FreeBSD 13.2 sbin/ifconfig/{af_inet6.c,af_nd6.c}; spec §3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv6Address

from vjail.command.ifconfig.run import Run
from vjail.command.ifconfig.words import Action, Word, one
from vjail.command.names import Family, resolve
from vjail.command.numeric import atoi, strtoul
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.observed import Inet6, Inet6Flag, Nd6
from vjail.kernel.operations import AddAddress, RemoveAddress, SetNd6
from vjail.session import Quit

_HOST_PART = (1 << 64) - 1
_DEFAULT_LENGTH = 64

_FLAGS = {
    "tentative": Inet6Flag.TENTATIVE,
    "deprecated": Inet6Flag.DEPRECATED,
    "autoconf": Inet6Flag.AUTOCONF,
    "prefer_source": Inet6Flag.PREFER_SOURCE,
}
_ND6 = {
    "accept_rtadv": Nd6.ACCEPT_RTADV,
    "no_radr": Nd6.NO_RADR,
    "defaultif": Nd6.DEFAULTIF,
    "ifdisabled": Nd6.IFDISABLED,
    "nud": Nd6.PERFORMNUD,
    "auto_linklocal": Nd6.AUTO_LINKLOCAL,
    "no_prefer_iface": Nd6.NO_PREFER_IFACE,
    "no_dad": Nd6.NO_DAD,
}


# --- the address ---


def set_address(run: Run, text: str) -> None:
    """The interface address, perhaps with a prefix length; after `-alias` the one to remove."""
    address, slash, length = text.rpartition("/")
    if slash and run.alias >= 0:
        run.inet6.prefixlen = _length(length)
        text = address
    found, zone = _resolved(run, text)
    if run.alias < 0:
        run.inet6.removed = found
    else:
        run.inet6.address, run.inet6.zone = found, zone


def _resolved(run: Run, text: str) -> tuple[IPv6Address, str | None]:
    for each in resolve(run.session.files, text, Family.INET6):
        if isinstance(each.address, IPv6Address):
            return each.address, each.zone
    raise Quit(f"{text}: bad value")


def _length(text: str) -> int:
    """A prefix length; 0 is taken as 128."""
    length = atoi(text)
    if not 0 <= length <= 128:
        raise Quit(f"{text}: bad value")
    return length or 128


def remove(run: Run) -> None:
    """Remove the address meant. Without `alias` it is the one to be added again, if the interface has it."""
    address = run.inet6.removed if run.inet6.removed is not None else run.inet6.address
    try:
        run.check_privilege()
        if address is None:
            raise KernelError(Errno.EADDRNOTAVAIL)
        run.perform(RemoveAddress(run.name, address))
    except KernelError as error:
        if error.errno is not Errno.EADDRNOTAVAIL or run.alias < 0:
            raise Quit(run.explained_generic("ioctl (SIOCDIFADDR)", error)) from None


def add(run: Run) -> None:
    """Add the address; a zone must be the interface itself."""
    request = run.inet6
    if request.address is None or request.zone not in (None, run.name):
        raise Quit("ioctl (SIOCAIFADDR): Invalid argument")
    length = _DEFAULT_LENGTH if request.prefixlen is None else request.prefixlen
    address = Inet6(request.address, length, request.flags, request.pltime, request.vltime)
    run.apply_generic(AddAddress(run.name, address), "ioctl (SIOCAIFADDR)")


# --- words ---


def _set_length(run: Run, words: Sequence[str]) -> None:
    run.inet6.prefixlen = _length(words[1])


def _flag(flag: Inet6Flag, on: bool) -> Action:
    def change(run: Run, words: Sequence[str]) -> None:
        if run.family != "inet6":
            raise Quit("address flags can be set only for inet6 addresses: No error: 0")
        run.inet6.flags = run.inet6.flags | flag if on else run.inet6.flags & ~flag

    return change


def _nd6(flag: Nd6, on: bool) -> Action:
    """The ioctl is one of IPv6 sockets; a failure is only warned of."""

    def change(run: Run, words: Sequence[str]) -> None:
        if run.family != "inet6":
            run.warn("ioctl(SIOCGIFINFO_IN6): Invalid argument")
            return
        try:
            run.perform(SetNd6(run.name, set=flag) if on else SetNd6(run.name, clear=flag))
        except KernelError as error:
            run.warn(run.explained("ioctl(SIOCGIFINFO_IN6)", error))

    return change


def _lifetime(run: Run, words: Sequence[str]) -> None:
    word, text = words
    seconds = strtoul(text)
    if seconds is None:
        raise Quit(f"invalid {word}")
    if run.family != "inet6":
        raise Quit(f"{word} not allowed for the AF")
    if word == "pltime":
        run.inet6.pltime = seconds
    else:
        run.inet6.vltime = seconds


def _eui64(run: Run, words: Sequence[str]) -> None:
    """Fill the host part with that of the interface's link-local address."""
    if run.family != "inet6":
        raise Quit("eui64 not allowed for the AF")
    net = int(run.inet6.address or 0)
    if net & _HOST_PART:
        raise Quit("interface index is already filled")
    interface = run.interface()
    addresses = [each.address for each in interface.addresses if isinstance(each, Inet6)] if interface else []
    own = next((address for address in addresses if address.is_link_local), None)
    if own is None:
        raise Quit("could not determine link local address")
    run.inet6.address = IPv6Address(net | int(own) & _HOST_PART)


WORDS: Mapping[str, Word] = {
    "prefixlen": one(_set_length),
    "anycast": Word(_flag(Inet6Flag.ANYCAST, True)),
    **{f"{sign}{word}": Word(_flag(flag, not sign)) for word, flag in _FLAGS.items() for sign in ("", "-")},
    **{f"{sign}{word}": Word(_nd6(flag, not sign)) for word, flag in _ND6.items() for sign in ("", "-")},
    "pltime": one(_lifetime),
    "vltime": one(_lifetime),
    "eui64": Word(_eui64),
}
"""The words of IPv6."""
