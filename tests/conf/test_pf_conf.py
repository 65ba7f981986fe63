"""pf.conf(5): what FreeBSD 13.2's pfctl(8) printed of the recorded files, and what its source says of others."""

from __future__ import annotations

import re

import pytest
from pf_reading import reading

from transcripts import Line, read

_RECORDED = [
    (found[1].encode().decode("unicode_escape"), line)
    for line in read("replay/pf.txt")
    if (found := re.fullmatch(r"printf '(.*)' > \S+; pfctl -nvf \S+", line.command, re.DOTALL))
]


@pytest.mark.parametrize(("text", "line"), _RECORDED, ids=[str(line.number) for _, line in _RECORDED])
def test_recorded(text: str, line: Line) -> None:
    name = f"/tmp/p{line.number}"
    said = reading(text, name=name)
    rules = "".join(f"{rule}\n" for rule in said.rules()) if not said.parsed.errors else ""
    assert (said.out + rules, said.err) == (line.stdout, line.stderr)
    assert bool(said.parsed.errors) == bool(line.code)


GOOD = {
    "pass in on vtnet0 proto tcp from any to port { 22 8080 } keep state": [
        "pass in on vtnet0 proto tcp from any to any port = 22 flags S/SA keep state",
        "pass in on vtnet0 proto tcp from any to any port = http-alt flags S/SA keep state",
    ],
    "block return log quick on ! lo0 inet6 proto icmp6 all icmp6-type { unreach, echoreq code 0 }": [
        "block return log quick on ! lo0 inet6 proto ipv6-icmp all icmp6-type unreach",
        "block return log quick on ! lo0 inet6 proto ipv6-icmp all icmp6-type echoreq code 0",
    ],
    "block return-icmp(host-unr, admin-unr) all": ["block return-icmp(host-unr, admin-unr) all"],
    "block return-rst in proto tcp all": ["block return-rst in proto tcp all"],
    "pass from vtnet0:network to (vtnet0) no state": [
        "pass inet from 10.0.2.0/24 to (vtnet0) no state",
    ],
    "pass from (epair0a:network:0)/64 to !<t>": [
        "pass from (epair0a:network:0) to ! <t> flags S/SA keep state",
    ],
    "pass proto udp from any port 1024 >< 2000 to any port != 53": [
        "pass proto udp from any port 1024 >< 2000 to any port != domain keep state",
    ],
    "pass from 10.0.0.1 - 10.0.0.9 to 10/8": ["pass inet from 10.0.0.1 - 10.0.0.9 to 10.0.0.0/8 flags S/SA keep state"],
    "block in quick on vtnet0 from { no-route, urpf-failed } to any": [
        "block drop in quick on vtnet0 from no-route to any",
        "block drop in quick on vtnet0 from urpf-failed to any",
    ],
    "block out quick on vtnet0 from any to no-route": ["block drop out quick on vtnet0 from any to no-route"],
    "scrub in on vtnet0 all no-df random-id max-mss 1440 fragment reassemble": [
        "scrub in on vtnet0 all no-df random-id max-mss 1440 fragment reassemble",
    ],
    "block inet from ! no-route to no-route": ["block drop inet from ! no-route to no-route"],
    "pass proto tcp flags any modulate state": ["pass proto tcp all flags any modulate state"],
    'pass tag web label "$if:$proto" probability 20%': [
        'pass all flags S/SA keep state probability 20% label "any:0" tag web',
    ],
    "pass out on vtnet0 inet all ! tagged web allow-opts": [
        "pass out on vtnet0 inet all flags S/SA keep state allow-opts ! tagged web",
    ],
    "nat on vtnet0 inet from 10.0.0.0/8 to any -> { 192.0.2.1, 192.0.2.2 }": [
        "nat on vtnet0 inet from 10.0.0.0/8 to any -> { 192.0.2.1, 192.0.2.2 } round-robin",
    ],
    "rdr on vtnet0 inet proto tcp to port 80 -> { 10.0.0.1, 10.0.0.2 } port 8000 round-robin sticky-address": [
        "rdr on vtnet0 inet proto tcp from any to any port = http -> { 10.0.0.1, 10.0.0.2 } port 8000 round-robin "
        "sticky-address",
    ],
    "nat on vtnet0 from 10.0.0.0/8 -> 192.0.2.1 port 1024:65535 static-port": [
        "nat on vtnet0 inet from 10.0.0.0/8 to any -> 192.0.2.1 static-port",
    ],
    "nat pass on vtnet0 from 10.0.0.0/8 -> 192.0.2.1 static-port": [
        "nat pass on vtnet0 inet from 10.0.0.0/8 to any -> 192.0.2.1 static-port",
    ],
    "nat on vtnet0 from 10.0.0.0/8 -> vtnet0 port 2000:3000": [
        "nat on vtnet0 inet from 10.0.0.0/8 to any -> 10.0.2.15 port 2000:3000",
    ],
    "rdr on vtnet0 proto tcp from any to any port 2000:2010 -> 10.0.0.1 port 3000:*": [
        "rdr on vtnet0 inet proto tcp from any to any port 2000:2010 -> 10.0.0.1 port 3000:3010",
    ],
    "binat on vtnet0 from 10.0.0.0/24 to any -> 192.0.2.0/24": [
        "binat on vtnet0 inet from 10.0.0.0/24 to any -> 192.0.2.0/24",
    ],
    "scrub in on vtnet0 all fragment reassemble max-mss 1400 min-ttl 5": [
        "scrub in on vtnet0 all min-ttl 5 max-mss 1400 fragment reassemble",
    ],
    "antispoof quick for vtnet0": [
        "block drop in quick on ! vtnet0 inet from 10.0.2.0/24 to any",
        "block drop in quick inet from 10.0.2.15 to any",
    ],
    'rdr-anchor "web" on vtnet0': ['rdr-anchor "web" on vtnet0 all'],
    "anchor quick_ones in quick on vtnet0": ['anchor "quick_ones" in quick on vtnet0 all'],
    # One that is covered by another goes; six and more that differ in an address become a table.
    "pass all\npass in on vtnet0": ["pass all flags S/SA keep state"],
    "block from { 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.6 }": [
        "block drop inet from <__automatic_0> to any",
    ],
    "set ruleset-optimization none\npass all\npass in on vtnet0": [
        "pass all flags S/SA keep state",
        "pass in on vtnet0 all flags S/SA keep state",
    ],
    "set block-policy return\nblock all": ["block return all"],
    "set require-order no\npass all\nnat on vtnet0 from 10.0.0.1 -> 192.0.2.1": [
        "nat on vtnet0 inet from 10.0.0.1 to any -> 192.0.2.1",
        "pass all flags S/SA keep state",
    ],
    'if="vtnet0"\npass from $if:network to any # behind\n': ["pass inet from 10.0.2.0/24 to any flags S/SA keep state"],
    "pass in on vtnet0 reply-to (vtnet0 10.0.2.2) proto tcp to port 80": [
        "pass in on vtnet0 reply-to (vtnet0 10.0.2.2) inet proto tcp from any to any port = http flags S/SA keep state"
    ],
    "pass in on vtnet0 route-to (epair0a 192.0.2.9) from 10.0.2.0/24": [
        "pass in on vtnet0 route-to (epair0a 192.0.2.9) inet from 10.0.2.0/24 to any flags S/SA keep state"
    ],
    "pass in on vtnet0 reply-to (epair0a fe80::1) inet6": [
        "pass in on vtnet0 reply-to (epair0a fe80::1) inet6 all flags S/SA keep state"
    ],
    "pass in \\\n  on vtnet0": ["pass in on vtnet0 all flags S/SA keep state"],
    'include "more"\npass out': ["block drop all", "pass out all flags S/SA keep state"],
}
"""Files, and the rules pfctl makes of them."""


