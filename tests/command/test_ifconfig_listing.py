"""ifconfig(8): options, and the listings of 15, which no recording has. Source: spec §1, §11, §13."""

from __future__ import annotations

import pytest
from network_lab import Lab, type_command

from vjail.release import Release

USAGE_13 = """\
usage: ifconfig [-f type:format] [-g groupname] [-C] [-L] interface address_family
                [address [dest_address]] [parameters]
       ifconfig interface create
       ifconfig -a [-g groupname] [-C] [-L] [-d] [-m] [-u] [-v] [address_family]
       ifconfig -l [-d] [-u] [address_family]
       ifconfig [-g groupname] [-C] [-L] [-d] [-m] [-u] [-v]
"""

BRIDGE_15 = (
    "bridge0: flags=1008843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500\n"
    "\toptions=10<VLAN_HWTAGGING>\n"
    "\tether 58:9c:fc:10:bc:16\n"
    "\tid 00:00:00:00:00:00 priority 32768 hellotime 2 fwddelay 15\n"
    "\tmaxage 20 holdcnt 6 proto rstp maxaddr 2000 timeout 1200\n"
    "\troot id 00:00:00:00:00:00 priority 32768 ifcost 0 port 0\n"
    "\tbridge flags=0<>\n"
    "\tmember: epair0a flags=143<LEARNING,DISCOVER,AUTOEDGE,AUTOPTP>\n"
    "\t        port 5 priority 128 path cost 2000 vlan protocol 802.1q\n"
    "\tgroups: bridge\n"
    "\tnd6 options=9<PERFORMNUD,IFDISABLED>\n"
)

EPAIR_15 = (
    "epair0a: flags=1008943<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500\n"
    "\toptions=8<VLAN_MTU>\n"
    "\tether 58:9c:fc:10:ba:31\n"
    "\tinet 10.0.0.1 netmask 0xffffff00 broadcast 10.0.0.255\n"
    "\tinet6 fe80::5a9c:fcff:fe10:ba31%epair0a prefixlen 64 scopeid 0x5\n"
    "\tgroups: epair\n"
    "\tmedia: Ethernet 10Gbase-T (10Gbase-T <full-duplex>)\n"
    "\tstatus: active\n"
    "\tnd6 options=21<PERFORMNUD,AUTO_LINKLOCAL>\n"
)


def lab(release: Release = Release.V13) -> Lab:
    """A host with an epair whose a end is up, has addresses and is a member of bridge0, and a vnet jail j."""
    made = Lab(release=release)
    made.create_jail(0, "j", vnet=True)
    for line in (
        "epair create",
        "bridge create",
        "bridge0 addm epair0a up",
        "epair0a inet6 -ifdisabled up",
        "epair0a inet 10.0.0.1/24",
    ):
        assert type_command(made, f"ifconfig {line}").code == 0
        made.clock.now += 3
    return made


def listed(at: Lab, words: str) -> str:
    """What a listing prints, which says nothing on standard error."""
    result = type_command(at, f"ifconfig {words}")
    assert (result.stderr, result.code) == ("", 0), words
    return result.stdout


def names(listing: str) -> list[str]:
    """The interfaces of a listing."""
    return [line.partition(":")[0] for line in listing.splitlines() if not line.startswith("\t")]


def test_listings_of_15() -> None:
    at = lab(Release.V15)
    assert listed(at, "bridge0") == BRIDGE_15
    assert listed(at, "epair0a") == EPAIR_15
    assert listed(at, "pflog0") == "pflog0: flags=0 metric 0 mtu 33160\n\toptions=0\n\tgroups: pflog\n"
    type_command(at, "ifconfig bridge0 ifmaxaddr epair0a 3")
    assert "\n\t        ifmaxaddr 3 port 5 priority 128 path cost 2000 vlan protocol" in listed(at, "bridge0")


def test_bit_5_of_the_flags_is_set_in_13_only() -> None:
    for release, flags in (
        (Release.V12, "8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST>"),
        (Release.V13, "8863<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST>"),
        (Release.V14, "1008843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP>"),
    ):
        at = lab(release)
        type_command(at, "ifconfig vtnet0 up")
        assert listed(at, "vtnet0").startswith(f"vtnet0: flags={flags} ")


