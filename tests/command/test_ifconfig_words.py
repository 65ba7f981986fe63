"""ifconfig(8): what the words of its grammar say and do where no recording has them. Source: spec §1 to §5, §12."""

from __future__ import annotations

import pytest
from network_lab import Lab, type_command

from vjail.release import Release


def lab(release: Release = Release.V13) -> Lab:
    """A host with an epair, bridge0, vlan0 (5 on vtnet1) and a vnet jail j."""
    made = Lab(release=release)
    made.create_jail(0, "j", vnet=True)
    for line in ("epair create", "bridge create", "vlan create vlan 5 vlandev vtnet1"):
        assert type_command(made, f"ifconfig {line}").code == 0
    return made


def refusal(at: Lab, words: str, uid: int = 0) -> str:
    """What `ifconfig WORDS` says on standard error as it fails, without its name."""
    result = type_command(at, f"ifconfig {words}", uid=uid)
    assert (result.stdout, result.code) == ("", 1), words
    assert result.stderr.startswith("ifconfig: ")
    return result.stderr.removeprefix("ifconfig: ").rstrip("\n")


REFUSALS = [
    # words and their arguments
    ("epair0a mtu", "'mtu' requires argument"),
    ("bridge0 static x", "'static' requires 2 arguments"),
    ("epair0a bogus", "bogus: bad value"),
    ("epair0a 10.0.0.1/33", "10.0.0.1/33: bad value (width too large)"),
    ("epair0a 10.0.0.1/x", "10.0.0.1/x: bad value (width invalid)"),
    ("epair0a netmask nonsense", "nonsense: bad value"),
    ("epair0a inet6 fd00::1/129", "129: bad value"),
    ("epair0a inet6 nonsense", "nonsense: bad value"),
    ("epair0a inet -alias 10.9.9.9", "ioctl (SIOCDIFADDR): Can't assign requested address"),
    ("epair0a inet6 fd00::1 eui64", "interface index is already filled"),
    ("epair0a inet6 fd00:: eui64", "could not determine link local address"),
    ("epair0a inet6 fe80::1%vtnet0", "ioctl (SIOCAIFADDR): Invalid argument"),
    ("epair0a anycast", "address flags can be set only for inet6 addresses: No error: 0"),
    ("epair0a pltime 5", "pltime not allowed for the AF"),
    ("epair0a pltime x", "invalid pltime"),
    ("epair0a ether 00:11", "ioctl (SIOCAIFADDR): Invalid argument"),
    ("epair0a ether netmask 1", "can't set link-level netmask or broadcast"),
    # names, groups, vnets
    ("epair0a create", "interface epair0a already exists"),
    ("nosuch", "interface nosuch does not exist"),
    ("abcdefghijklmnop", "interface abcdefghijklmnop does not exist"),
    ("abcdefghijklmnop create", "abcdefghijklmnop: cloning name too long"),
    ("abcdefghijklmnop -vnet j", "abcdefghijklmnop: interface name too long"),
    ("epair0a name abcdefghijklmnop", "ioctl SIOCSIFNAME (set name): File name too long"),
    ("epair0a name ''", "ioctl SIOCSIFNAME (set name): Invalid argument"),
    ("epair0a name vtnet0", "ioctl SIOCSIFNAME (set name): File exists"),
    ("epair0a group g1", "setifgroup: group names may not end in a digit"),
    ("epair0a group abcdefghijklmnop", "setifgroup: group name too long"),
    ("epair0a -group g1", "unsetifgroup: group names may not end in a digit"),
    ("epair0a vnet nosuch", 'jail "nosuch" not found'),
    ("epair0a vnet 7", "jail 7 not found"),
    ("nosuch -vnet j", "SIOCSIFRVNET(1, nosuch): Device not configured"),
    # numbers and media
    ("epair0a mtu 71", "ioctl SIOCSIFMTU (set mtu): Invalid argument"),
    ("epair0a mtu 65536", "ioctl SIOCSIFMTU (set mtu): Invalid argument"),
    ("epair0a mtu x", "ioctl SIOCSIFMTU (set mtu): Invalid argument"),
    ("bridge0 media autoselect", "SIOCGIFMEDIA: Invalid argument"),
    ("epair0a -tunnel", "SIOCDIFPHYADDR: Invalid argument"),
    # creating and destroying
    ("lo0 destroy", "SIOCIFDESTROY: Invalid argument"),
    ("vtnet0 destroy", "SIOCIFDESTROY: Invalid argument"),
    ("epair0 create", "interface epair0 already exists"),
    ("epair01 create", "SIOCIFCREATE2 (epair01): Invalid argument"),
    ("epair7a create", "SIOCIFCREATE2 (epair7a): Invalid argument"),
    ("foo create", "SIOCIFCREATE2 (foo): Invalid argument"),
    ("vxlan create vxlanid 16777215", "invalid network identifier: 16777215"),
    ("vxlan create vxlanlocal 224.0.0.1", "local address cannot be multicast"),
    ("vxlan create vxlanremote 224.0.0.1", "remote address cannot be multicast"),
    ("vxlan create vxlangroup 192.0.2.1", "group address must be multicast"),
    ("vxlan create vxlanlocal 192.0.2.1 vxlanremote 2001:db8::1", "cannot mix IPv4 and IPv6 addresses"),
    ("vxlan create vxlanremote nosuch", "error in parsing remote address string: Name does not resolve"),
    ("vxlan create vxlanlocalport 65535", "invalid local port: 65535"),
    ("vxlan create vxlanportrange 9 8", "invalid port range"),
    ("vxlan create vxlanttl 257", "invalid TTL value: 257"),
    ("epair0a vxlanid 4", "vxlanid: bad value"),
    ("epair0a vxlanflush", "VXLAN_CMD_FLUSH: Invalid argument"),
    ("gif create", "SIOCIFCREATE2 (gif): Operation not supported (there is no gif(4) here)"),
    ("wg0 create", "SIOCIFCREATE2 (wg0): Operation not supported (there is no wg(4) here)"),
    ("vtnet0 vhid 1 10.0.0.1/24", "vhid: there is no carp(4) here"),
    ("lagg create laggtype token", "invalid lagg type: token"),
    ("epair0a laggport vtnet0", "SIOCSLAGGPORT: Invalid argument"),
    ("epair0a laggproto lacp", "SIOCSLAGG: Invalid argument"),
    ("epair0a laggproto bond", "unknown aggregation protocol: bond"),
    ("epair0a lagghash l5", "Invalid lagghash option: l5"),
    # vlans
    ("vtnet0.07 create", "invalid vlan tag"),
    ("vtnet0.7 create vlan 3", "ambiguous vlan specification"),
    ("vlan3 create vlan 3", "must specify a parent device for vlan create"),
    ("vlan3 create vlandev vtnet0", "must specify a tag for vlan create"),
    ("vlan3 create vlan 5 vlandev vtnet1", "interface vlan3 already exists"),
    ("nosuch0.4 create", "SIOCIFCREATE2 (nosuch0.4): Invalid argument"),
    ("vlan0 vlan 5", "both vlan and vlandev must be specified"),
    ("vlan0 vlan x vlandev vtnet0", "invalid value for vlan"),
    ("vlan0 vlan 65536 vlandev vtnet0", "value for vlan out of range"),
    ("vlan0 vlan 6 vlandev vtnet0", "SIOCSETVLAN: Device busy"),
    ("vlan0 vlanproto foo", "invalid value for vlanproto"),
    ("vlan0 vlanpcp 8", "value for vlanpcp out of range"),
    ("vlan0 vlanpcp x", "invalid value for vlanpcp"),
    ("epair0a vlanpcp 3", "SIOCSVLANPCP: Invalid argument"),
    ("epair0a -vlandev", "SIOCGETVLAN: Invalid argument"),
    # bridges
    ("bridge0 addm nosuch", "BRDGADD nosuch: No such file or directory"),
    ("bridge0 addm lo0", "BRDGADD lo0: Invalid argument"),
    ("bridge0 deletem vtnet0", "BRDGDEL vtnet0: No such file or directory"),
    ("bridge0 delete vtnet0", "vtnet0: bad value"),
    ("bridge0 -span vtnet0", "BRDGDELS vtnet0: No such file or directory"),
    ("bridge0 stp vtnet0", "unable to get bridge flags: No such file or directory"),
    ("bridge0 static vtnet0 00:11", "vtnet0: invalid address: 00:11"),
    ("bridge0 static vtnet0 2:1:2:3:4:5", "BRDGSADDR vtnet0: No such file or directory"),
    ("bridge0 deladdr x", "invalid address: x"),
    ("bridge0 deladdr 2:1:2:3:4:5", "BRDGDADDR 2:1:2:3:4:5: No such file or directory"),
    ("bridge0 ifpathcost vtnet0 5", "BRDGSIFCOST 5: No such file or directory"),
    ("bridge0 ifpriority vtnet0 256", "invalid value: 256"),
    ("bridge0 maxage 5", "BRDGSMA 5: Invalid argument"),
    ("bridge0 maxage 500", "invalid value: 500"),
    ("bridge0 hellotime 1", "BRDGSHT 1: Operation not permitted"),
    ("bridge0 proto foo", "unknown stp protocol"),
    ("epair0a addm vtnet0", "BRDGADD vtnet0: Invalid argument"),
    ("epair0a stp vtnet0", "unable to get bridge flags: Invalid argument"),
    ("epair0a addr", "unable to get address cache: Invalid argument"),
]


