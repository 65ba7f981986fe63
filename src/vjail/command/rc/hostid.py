"""/etc/rc.d/hostid, hostid_save and hostname: who a host is.

Sources: libexec/rc/rc.d/{hostid,hostid_save,hostname} of 13.2, spec host-files §2, observed/e8_hostid_reset.txt.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence

from vjail.command.rc import interfaces as names
from vjail.command.rc.subr import Keyword, Rc, Script, nothing
from vjail.kernel.errno import KernelError
from vjail.session import Output

_SYSCTL = "/sbin/sysctl"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_USELESS = frozenset(
    {
        "00000000-0000-0000-0000-000000000000",
        "00020003-0004-0005-0006-000700080009",
        "03000200-0400-0500-0006-000700080009",
        "07090201-0103-0301-0807-060504030201",
        "11111111-1111-1111-1111-111111111111",
        "11111111-2222-3333-4444-555555555555",
        "4c4c4544-0000-2010-8020-80c04f202020",
        "58585858-5858-5858-5858-585858585858",
        "890e2d14-cacd-45d1-ae66-bc80e8bfeb0f",
        "8e275844-178f-44a8-aceb-a7d7e5178c63",
        "dc698397-fa54-4cf2-82c8-b1b5307a6a7f",
        "fefefefe-fefe-fefe-fefe-fefefefefefe",
    }
)
"""UUIDs that firmware gives many machines alike."""


def is_valid(text: str) -> bool:
    """Whether a UUID may serve as a host's."""
    if text in _USELESS or text.endswith("-ffff-ffff-ffff-ffffffffffff"):
        return False
    return _UUID.fullmatch(text) is not None


def hostid_of(text: str) -> str:
    """kern.hostid for a UUID: the first eight digits of its MD5."""
    return f"0x{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:8]}"


async def start(rc: Rc, words: Sequence[str]) -> int:
    """Take the UUID from hostid_file, or make one."""
    saved = _first_word(rc, rc.conf.get("hostid_file"))
    await (_set(rc, saved) if is_valid(saved) else _generate(rc))
    return 0


async def reset(rc: Rc, words: Sequence[str]) -> int:
    """Make a UUID and keep it."""
    _store(rc, rc.conf.get("hostid_file"), await _generate(rc))
    return 0


async def save(rc: Rc, words: Sequence[str]) -> int:
    """Keep the UUID the host has, and the machine id made of it."""
    current = rc.session.system.sysctl("kern.hostuuid")[0][1]
    for variable, text in (("hostid_file", current), ("machine_id_file", current.replace("-", ""))):
        path = rc.conf.get(variable)
        if path and _first_word(rc, path) != text:
            _store(rc, path, text)
    return 0


async def _generate(rc: Rc) -> str:
    made = rc.session.system.kenv().get("smbios.system.uuid", "")
    if not is_valid(made):
        rc.warn("hostid: unable to figure out a UUID from DMI data, generating a new one")
        await rc.session.sleep(2)
        made = str(uuid.uuid4())
    await _set(rc, made)
    return made


async def _set(rc: Rc, text: str) -> None:
    number = hostid_of(text)
    rc.message(f"Setting hostuuid: {text}.\n")
    await rc.call(_SYSCTL, f"kern.hostuuid={text}", output=Output.NULL)
    rc.message(f"Setting hostid: {number}.\n")
    await rc.call(_SYSCTL, f"kern.hostid={number}", output=Output.NULL)


def _first_word(rc: Rc, path: str) -> str:
    """The first line of a file without blanks around it; empty where it cannot be read."""
    try:
        lines = rc.session.files.read(path).decode(errors="replace").splitlines()
    except KernelError:
        return ""
    return lines[0].strip() if lines else ""


def _store(rc: Rc, path: str, text: str) -> None:
    try:
        rc.session.files.write(path, f"{text}\n".encode())
    except KernelError as error:
        rc.session.err(f"{rc.program}: cannot create {path}: {error.errno.text}\n")
        rc.warn(f"could not store hostuuid in {path}.")


async def set_hostname(rc: Rc, words: Sequence[str]) -> int:
    """hostname_start: in a jail only where it may."""
    system = rc.session.system
    name = rc.conf.get("hostname")
    if rc.jailed and system.sysctl("security.jail.set_hostname_allowed")[0][1] == "0":
        return 0
    if not rc.jailed and not name:
        name = system.kenv().get("dhcp.host-name", "")
    if not name:
        if not names.with_dhcp(rc) and not system.sysctl("kern.hostname")[0][1]:
            rc.warn("$hostname is not set -- see rc.conf(5).")
        return 0
    rc.message(f"Setting hostname: {name}")
    await rc.call("/bin/hostname", name)
    rc.message(".\n")
    return 0


HOSTID = Script(
    "hostid",
    "Generate a unique host ID",
    {"start": start, "stop": nothing, "reset": reset},
    rcvar="hostid_enable",
    keywords=frozenset({Keyword.NOJAIL}),
)
HOSTID_SAVE = Script(
    "hostid_save",
    "Save unique host ID to disk",
    {"start": save, "stop": nothing},
    rcvar="hostid_enable",
    keywords=frozenset({Keyword.NOJAIL}),
)
HOSTNAME = Script("hostname", "Set the system's hostname", {"start": set_hostname, "stop": nothing})
