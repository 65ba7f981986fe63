"""A jail of a jail.conf as the keys of a lab file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_interface
from typing import TypeVar

from vjail.conf.fstab import mount_line
from vjail.conf.jailconf import Checked
from vjail.conf.jailconf.addresses import Family
from vjail.conf.jailconf.jail import JailParameter
from vjail.conf.jailconf.pseudo import flag
from vjail.conf.position import Span
from vjail.importing.lines import Fate, fate, is_of_network, taken_apart
from vjail.importing.lines import boots as runs_rc
from vjail.importing.watch import Line
from vjail.kernel.core.prison_rules import DEFAULT_ALLOW
from vjail.lab.compile.jailconf import SHARED
from vjail.lab.file.description import Jail
from vjail.lab.file.nodes import At, Place
from vjail.lab.file.schema import Entry

T = TypeVar("T")

_SAID = frozenset(
    (
        *("name", "path", "host.hostname", "vnet", "persist", "mount", "mount.fstab", "vnet.interface", "depend"),
        *("exec.clean", "exec.jail_user"),
    )
)
"""What a jail of a lab file has by its own keys, or always."""
_SCALARS = frozenset(
    f"exec.{name}" for name in ("consolelog", "fib", "timeout", "system_user", "system_jail_user", "clean", "jail_user")
)
"""The parameters of exec.* that are no lines."""
_NOWHERE = Place("")

Note = Callable[[str, Span | None], None]
"""Takes what is lost, and where it stands."""


def at(value: T) -> At[T]:
    """A value that stands nowhere yet."""
    return At(value, _NOWHERE)


def named(values: Mapping[str, T]) -> dict[str, Entry[T]]:
    """Entries under their names."""
    return {name: Entry(at(name), value) for name, value in values.items()}


def texts(values: Iterable[object]) -> tuple[At[str], ...]:
    """Values as texts."""
    return tuple(at(str(value)) for value in values)


def jail(
    name: str,
    checked: Checked,
    lines: Sequence[Line],
    covered: Collection[str],
    apart: Collection[str],
    cards: Collection[str],
    devices: tuple[str, ...] | None,
    *,
    own_stack: bool,
    failed: bool,
    note: Note,
) -> Jail:
    """The keys of a jail but those of its networks.

    `cards`: those of the host. `devices`: what its ruleset shows besides the usual ones, None where it is another kind.
    `failed`: it did not start, so what its lines do is not known, and all of them stay.
    """
    given = checked.jail
    path = given.text("path") or "/"
    parameters: dict[str, tuple[str, ...]] = {}
    allowed = [_plain(each)[0].removeprefix("allow.") for each in given.parameters if _is_allowed(each)]
    made = Jail(allow=texts(each for each in allowed if each not in DEFAULT_ALLOW))
    shared = _shared(checked, cards) if not own_stack else {}
    for parameter in given.parameters:
        key = parameter.name
        if key in _SAID or (key.startswith("exec.") and parameter.values and key not in _SCALARS):
            continue
        if _is_allowed(parameter) or _is_forbidden_anyhow(parameter):
            continue
        if key in ("interface", "ip4.addr", "ip6.addr") and (shared or own_stack):
            continue
        plain, value = _plain(parameter)
        parameters[plain] = value
    if parameters.get("mount.devfs") == ():
        del parameters["mount.devfs"]
    elif "mount.devfs" not in parameters:
        parameters["mount.devfs"] = ("false",)
    if devices is not None:
        parameters.pop("devfs_ruleset", None)
        made = replace(made, devices=texts(devices))
    more, run, boot = _commands(lines, covered, apart, note, failed=failed)
    parameters |= more
    base, mounts = _mounts(path, (*checked.fstab, *checked.pseudo.mount))
    hostname = given.text("host.hostname")
    extra = [each for each in checked.pseudo.vnet_interface if each and each not in covered and each not in cards]
    if extra and own_stack:
        parameters["vnet.interface"] = tuple(extra)
    return replace(
        made,
        path=at(_template(path, name)) if path != f"/jails/{name}" else None,
        base=at(base) if base is not None else None,
        hostname=at(hostname) if hostname and hostname != name else None,
        shared=named({card: texts(addresses) for card, addresses in shared.items()}),
        vnet=at(False) if not own_stack and not shared else None,
        mounts=texts(mounts),
        run=texts(run),
        boot=at(True) if boot else None,
        user=at(checked.pseudo.exec_jail_user) if checked.pseudo.exec_jail_user else None,
        depend=texts(checked.pseudo.depend),
        parameters=named({key: texts(value) for key, value in parameters.items()}),
    )


def _is_allowed(parameter: JailParameter) -> bool:
    return parameter.name.startswith("allow.") and flag(parameter)


def _is_forbidden_anyhow(parameter: JailParameter) -> bool:
    """Whether it forbids what no jail may unless it is allowed."""
    name = _plain(parameter)[0].removeprefix("allow.")
    return parameter.name.startswith("allow.") and not flag(parameter) and name not in DEFAULT_ALLOW


def _is_mount(parameter: JailParameter) -> bool:
    return parameter.name in ("mount.devfs", "mount.fdescfs", "mount.procfs")


def _plain(parameter: JailParameter) -> tuple[str, tuple[str, ...]]:
    """A parameter without `no` in its name, and its values."""
    head, dot, last = parameter.name.rpartition(".")
    if not parameter.values and last.startswith("no") and last != "node":
        return f"{head}{dot}{last[2:]}", ("false",)
    if parameter.texts and (parameter.texts[-1].lower() == "true" or (_is_mount(parameter) and flag(parameter))):
        return parameter.name, ()
    return parameter.name, parameter.texts


def _template(path: str, name: str) -> str:
    head, slash, last = path.rpartition("/")
    return f"{head}{slash}NAME" if last == name else path


# --- what it shares ---------------------------------------------------------------------------------------------------


def _shared(checked: Checked, cards: Collection[str]) -> dict[str, list[str]]:
    """Its addresses on cards of the host; nothing where some are elsewhere, or on none."""
    found: dict[str, list[str]] = {}
    wanted = sum(len(checked.jail.texts(f"ip{version}.addr")) for version in (4, 6))
    for each in checked.addresses:
        if each.interface in cards and not each.words:
            mask = each.mask or ("32" if each.family is Family.INET else "128")
            found.setdefault(each.interface, []).append(str(ip_interface(f"{each.address}/{mask}")))
    return found if sum(map(len, found.values())) == wanted else {}


# --- mounts -----------------------------------------------------------------------------------------------------------


def _mounts(path: str, lines: Sequence[str]) -> tuple[str | None, list[str]]:
    """The base that a jail shares, and its other mounts."""
    inner = [_inner(path, line) for line in lines]
    bases = {line.removesuffix("/bin /bin ro") for line in inner if line.endswith("/bin /bin ro")}
    for base in sorted(bases):
        wanted = [f"{base}/{each} /{each} ro" for each in SHARED]
        if all(each in inner for each in wanted):
            return base, [line for line in inner if line not in wanted]
    return None, inner


def _inner(path: str, text: str) -> str:
    """`SOURCE TARGET [ro]` with the target as the jail sees it, where it is that simple; else the line as it is."""
    found, words = mount_line(text), text.split()
    under = path.rstrip("/") + "/"
    if found is None or found.vfstype != "nullfs" or not words[1].startswith(under) or len(words) > 6:
        return " ".join(words)
    target = "/" + words[1].removeprefix(under).strip("/")
    options = found.options or "rw"
    if options not in ("ro", "rw") or any(word != "0" for word in words[4:]):
        return " ".join(words)
    return f"{words[0]} {target}" + (" ro" if options == "ro" else "")


# --- commands ---------------------------------------------------------------------------------------------------------


def _commands(
    lines: Sequence[Line], covered: Collection[str], apart: Collection[str], note: Note, *, failed: bool
) -> tuple[dict[str, tuple[str, ...]], list[str], bool]:
    """Lines that stay as they are by parameter, those that are run when the network stands, and whether rc is run."""
    kept: dict[str, list[str]] = {}
    run: list[str] = []
    known = [replace(line, commands=None) if failed else line for line in lines if line.parameter not in _SCALARS]
    known = [each for line in known for each in taken_apart(line, covered, apart)]
    fates = [(line, *fate(line, covered)) for line in known]
    boots = any(runs_rc(line) and what is not Fate.KEPT for line, what, _ in fates)
    booted = False
    for line, what, lost in fates:
        if runs_rc(line) and what in (Fate.BOOT, Fate.SAID):
            booted = True
        elif what is Fate.MIXED:
            note(f"{line.parameter}: a lab file makes its interfaces itself; lost is: {'; '.join(lost)}", line.place)
        elif what is Fate.KEPT or (what is Fate.BOOT and not boots):
            # What is about the network comes when the lab file's own lines have made that.
            if line.parameter == "exec.start" and (booted or not boots or is_of_network(line)):
                run.append(line.text)
            else:
                kept.setdefault(line.parameter, []).append(line.text)
    return {name: tuple(values) for name, values in kept.items()}, run, boots