@pytest.mark.parametrize(("words", "said"), REFUSALS)
def test_refusals(words: str, said: str) -> None:
    assert refusal(lab(), words) == said


WARNINGS = [
    ("epair0a fib 3", "ioctl (SIOCSIFFIB): Invalid argument"),
    ("epair0a fib x", "fib x not valid: No error: 0"),
    ("epair0a tunnelfib 1", "ioctl (SIOCSTUNFIB): Invalid argument"),
    ("epair0a tunnel 192.0.2.1 192.0.2.2", "SIOCSIFPHYADDR: Invalid argument"),
    ("epair0a ifdisabled", "ioctl(SIOCGIFINFO_IN6): Invalid argument"),
    (
        "epair0a 10.0.0.1",
        "WARNING: setting interface address without mask is deprecated,\ndefault mask may not be correct.",
    ),
]


@pytest.mark.parametrize(("words", "said"), WARNINGS)
def test_warnings_do_not_fail(words: str, said: str) -> None:
    result = type_command(lab(), f"ifconfig {words}")
    assert (result.stdout, result.stderr, result.code) == ("", f"ifconfig: {said}\n", 0)


REFUSALS_15 = [
    ("epair0a 10.0.0.1", "ERROR: setting interface address without mask is no longer supported."),
    ("bridge0 vlanfilter", "BRDGSFLAGS: Operation not supported"),
    ("bridge0 ifuntagged vtnet0 5", "BRDGSIFUNTAGGED vtnet0 5: Operation not supported"),
]