@pytest.mark.parametrize("text", GOOD)
def test_rules(text: str) -> None:
    said = reading(f"{text}\n", files={"more": "block all\n"})
    assert said.err == ""
    assert said.rules() == GOOD[text]


BAD = {
    "pass in on vtnet0 proto tcp port 22": "pf.conf:1: syntax error",
    "\n\npass to any port 80": "pf.conf:3: port only applies to tcp/udp\npf.conf:3: skipping rule due to errors\n"
    "pf.conf:3: rule expands to no valid combination",
    "binat on vtnet0 from 10.0.0.0/24 to any -> 192.0.2.1": "pf.conf:1: 'binat' source mask and redirect mask must be "
    "the same",
    "binat on vtnet0 from 10.0.0.2 to any": "pf.conf:1: 'binat' rule requires '-> address'",
    "binat on vtnet0 from (vtnet0) to any -> 192.0.2.1": "pf.conf:1: invalid use of interface (vtnet0) as the source "
    "address of a binat rule",
    "binat on vtnet0 from <t> to any -> 192.0.2.1": "pf.conf:1: invalid use of table <t> as the source address of a "
    "binat rule",
    "no binat on vtnet0 from 10.0.0.2 to any -> 192.0.2.1": "pf.conf:1: 'no binat' rule does not need '->'",
    "nat on vtnet0 from 10.0.0.2 to any": "pf.conf:1: translation rule requires '-> address'",
    "no nat on vtnet0 from 10.0.0.2 -> 192.0.2.1": "pf.conf:1: translation rule with 'no' does not need '->'",
    "nat on vtnet0 inet from any to any -> 2001:db8::1": "pf.conf:1: no translation address with matching address "
    "family found.",
    "block keep state": "pf.conf:1: keep state on block rules doesn't make sense\npf.conf:1: skipping rule due to "
    "errors\npf.conf:1: rule expands to no valid combination",
    "block return-rst all": "pf.conf:1: return-rst can only be applied to TCP rules\npf.conf:1: skipping rule due to "
    "errors\npf.conf:1: rule expands to no valid combination",
    "pass proto tcp flags S/A": "pf.conf:1: flags always false",
    "pass proto udp flags S/SA": "pf.conf:1: flags only apply to tcp",
    "pass proto bogus": "pf.conf:1: unknown protocol bogus",
    "pass proto tcp to port bogus": "pf.conf:1: unknown port bogus",
    "pass from 10.0.0.1/33": "no IP address found for 10.0.0.1/33\npf.conf:1: could not parse host specification",
    "table <t> { (vtnet0) }": "pf.conf:1: dynamic addresses are not permitted inside tables",
    "table <t> bogus": "pf.conf:1: invalid table option 'bogus'",
    'table <t> file "none"': 'pf.conf:1: cannot load "none": No such file or directory',
    "scrub in quick all": "pf.conf:1: scrub rules do not support 'quick'",
    "anchor in": "pf.conf:1: anchors without explicit rules must specify a name",
    'anchor "_x"': "pf.conf:1: anchor names beginning with '_' are reserved for internal use",
    "set require-order maybe": "pf.conf:1: invalid value 'maybe', expected 'yes' or 'no'",
    "set skip on ! lo0": "pf.conf:1: skip on ! <interface> is not supported\n"
    "pf.conf:1: error setting skip interface(s)",
    "pass in dup-to (vtnet0 10.0.2.2)": "pf.conf:1: dup-to is not there in vjail's pf (docs/pf.md)",
    "pass reply-to (vtnet0 10.0.2.2)": "pf.conf:1: direction must be explicit with rules that specify routing",
    "pass in reply-to (vtnet0 10.0.2.2) inet6": "pf.conf:1: no routing address with matching address family found.",
    "pass in reply-to { (vtnet0 10.0.2.2) (vtnet0 10.0.2.3) }": (
        "pf.conf:1: reply-to without a gateway, or with several, is not there in vjail's pf (docs/pf.md)"
    ),
    "pass in reply-to (vtnet0 10.0.2.2) no state": (
        "pf.conf:1: reply-to without a state is not there in vjail's pf (docs/pf.md)"
    ),
    "pass out route-to (vtnet0 10.0.2.2)": (
        "pf.conf:1: route-to in a rule other than `pass in` is not there in vjail's pf (docs/pf.md)"
    ),
    "pass out reply-to (vtnet0 10.0.2.2)": (
        "pf.conf:1: reply-to in a rule other than `pass in` is not there in vjail's pf (docs/pf.md)"
    ),
    "pass in reply-to (vtnet0 <t>)": (
        "pf.conf:1: reply-to with a gateway that is not an address is not there in vjail's pf (docs/pf.md)"
    ),
    "pass in reply-to (vtnet0 10.0.2.2) random": (
        "pf.conf:1: reply-to with random is not there in vjail's pf (docs/pf.md)"
    ),
    "pass user root": "pf.conf:1: user is not there in vjail's pf (docs/pf.md)",
    "nat on vtnet0 inet from any to any -> { 192.0.2.1 192.0.2.2 } sticky-address sticky-address": (
        "pf.conf:1: sticky-address cannot be redefined"
    ),
    "block from any to urpf-failed": 'pf.conf:1: "urpf-failed" is not permitted in a destination address',
    "block out from no-route": (
        "pf.conf:1: no-route but in what filters on the way in is not there in vjail's pf (docs/pf.md)"
    ),
    "nat on vtnet0 from no-route to any -> (vtnet0)": (
        "pf.conf:1: no-route but in what filters on the way in is not there in vjail's pf (docs/pf.md)"
    ),
    "table <t> { no-route }": 'pf.conf:1: "no-route" is not permitted inside tables',
    "pass keep state (if-bound)": "pf.conf:1: the state option if-bound is not there in vjail's pf (docs/pf.md)",
    "pass keep state (tcp.slow 10)": "pf.conf:1: illegal timeout name tcp.slow",
    "pass keep state (frag 10)": "pf.conf:1: illegal state timeout frag",
    "pass keep state (sloppy, sloppy)": "pf.conf:1: state sloppy option: multiple definitions",
    "pass keep state ()": "pf.conf:1: syntax error",
    "set timeout tcp.slow 10": "pf.conf:1: unknown timeout tcp.slow",
    "set limit cows 10": "pfctl: Bad pool name.\npf.conf:1: unable to set limit cows 10",
    "set optimization hasty": "pfctl: invalid state timeouts optimization\npf.conf:1: unknown optimization hasty",
    "pass all\nset limit states 10": (
        "pf.conf:2: Rules must be in order: options, normalization, queueing, translation, filtering"
    ),
    "altq on vtnet0 cbq": "pf.conf:1: altq is not there in vjail's pf (docs/pf.md)",
    "scrub all reassemble tcp": "pf.conf:1: scrub's reassemble is not there in vjail's pf (docs/pf.md)",
    "bogus": "pf.conf:1: syntax error",
    # Until three tokens were good a further syntax error is not said.
    "pass bogus\nbogus\npass in all\nblock bogus": "pf.conf:1: syntax error\npf.conf:4: syntax error",
}
"""Files pfctl refuses, or vjail does, and what is said."""


