"""pfctl(8) over the model: what it prints, changes and refuses. How it reads pf.conf: tests/conf/test_pf_conf.py."""

from __future__ import annotations

import pytest

from vjail.rehearsal.lab import Rehearsal, Result

RULES = """\
table <jails> persist { 10.0.0.2, 10.0.0.3 }
set skip on lo0
nat on em0 inet from <jails> to any -> 192.0.2.1
anchor "web/*"
anchor "inline" in on em0 {
    block
}
block in on em0
pass out label "out"
"""


@pytest.fixture
def lab() -> Rehearsal:
    made = Rehearsal()
    made.add_host("h", {"em0": bytes.fromhex("020000000001")})
    return made


def typed(lab: Rehearsal, line: str, rules: str = "", jail: int | str = 0) -> Result:
    return lab.type("h", ("/sbin/pfctl", *line.split()), input=rules, jail=jail)


def said(lab: Rehearsal, line: str, rules: str = "") -> str:
    """Both streams, and the exit code where it is not 0."""
    result = typed(lab, line, rules)
    return result.both + (f"exit {result.code}\n" if result.code else "")


def test_what_is_loaded_is_shown_as_it_is_in_the_kernel(lab: Rehearsal) -> None:
    assert said(lab, "-f -", RULES) == ""
    assert said(lab, "-s nat") == "nat on em0 inet from <jails> to any -> 192.0.2.1\n"
    assert said(lab, "-s rules") == (
        'anchor "web/*" all\nanchor "inline" in on em0 all\nblock drop in on em0 all\n'
        'pass out all flags S/SA keep state label "out"\n'
    )
    assert said(lab, "-a inline -s rules") == "block drop all\n"
    assert said(lab, "-s Anchors") == "  inline\n"
    assert said(lab, "-s Tables") == "jails\n"
    assert said(lab, "-vs Tables") == "-pa-r--\tjails\n"
    assert said(lab, "-vv -s nat") == "@0 nat on em0 inet from <jails> to any -> 192.0.2.1\n"
    assert said(lab, "-s Running") == "Disabled\n"
    assert said(lab, "-s labels") == "out 0 0 0 0 0 0 0 0\n"
    assert said(lab, "-s memory").splitlines()[0] == "states        hard limit   100000"


def test_verbose_loading_prints_what_is_read_and_what_is_loaded(lab: Rehearsal) -> None:
    assert said(lab, "-vf -", RULES) == (
        "table <jails> persist { 10.0.0.2 10.0.0.3 }\nset skip on { lo0 }\n"
        "nat on em0 inet from <jails> to any -> 192.0.2.1\n"
        'anchor "/*" all\nanchor "inline" in on em0 all {\n  block drop all\n}\nblock drop in on em0 all\n'
        'pass out all flags S/SA keep state label "out"\n'
    )


def test_a_file_with_an_error_changes_nothing(lab: Rehearsal) -> None:
    said(lab, "-f -", "pass out\n")
    assert said(lab, "-f -", "block\nbogus\n") == (
        "stdin:2: syntax error\npfctl: Syntax error in config file: pf rules not loaded\nexit 1\n"
    )
    assert said(lab, "-s rules") == "pass out all flags S/SA keep state\n"
    assert said(lab, "-f /none") == (
        "pfctl: /none: No such file or directory\npfctl: cannot open the main config file!: No such file or directory\n"
        "pfctl: Syntax error in config file: pf rules not loaded\nexit 1\n"
    )


def test_on_and_off(lab: Rehearsal) -> None:
    assert said(lab, "-d") == "pfctl: pf not enabled\nexit 1\n"
    assert said(lab, "-e") == "pf enabled\n"
    assert said(lab, "-e") == "pfctl: pf already enabled\nexit 1\n"
    assert said(lab, "-s Running") == "Enabled\n"
    lab.settle(90061)
    assert said(lab, "-s info").startswith("Status: Enabled for 1 days 01:01:01           Debug: Urgent\n")
    assert said(lab, "-x loud") == "debug level set to 'loud'\n"
    assert "Debug: Loud" in said(lab, "-s info")
    assert said(lab, "-q -d") == ""