@pytest.mark.parametrize(("words", "said"), REFUSALS_15)
def test_refusals_of_15(words: str, said: str) -> None:
    assert refusal(lab(Release.V15), words) == said


def test_15_says_what_the_kernel_explains() -> None:
    for release, why in ((Release.V13, ""), (Release.V15, " (Interface is already a member of another bridge)")):
        at = lab(release)
        type_command(at, "ifconfig bridge0 addm vtnet0")
        type_command(at, "ifconfig bridge create")
        assert refusal(at, "bridge1 addm vtnet0") == f"BRDGADD vtnet0: Device busy{why}"


DENIED = [
    ("epair0a up", "up: permission denied"),
    ("epair0a 10.0.0.1/24", "ioctl (SIOCDIFADDR): permission denied"),
    ("epair0a alias 10.0.0.1/24", "ioctl (SIOCAIFADDR): permission denied"),
    ("epair0a mtu 1400", "ioctl SIOCSIFMTU (set mtu): Operation not permitted"),
    ("epair create", "SIOCIFCREATE2 (epair): Operation not permitted"),
    ("epair0a destroy", "SIOCIFDESTROY: Operation not permitted"),
    ("epair0a vnet j", "SIOCSIFVNET: Operation not permitted"),
    ("bridge0 addm vtnet0", "BRDGADD vtnet0: Operation not permitted"),
]


