"""What the machine was like before the first line of each recording, for those who type the lines again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

HOSTID = "eb9dd9a8-ccc5-405b-8660-f2b71735a53e"
"""The /etc/hostid of the machine in all recordings under observed/; that of the others is not known."""

HOST_IPV6 = (
    "route add -inet6 fe80:: -prefixlen 10 ::1 -reject",
    "route add -inet6 ff02:: -prefixlen 16 ::1 -reject",
    "route add -inet6 ::ffff:0.0.0.0 -prefixlen 96 ::1 -reject",
    "route add -inet6 ::0.0.0.0 -prefixlen 96 ::1 -reject",
)
"""What rc.d/routing adds to an IPv6 host's table."""

OBSERVED = ("52:54:00:12:34:56", "52:54:00:12:34:57")


@dataclass(frozen=True)
class Recording:
    """A file, and what the machine was like before it.

    `counter` is the number that went into the last epair's addresses, 4 on a machine that has made none; `travelled`
    says whether vtnet1 has been in a jail, and so stands last; `exact` that addresses must be the recorded ones, the
    hostid being known; `before` what had been typed; `until` the last line typed again.
    """

    path: str
    counter: int = 4
    travelled: bool = True
    exact: bool = False
    before: Sequence[str] = ()
    nics: tuple[str, str] = ("52:54:00:12:34:66", "52:54:00:12:34:67")
    until: int | None = None


REPLAY = (
    Recording("replay/ifconfig-inet.txt"),
    Recording("replay/ifconfig-inet6.txt"),
    Recording("replay/bridge.txt"),
    Recording("replay/vlan.txt"),
    Recording("replay/routes.txt"),
    Recording("replay/vnet.txt"),
    Recording("replay/documents-A1.txt", travelled=False),
    Recording("replay/documents-C.txt"),
    Recording("replay/documents-E1.txt"),
    Recording("replay/documents-E1-as-printed.txt"),
    Recording("replay/documents-E2.txt"),
    Recording("replay/pf.txt"),
)
"""Those made to be typed again."""

EXPLORATIONS = (
    Recording("observed/a_ifconfig.txt", counter=7, travelled=False, exact=True, nics=OBSERVED),
    Recording("observed/b1_two_jails.txt", counter=12, travelled=False, exact=True, nics=OBSERVED, until=67),
    Recording("observed/c1_ifconfig_errors.txt", counter=26, travelled=False, exact=True, nics=OBSERVED),
    Recording("observed/d_routes.txt", counter=38, exact=True, nics=OBSERVED, before=HOST_IPV6),
    Recording(
        "observed/d5_rcconf_blackhole.txt",
        counter=113,
        travelled=False,
        exact=True,
        nics=OBSERVED,
        before=(*HOST_IPV6, *(f"ifconfig epair{unit} create" for unit in (1, 2, 3))),
    ),
    Recording("observed/e1_boot1.txt", travelled=False, exact=True, nics=OBSERVED),
    Recording("observed/e7_after_reset_boot2.txt", travelled=False, exact=True, nics=OBSERVED),
    Recording("observed/e_mac.txt", counter=94, travelled=False, exact=True, nics=OBSERVED),
    Recording("observed/i_destroy_and_ownership.txt", counter=7, travelled=False, exact=True, nics=OBSERVED),
    Recording("observed/i9_dying_jails_races_nested.txt", counter=10, travelled=False, nics=OBSERVED),
    Recording("observed/j_dying_jail_restart_and_more.txt", travelled=False, nics=OBSERVED),
)
"""Those made to find something out."""