@pytest.mark.parametrize("text", BAD)
def test_errors(text: str) -> None:
    said = reading(f"{text}\n")
    assert said.err == f"{BAD[text]}\n"
    assert said.parsed.errors


STATE_OPTIONS = {
    "max-src-conn 5, max-src-conn-rate 3/60, overload <slow> flush global": (
        "source-track rule, max-src-conn 5, max-src-conn-rate 3/60, overload <slow> flush global, src.track 60"
    ),
    "max 4096 source-track rule max-src-nodes 512": (
        "max 4096, source-track rule, max-src-nodes 512, adaptive.start 2454, adaptive.end 4908"
    ),
    "sloppy, max-src-states 3, no-sync": "no-sync, source-track global, max-src-states 3, sloppy",
    "tcp.tsdiff 5, tcp.established 60": "tcp.established 60, tcp.tsdiff 5",
    "source-track, src.track 9": "source-track global, src.track 9",
}
"""What may stand behind `keep state`, and how pfctl prints it."""


@pytest.mark.parametrize("written", STATE_OPTIONS)
def test_options_of_states_are_kept(written: str) -> None:
    said = reading(f"pass in proto tcp from any to port 22 flags S/SA \\\n keep state ({written})\n")
    assert said.err == ""
    assert said.rules() == [
        f"pass in proto tcp from any to any port = 22 flags S/SA keep state ({STATE_OPTIONS[written]})"
    ]