@pytest.mark.parametrize(("words", "said"), DENIED)
def test_only_root_changes_anything(words: str, said: str) -> None:
    at = lab()
    before = type_command(at, "ifconfig").stdout
    assert refusal(at, words, uid=1001) == said
    assert type_command(at, "ifconfig", uid=1001).stdout == before


def test_words_act_from_left_to_right_and_addresses_last() -> None:
    at = lab()
    assert refusal(at, "epair0a mtu 1400 vnet j up") == "ioctl (SIOCGIFFLAGS): no such interface"
    assert "epair0a" not in type_command(at, "ifconfig -l").stdout
    assert "mtu 1400" in type_command(at, "ifconfig epair0a", jid=1).stdout
    result = type_command(at, "ifconfig epair0b name uplink 10.0.0.1/24 group lab")
    assert (result.stdout, result.stderr, result.code) == ("uplink\n", "", 0)
    assert "inet 10.0.0.1 netmask 0xffffff00" in type_command(at, "ifconfig uplink").stdout


def test_the_final_name_is_printed_even_when_a_later_word_fails() -> None:
    result = type_command(lab(), "ifconfig bridge create addm nosuch")
    assert (result.stdout, result.stderr, result.code) == (
        "bridge1\n",
        "ifconfig: BRDGADD nosuch: No such file or directory\n",
        1,
    )


def test_create_on_an_interface_that_exists_is_passed_over_when_more_follows() -> None:
    at = lab()
    result = type_command(at, "ifconfig epair0a create mtu 1400")
    assert (result.stdout, result.stderr, result.code) == ("", "", 0)
    assert "mtu 1400" in type_command(at, "ifconfig epair0a").stdout


@pytest.mark.parametrize("words", ["-rxcsum", "rxcsum", "vlanmtu", "-vlanmtu", "tso", "-lro"])
def test_capabilities_an_interface_lacks_are_passed_over(words: str) -> None:
    at = lab()
    result = type_command(at, f"ifconfig epair0a {words}")
    assert (result.stdout, result.stderr, result.code) == ("", "", 0)
    assert ("options=8<VLAN_MTU>" in type_command(at, "ifconfig epair0a").stdout) == (words != "-vlanmtu")


def test_vlandev_may_be_taken_away_with_or_without_a_name() -> None:
    for words in ("-vlandev", "-vlandev vtnet1"):
        at = lab()
        assert type_command(at, f"ifconfig vlan0 {words}").code == 0
        assert "parent interface: <none>" in type_command(at, "ifconfig vlan0").stdout


def test_vlans_of_both_protocols() -> None:
    at = lab()
    assert type_command(at, "ifconfig vlan create vlanproto qinq vlan 9 vlandev vtnet1").stdout == "vlan1\n"
    assert "vlan: 9 vlanproto: 802.1ad vlanpcp: 0 parent interface: vtnet1" in type_command(at, "ifconfig vlan1").stdout


def test_an_address_with_a_lifetime_is_deprecated_and_then_gone() -> None:
    at = lab()
    type_command(at, "ifconfig epair0a inet6 fd00::1/64 pltime 10 vltime 20")
    at.clock.now += 4
    assert "inet6 fd00::1 prefixlen 64 pltime 6 vltime 16" in type_command(at, "ifconfig -L epair0a inet6").stdout
    at.clock.now += 8
    assert "inet6 fd00::1 prefixlen 64 deprecated\n" in type_command(at, "ifconfig epair0a inet6").stdout
    at.clock.now += 9
    assert "fd00::1" not in type_command(at, "ifconfig epair0a inet6").stdout
    assert "fd00::1" not in type_command(at, "netstat -rn").stdout


def test_a_random_link_layer_address_is_local_and_of_one_host() -> None:
    at = lab()
    type_command(at, "ifconfig epair0a ether random")
    ether = next(line for line in type_command(at, "ifconfig epair0a ether").stdout.splitlines() if "\tether" in line)
    assert int(ether.split()[1][:2], 16) & 3 == 2
