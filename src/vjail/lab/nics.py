"""Which network cards a host must have, from the names its files use.

A folder without a lab file describes one host; every card that its files name, and nothing there clones, exists. What
counts as a card is the name of a FreeBSD Ethernet driver with a unit; what does not, a cloner's. Sources: section 4 of
FreeBSD's manual (driver names), ifconfig -C.
"""

from __future__ import annotations

import re

FIRST = "vtnet0"
"""The card of a host whose files name none."""

_DRIVERS = (
    "ae", "age", "alc", "ale", "aue", "axe", "axge", "axgbe", "bce", "bfe", "bge", "bnxt", "cas", "cdce", "cue",
    "cxgb", "cxgbe", "cxl", "cc", "dc", "de", "dpni", "dwc", "ed", "em", "ena", "enc", "et", "fxp", "gem", "genet",
    "hme", "hn", "iavf", "ice", "igb", "igc", "ix", "ixl", "ixv", "jme", "kue", "le", "lge", "liquidio", "mana",
    "mce", "mge", "mlxen", "msk", "muge", "my", "mxge", "nf", "nfe", "nge", "oce", "pcn", "qlnx", "qlxgb", "qlxgbe",
    "qlxge", "re", "rl", "rue", "sf", "sfxge", "sge", "sis", "sk", "smsc", "sn", "ste", "stge", "sume", "ti",
    "tsec", "txp", "udav", "ure", "urndis", "vge", "vmx", "vr", "vte", "vtnet", "vxge", "wb", "xe", "xl", "xn",
)  # fmt: skip
_NAME = re.compile(rf"(?<![\w.$/-])(?:{'|'.join(_DRIVERS)})\d+(?![\w])")
_IN_VARIABLE = re.compile(rf"(?:ifconfig|vlans|create_args|autobridge)_((?:{'|'.join(_DRIVERS)})\d+)(?=[_=])")


def named(*texts: str) -> tuple[str, ...]:
    """The cards that some files name, in the order of their names; FIRST where there are none."""
    found: set[str] = set()
    for text in texts:
        without_comments = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
        found.update(match.group() for match in _NAME.finditer(without_comments))
        found.update(match.group(1) for match in _IN_VARIABLE.finditer(without_comments))
    return tuple(sorted(found, key=_order)) or (FIRST,)


def _order(name: str) -> tuple[str, int]:
    stem = name.rstrip("0123456789")
    return stem, int(name[len(stem) :])