def test_an_address_family_limits_what_is_shown() -> None:
    at = lab()
    first = "epair0a: flags=8963<UP,BROADCAST,RUNNING,PROMISC,SIMPLEX,MULTICAST> metric 0 mtu 1500\n"
    options = "\toptions=8<VLAN_MTU>\n"
    inet6 = "\tinet6 fe80::27:1eff:fe03:60a%epair0a prefixlen 64 scopeid 0x5\n"
    nd6 = "\tnd6 options=21<PERFORMNUD,AUTO_LINKLOCAL>\n"
    assert listed(at, "epair0a inet6") == first + options + inet6 + nd6
    assert listed(at, "epair0a inet") == first + options + "\tinet 10.0.0.1 netmask 0xffffff00 broadcast 10.0.0.255\n"
    for word in ("ether", "link", "lladdr"):
        assert listed(at, f"epair0a {word}") == first + options + "\tether 02:27:1e:03:06:0a\n"


def test_by_netlink_an_interface_without_such_an_address_is_not_shown() -> None:
    everything = ["vtnet0", "vtnet1", "lo0", "pflog0", "epair0a", "epair0b", "bridge0"]
    assert names(listed(lab(), "-a inet")) == everything
    at = lab(Release.V15)
    assert names(listed(at, "-a inet")) == ["epair0a"]
    assert names(listed(at, "-a ether")) == ["vtnet0", "vtnet1", "epair0a", "epair0b", "bridge0"]
    assert names(listed(at, "-a link")) == everything
    assert listed(at, "epair0b inet6") == ""


@pytest.mark.parametrize("release", [Release.V13, Release.V15])
@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("-l", "vtnet0 vtnet1 lo0 pflog0 epair0a epair0b bridge0"),
        ("-lu", "epair0a bridge0"),
        ("-l -d", "vtnet0 vtnet1 lo0 pflog0 epair0b"),
        ("-l inet", "epair0a"),
        ("-l inet6", "epair0a"),
        ("-l ether", "vtnet0 vtnet1 epair0a epair0b bridge0"),
        ("-l link", "vtnet0 vtnet1 lo0 pflog0 epair0a epair0b bridge0"),
        ("-l -u ether", "epair0a bridge0"),
    ],
)
def test_names(release: Release, words: str, found: str) -> None:
    assert listed(lab(release), words) == f"{found}\n"


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", ["vtnet0", "vtnet1", "lo0", "pflog0", "epair0a", "epair0b", "bridge0"]),
        ("-u", ["epair0a", "bridge0"]),
        ("-a -d", ["vtnet0", "vtnet1", "lo0", "pflog0", "epair0b"]),
        ("-a -g epair", ["epair0a", "epair0b"]),
        ("-a -g '[bl]*'", ["lo0", "bridge0"]),
        ("-a -G '[elp]*'", ["vtnet0", "vtnet1", "bridge0"]),
        ("-a -g all -G epair", ["vtnet0", "vtnet1", "lo0", "pflog0", "bridge0"]),
        ("-u epair0b", []),
    ],
)
def test_which_interfaces_are_listed(words: str, found: list[str]) -> None:
    assert names(listed(lab(), words)) == found


def test_groups_by_name() -> None:
    at = lab()
    assert listed(at, "-g epair") == "epair0b\nepair0a\n"
    assert listed(at, "-g nosuch") == ""


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("inet:cidr", "\tinet 10.0.0.1/24 broadcast 10.0.0.255\n"),
        ("inet:dotted", "\tinet 10.0.0.1 netmask 255.255.255.0 broadcast 10.0.0.255\n"),
        ("inet:hex", "\tinet 10.0.0.1 netmask 0xffffff00 broadcast 10.0.0.255\n"),
        ("inet6:cidr", "\tinet6 fe80::27:1eff:fe03:60a%epair0a/64 scopeid 0x5\n"),
        ("ether:dash", "\tether 02-27-1e-03-06-0a\n"),
        ("inet:cidr,ether:dash", "\tether 02-27-1e-03-06-0a\n"),
        ("ether:dash,inet:cidr", "\tinet 10.0.0.1/24 broadcast 10.0.0.255\n"),
    ],
)
def test_formats_by_option_or_environment(form: str, line: str) -> None:
    at = lab()
    assert line in listed(at, f"-f {form} epair0a")
    assert line in type_command(at, "ifconfig epair0a", environ={"IFCONFIG_FORMAT": form}).stdout


def test_a_format_of_nothing_is_passed_over() -> None:
    result = type_command(lab(), "ifconfig -f cidr,ether:dash epair0a ether")
    assert result.stderr == "ifconfig: Skipping invalid format specification: cidr\n\n"
    assert "\tether 02-27-1e-03-06-0a\n" in result.stdout


def test_formats_of_15() -> None:
    at = lab(Release.V15)
    assert "inet 10.0.0.1/24 broadcast" in listed(at, "-f cidr epair0a")
    assert (
        "netmask 0xffffff00"
        in type_command(at, "ifconfig -f default epair0a", environ={"IFCONFIG_FORMAT": "cidr"}).stdout
    )
    assert type_command(at, "ifconfig -f foo epair0a inet").stderr == "ifconfig: Skipping invalid format: foo\n\n"


