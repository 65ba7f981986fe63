"""Files of a base's /etc: each is installed as it lies here; what makes the others is in userland/etc.py."""

from __future__ import annotations

from importlib.resources import files


def default_rc_conf() -> str:
    """/etc/defaults/rc.conf: the variables vjail's rc heeds, with FreeBSD's defaults."""
    return (files(__name__) / "defaults" / "rc.conf").read_text()
