"""Link-layer addresses on the command line. Source: FreeBSD 13.2 sbin/ifconfig/af_link.c, link_addr(3); spec §2."""

from __future__ import annotations

import random
import re

from vjail.command.ifconfig.run import Run
from vjail.kernel.operations import SetLinkAddress
from vjail.session import Quit

_ADDRESS = re.compile(r"[0-9a-fA-F]{1,2}([:.-][0-9a-fA-F]{1,2}){5}")


def set_address(run: Run, text: str) -> None:
    """The address, or `random`; what is none becomes one of another length, which the kernel refuses."""
    if run.alias < 0:
        refuse()
    if text == "random":
        octets = random.SystemRandom().randbytes(6)
        run.lladdr = bytes((octets[0] & 0xFC | 0x02,)) + octets[1:]
    elif _ADDRESS.fullmatch(text):
        run.lladdr = bytes(int(part, 16) for part in re.split("[:.-]", text))
    else:
        run.lladdr = b""


def refuse() -> None:
    """Masks, broadcast addresses and aliases are not for this family."""
    raise Quit("can't set link-level netmask or broadcast")


def add(run: Run) -> None:
    """Set the address."""
    run.apply_generic(SetLinkAddress(run.name, run.lladdr), "ioctl (SIOCAIFADDR)")