def test_capabilities_are_shown_on_demand() -> None:
    at = lab()
    type_command(at, "ifconfig epair0b -vlanmtu")
    assert "options" not in listed(at, "epair0b ether")
    assert "\tcapabilities=8<VLAN_MTU>\n\tether" in listed(at, "-m epair0b")


def test_driver_names_of_15() -> None:
    at = lab(Release.V15)
    for line in ("epair0a name uplink", "vtnet1.7 create", "vlan create"):
        type_command(at, f"ifconfig {line}")
    for name, driver in (("uplink", "epair0"), ("bridge0", "bridge0"), ("vtnet1.7", "vlan"), ("vlan0", "vlan0")):
        assert listed(at, f"-D {name}").endswith(f"\tdrivername: {driver}\n")
        assert listed(at, f"-v {name}").endswith(f"\tdrivername: {driver}\n")
    assert "drivername" not in listed(lab(), "-v epair0a")


def test_inside_a_jail_from_15_on() -> None:
    at = lab(Release.V15)
    assert listed(at, "-j j -l") == "lo0 pflog0\n"
    assert listed(at, "-j 1 epair create") == "epair0a\n"
    assert listed(at, "-j j -l") == "lo0 pflog0 epair0a epair0b\n"
    result = type_command(at, "ifconfig -j nosuch -l")
    assert (result.stderr, result.code) == ("ifconfig: jail not found: No such file or directory\n", 1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-l -a", ""),
        ("-l -m", ""),
        ("-u -d", ""),
        ("-a inet extra", ""),
        ("-G epair", ""),
        ("-a nosuch", "ifconfig: Address family 'nosuch' unknown.\n"),
        ("-l nosuch", "ifconfig: Address family 'nosuch' unknown.\n"),
        ("-x", "ifconfig: illegal option -- x\n"),
        ("-j j -l", "ifconfig: illegal option -- j\n"),
        ("-f", "ifconfig: option requires an argument -- f\n"),
    ],
)
def test_usage(words: str, said: str) -> None:
    result = type_command(lab(), f"ifconfig {words}")
    assert (result.stdout, result.stderr, result.code) == ("", said + USAGE_13, 1)


def test_usage_of_15_names_the_jail() -> None:
    result = type_command(lab(Release.V15), "ifconfig -l -a")
    assert result.stderr.startswith("usage: ifconfig [-j jail] [-f type:format] ")


VXLAN_13 = (
    "vxlan0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1450\n"
    "\toptions=80000<LINKSTATE>\n"
    "\tether 58:9c:fc:10:ff:b2\n"
    "\tgroups: vxlan\n"
    "\tvxlan vni 42 local 10.0.0.1:4789 remote 10.0.0.2:4789\n"
    "\tmedia: Ethernet autoselect (autoselect <full-duplex>)\n"
    "\tstatus: active\n"
    "\tnd6 options=29<PERFORMNUD,IFDISABLED,AUTO_LINKLOCAL>\n"
)


def test_a_vxlan_runs_once_it_is_complete_and_stands_still_then() -> None:
    at = lab()
    made = type_command(at, "ifconfig vxlan create vxlanid 42 vxlanlocal 10.0.0.1")
    assert (made.stdout, made.code) == ("vxlan0\n", 0)
    type_command(at, "ifconfig vxlan0 up")
    assert "vxlan0: flags=8803<UP,BROADCAST,SIMPLEX,MULTICAST> metric 0 mtu 1470\n" in shown(at, "vxlan0")
    assert type_command(at, "ifconfig vxlan0 down vxlanremote 10.0.0.2 up").code == 0
    found = shown(at, "vxlan0")
    assert found.replace(found.split("\tether ")[1].split("\n")[0], "58:9c:fc:10:ff:b2") == VXLAN_13
    busy = type_command(at, "ifconfig vxlan0 vxlanvni 43")
    assert (busy.stderr, busy.code) == ("ifconfig: VXLAN_CMD_SET_VNI: Device busy\n", 1)
    assert type_command(at, "ifconfig vxlan0 vxlanttl 9 -vxlanlearn").code == 0
    assert "\t\tconfig: nolearning portrange 10000-65535 ttl 9\n" in shown(at, "-v vxlan0")