def test_flushing(lab: Rehearsal) -> None:
    said(lab, "-f -", RULES)
    assert said(lab, "-F rules") == "rules cleared\n"
    assert said(lab, "-s rules") == ""
    assert said(lab, "-s nat") != ""
    assert said(lab, "-F all") == (
        "rules cleared\nnat cleared\n1 tables deleted.\n0 states cleared\nsource tracking entries cleared\n"
        "pf: statistics cleared\npf: interface flags reset\n"
    )
    assert said(lab, "-s nat") == ""
    assert said(lab, "-F bogus").startswith("pfctl: Unknown flush modifier 'bogus'\nusage: pfctl ")


def test_sections_of_a_file_and_anchors_are_replaced_by_themselves(lab: Rehearsal) -> None:
    said(lab, "-f -", RULES)
    said(lab, "-R -f -", "nat on em0 inet from 10.9.0.1 to any -> 192.0.2.9\npass in\n")
    assert said(lab, "-s nat") == "nat on em0 inet from <jails> to any -> 192.0.2.1\n"
    assert said(lab, "-s rules") == "pass in all flags S/SA keep state\n"
    said(lab, "-a web/one -f -", "block out\n")
    assert said(lab, "-s rules") == "pass in all flags S/SA keep state\n"
    assert said(lab, "-a web/one -s rules") == "block drop out all\n"
    assert said(lab, "-s Anchors") == "  inline\n  web\n"
    assert said(lab, "-a _x -F rules") == (
        "pfctl: anchor names beginning with '_' cannot be modified from the command line\nexit 1\n"
    )


def test_tables(lab: Rehearsal) -> None:
    said(lab, "-f -", RULES)
    assert said(lab, "-t jails -T show") == "   10.0.0.2\n   10.0.0.3\n"
    assert said(lab, "-t jails -T add 10.0.0.2 10.1.0.0/16 !10.1.0.1") == "2/3 addresses added.\n"
    assert said(lab, "-t jails -T test 10.1.2.3") == "1/1 addresses match.\n"
    assert said(lab, "-t jails -T test 10.1.0.1 10.0.0.2") == "1/2 addresses match.\nexit 2\n"
    assert said(lab, "-t jails -T delete 10.0.0.3 10.0.0.9") == "1/2 addresses deleted.\n"
    assert said(lab, "-t jails -T replace 10.0.0.2 10.0.0.7") == "1 addresses added.\n2 addresses deleted.\n"
    assert said(lab, "-t jails -T replace 10.0.0.7 10.0.0.2") == "no changes.\n"
    assert said(lab, "-t new -T add 10.0.0.1") == "1 table created.\n1/1 addresses added.\n"
    assert said(lab, "-t new -T flush") == "1 addresses deleted.\n"
    assert said(lab, "-t new -T kill") == "1 table deleted.\n"
    assert said(lab, "-t new -T show") == "pfctl: Table does not exist.\nexit 1\n"
    # What a file defines without addresses keeps those it has.
    said(lab, "-f -", "table <jails> persist\npass from <jails>\n")
    assert said(lab, "-t jails -T show") == "   10.0.0.2\n   10.0.0.7\n"


def test_entries_of_a_table_expire(lab: Rehearsal) -> None:
    said(lab, "-f -", "table <old> persist { 10.0.0.1 }\n")
    lab.settle(100)
    said(lab, "-t old -T add 10.0.0.2")
    assert said(lab, "-t old -T expire 3600") == "0/0 addresses expired.\n"
    lab.settle(3550)
    assert said(lab, "-t old -T expire 3600") == "1/1 addresses expired.\n"
    assert said(lab, "-t old -T show") == "   10.0.0.2\n"
    said(lab, "-t old -T replace 10.0.0.2 10.0.0.3")
    lab.settle(60)
    assert said(lab, "-t old -T expire 3600") == "1/1 addresses expired.\n"
    assert said(lab, "-t old -T show") == "   10.0.0.3\n"
    assert said(lab, "-t old -T expire soon").startswith("pfctl: expiry time: invalid")
    assert said(lab, "-t none -T expire 5") == "pfctl: Table does not exist.\nexit 1\n"