def test_options_of_states_that_exclude_each_other() -> None:
    assert reading("pass keep state (source-track global, max-src-conn 5)\n").err.endswith(
        "pf.conf:1: 'max-src-conn' is incompatible with 'source-track global'\n"
    )
    assert reading("pass keep state (overload <t>)\n").err.endswith(
        "pf.conf:1: 'overload' requires 'max-src-conn' or 'max-src-conn-rate'\n"
        "pf.conf:1: skipping rule due to errors\npf.conf:1: rule expands to no valid combination\n"
    )


def test_timeouts_and_limits_are_kept() -> None:
    said = reading(
        "set limit { states 80000, frags 20000\n src-nodes 20000 }\nset optimization aggressive\n"
        "set timeout { interval 5, tcp.closing 61 }\nset fail-policy return\n"
    )
    assert said.err == ""
    assert said.out == (
        "set limit states 80000\nset limit frags 20000\nset limit src-nodes 20000\nset optimization aggressive\n"
        "set timeout interval 5\nset timeout tcp.closing 61\nset fail-policy return\n"
    )
    assert dict(said.parsed.options.limits) == {"states": 80000, "frags": 20000, "src-nodes": 20000}
    timeouts = dict(said.parsed.options.timeouts)
    assert (timeouts["tcp.closing"], timeouts["tcp.established"], timeouts["interval"]) == (61, 18000, 5)


