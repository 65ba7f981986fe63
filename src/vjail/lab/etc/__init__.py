"""Files of a base's /etc: each is installed as it lies here; what makes the others is in userland/etc.py."""

from __future__ import annotations

from pathlib import Path


def default_rc_conf() -> str:
    """/etc/defaults/rc.conf: the variables vjail's rc heeds, with FreeBSD's defaults."""
    return (Path(__file__).parent / "defaults" / "rc.conf").read_text()