def test_a_vxlan_keeps_an_mtu_it_was_given() -> None:
    at = lab()
    for words, mtu in (
        ("vxlan0 create vxlanid 1 vxlanremote 10.0.0.2", 1450),
        ("vxlan0 vxlanremote 2001:db8::2", 1430),
        ("vxlan0 mtu 1500", 1500),
        ("vxlan0 vxlanremote 10.0.0.2", 1500),
    ):
        assert type_command(at, f"ifconfig {words}").code == 0
        assert f" mtu {mtu}\n" in shown(at, "vxlan0")


def test_a_tun_is_point_to_point() -> None:
    at = lab()
    assert type_command(at, "ifconfig tun0 create").code == 0
    assert type_command(at, "ifconfig tun0 10.8.0.1 10.8.0.2 netmask 255.255.255.255").code == 0
    assert shown(at, "tun0") == (
        "tun0: flags=8051<UP,POINTOPOINT,RUNNING,MULTICAST> metric 0 mtu 1500\n"
        "\toptions=80000<LINKSTATE>\n"
        "\tinet 10.8.0.1 --> 10.8.0.2 netmask 0xffffffff\n"
        "\tgroups: tun\n"
        "\tnd6 options=29<PERFORMNUD,IFDISABLED,AUTO_LINKLOCAL>\n"
    )
    assert type_command(at, "ifconfig bridge0 addm tun0").stderr == "ifconfig: BRDGADD tun0: Invalid argument\n"


LAGG = """\
lagg0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1400
	ether 52:54:00:12:34:66
	laggproto failover lagghash l2,l3,l4
	laggport: vtnet0 flags=5<MASTER,ACTIVE>
	laggport: vtnet1 flags=0<>
	groups: lagg
	media: Ethernet autoselect
	status: active
	nd6 options=29<PERFORMNUD,IFDISABLED,AUTO_LINKLOCAL>
"""


def test_a_lagg_leads_with_its_first_port() -> None:
    at = lab()
    for words in ("vtnet0 mtu 1400", "vtnet1 mtu 1400 up", "vtnet0 up"):
        assert type_command(at, f"ifconfig {words}").code == 0
    assert (
        type_command(at, "ifconfig lagg create laggproto failover laggport vtnet0 laggport vtnet1").stdout == "lagg0\n"
    )
    assert type_command(at, "ifconfig lagg0 laggport vtnet0 up").code == 0, "once more is no error"
    assert shown(at, "lagg0") == LAGG
    assert "\tether 52:54:00:12:34:66\n\thwaddr 52:54:00:12:34:67\n" in shown(at, "vtnet1")
    assert type_command(at, "ifconfig vtnet0 down").code == 0
    assert "laggport: vtnet0 flags=1<MASTER>\n\tlaggport: vtnet1 flags=4<ACTIVE>\n" in shown(at, "lagg0")
    assert type_command(at, "ifconfig lagg0 laggproto lacp").code == 0
    assert "vtnet1 flags=1c<ACTIVE,COLLECTING,DISTRIBUTING>\n" in shown(at, "lagg0")
    assert type_command(at, "ifconfig lagg0 laggport nosuch0").stderr == "ifconfig: SIOCSLAGGPORT: Invalid argument\n"
    assert type_command(at, "ifconfig lagg0 -laggport vtnet0").code == 0
    assert "\tether 52:54:00:12:34:67\n" in shown(at, "lagg0")
    assert "\tether 52:54:00:12:34:66\n" in shown(at, "vtnet0")
    refused = type_command(at, "ifconfig lagg0 -laggport vtnet0")
    assert refused.stderr == "ifconfig: SIOCSLAGGDELPORT: No such file or directory\n"
    assert type_command(at, "ifconfig lagg0 destroy").code == 0
    assert "hwaddr" not in shown(at, "vtnet1")


def test_the_ports_of_a_lagg_have_its_mtu() -> None:
    """sys/net/if_lagg.c: a port that has another is given it, and keeps to it while it is one."""
    at = lab()
    assert type_command(at, "ifconfig vtnet1 mtu 9000").code == 0
    assert type_command(at, "ifconfig lagg0 create laggport vtnet0 laggport vtnet1").code == 0
    assert "mtu 1500" in shown(at, "vtnet1")
    refused = type_command(at, "ifconfig vtnet1 mtu 1400")
    assert refused.stderr == "ifconfig: ioctl SIOCSIFMTU (set mtu): Invalid argument\n"
    assert type_command(at, "ifconfig lagg0 mtu 9000").code == 0
    assert all("mtu 9000" in shown(at, name) for name in ("lagg0", "vtnet0", "vtnet1"))


def shown(at: Lab, words: str) -> str:
    """What `ifconfig WORDS` prints."""
    return type_command(at, f"ifconfig {words}").stdout