def test_problems_know_their_places() -> None:
    said = reading('if = "vtnet0"\npass on $if from any \\\n to nowhere\npass user root\npass all\nset bogus\n')
    found = [(each.fault.value, str(each.span), each.span.text, each.rule.text) for each in said.parsed.problems]
    assert found == [
        ("elsewhere", "pf.conf:3:5", "nowhere", "pass on $if from any \\\n to nowhere"),
        ("unsupported", "pf.conf:4:6", "user", "pass user"),
        ("wrong", "pf.conf:6:5", "bogus", "set bogus"),
    ]
    (macro,) = reading('if = "a b"\npass on $if all\n').parsed.problems
    assert (str(macro.span), macro.span.text) == ("pf.conf:2:9", "$if")


def test_a_file_without_a_newline_at_its_end_is_a_syntax_error() -> None:
    assert reading("pass all").err == "pf.conf:1: syntax error\n"


def test_tables_and_options_are_printed_as_they_are_read() -> None:
    text = (
        'table <a> const persist { 10.0.0.1, !10.0.0.2/24 } { 10.1/16 } file "list"\n'
        "table <b> {}\ntable <c> persist\nset debug loud\nset skip on { lo0 epair }\nset state-policy floating\n"
    )
    said = reading(text, files={"list": "# who\n10.9.0.1 !10.9.0.2\n"})
    assert said.err == ""
    assert said.out == (
        'table <a> const persist { 10.0.0.1 !10.0.0.0/24 10.1.0.0/16 } file "list"\n'
        "table <b> { }\ntable <c> persist\nset debug loud\nset skip on { lo0 epair }\nset state-policy floating\n"
    )
    assert [len(each.table.entries) for each in said.parsed.tables] == [5, 0, 0]
    assert [each.initial for each in said.parsed.tables] == [True, True, False]
    assert said.parsed.options.skip == ("lo0", "epair")


def test_anchors_in_braces_have_rulesets_of_their_own() -> None:
    said = reading('anchor "x" in on vtnet0 {\n\tpass proto tcp\n\tanchor {\n\t\tblock all\n\t}\n}\npass out\n')
    assert said.err == ""
    assert said.rules() == ['anchor "x" in on vtnet0 all', "pass out all flags S/SA keep state"]
    assert sorted(said.rulesets) == ["", "x", "x/_2"]
    assert [rule.anchor for rule in said.rulesets["x"].filter] == ["", "x/_2"]