def test_a_table_that_nothing_refers_to_goes_unless_it_persists(lab: Rehearsal) -> None:
    said(lab, "-f -", "table <a> { 10.0.0.1 }\ntable <b> persist\ntable <c> { 10.0.0.1 }\npass from <a>\n")
    assert said(lab, "-s Tables") == "a\nb\n"


def test_each_vnet_has_its_own_and_who_has_no_device_none(lab: Rehearsal) -> None:
    said(lab, "-ef -", "block all\n")
    made = lab.type("h", "jail -c name=fw vnet persist path=/")
    assert made.code == 0, made.both
    assert typed(lab, "-s Running", jail="fw").both == "Disabled\n"
    assert typed(lab, "-p /dev/none -s rules").both == "pfctl: /dev/none: No such file or directory\n"
    assert lab.type("h", ("/sbin/pfctl", "-s", "rules"), uid=1001).both == "pfctl: /dev/pf: Permission denied\n"


def test_service_pf(lab: Rehearsal) -> None:
    lab.type("h", "echo 'block in' > /etc/pf.conf")
    assert lab.type("h", "service pf onestart").both == "Enabling pf.\n"
    assert said(lab, "-s rules") == "block drop in all\n"
    lab.type("h", "echo bogus > /etc/pf.conf")
    assert lab.type("h", "service pf onereload").both == "Reloading pf rules.\n/etc/pf.conf:1: syntax error\n"
    assert said(lab, "-s rules") == "block drop in all\n"
    assert lab.type("h", "service pf onestatus").both.startswith("Status: Enabled for 0 days ")
    assert lab.type("h", "service pf onestop").both == "Disabling pf.\n"


def test_timeouts_and_limits_that_were_set_are_shown(lab: Rehearsal) -> None:
    assert said(lab, "-f -", "set optimization aggressive\nset timeout udp.first 7\nset limit states 80000\n") == ""
    shown = said(lab, "-s timeouts").splitlines()
    assert "tcp.established           18000s" in shown
    assert "udp.first                     7s" in shown
    assert "interval                     10s" in shown
    assert said(lab, "-s memory").splitlines()[0] == "states        hard limit    80000"
    assert said(lab, "-f -", "pass all\n") == ""
    assert "udp.first                    60s" in said(lab, "-s timeouts").splitlines()
    assert said(lab, "-s memory").splitlines()[0] == "states        hard limit   100000"


def test_a_limit_of_connections_is_loaded_and_makes_the_table_that_it_fills(lab: Rehearsal) -> None:
    rule = "pass in proto tcp from any to any port 22 keep state (max-src-conn 5, overload <slow> flush)\n"
    assert said(lab, "-f -", rule) == ""
    assert said(lab, "-s rules") == (
        "pass in proto tcp from any to any port = ssh flags S/SA keep state "
        "(source-track rule, max-src-conn 5, overload <slow> flush)\n"
    )
    assert said(lab, "-v -s Tables") == "--a-r--\tslow\n"
    assert said(lab, "-t slow -T add 192.0.2.7") == "1/1 addresses added.\n"
    assert said(lab, "-f -", "pass in\n") == ""
    assert said(lab, "-s Tables") == ""


def test_services_that_freebsd_names_are_known_without_a_machine(lab: Rehearsal) -> None:
    rule = "block out proto { tcp udp } to port { 137:139, microsoft-ds, netbios-ns, whois, mdns, spamd, sane-port }\n"
    assert said(lab, "-nf -", rule) == ""
