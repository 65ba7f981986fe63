"""The folders of examples/: each brought up as it is, its claim shown with packets, and taken down again."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import permutations
from pathlib import Path

import pytest
from sandbox import Result, Sandbox, sandbox

pytestmark = pytest.mark.real

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
PRINTED = Path(__file__).parent.parent / "data" / "documents"
_AT_ONCE = 8
"""Labs that are up side by side; most of the time each waits for its pings."""
_BY_HAND: Mapping[str, tuple[str, ...]] = {
    "A3-epair-by-hand": (),
    "B1-shared-base": ("--no-jails",),
    "B2-jail-by-hand": ("--no-jails",),
    "B3-devfs-rules": ("--no-jails",),
    "B4-ports-tree": ("--no-jails",),
    "B6-service-jail": ("--no-jails",),
    "C1-whole-server": ("--no-jails",),
    "E1-bridge-as-printed": (),
    "E1-bridge-with-ups": (),
    "E2-vlans-as-printed": (),
    "E2-vlans-mended": (),
}
"""The folders with `commands`, and how `vjail up` is called for them."""
_TYPED_ON = {"E2-vlans-as-printed": ("fbsd",), "E2-vlans-mended": ("fbsd",)}
"""On which host they are typed, where there are several."""

_FILES: Mapping[str, Mapping[str, str | None]] = {
    "A1-on-two-hosts": {"vjail.yml": None},
    "A1-two-jails": {"jail.conf": "A1.jail.conf", "devfs.rules": "B3.devfs.rules", "rc.conf": None},
    "A2-any-order": {"jail.conf": None, "devfs.rules": "B3.devfs.rules"},
    "A3-epair-by-hand": {"vjail.yml": None, "commands": None},
    **{
        folder: {"jail.conf": "B.jail.conf", "devfs.rules": "B3.devfs.rules", "commands": None}
        for folder in ("B1-shared-base", "B2-jail-by-hand", "B3-devfs-rules", "B4-ports-tree")
    },
    "B5-shared-stack": {"vjail.yml": None, "commands": None, "fbsd": None, "client": None},
    "B6-service-jail": {
        "jail.conf": "B.jail.conf",
        "devfs.rules": "B3.devfs.rules",
        "rc.conf": None,
        "commands": None,
    },
    "C1-copied-server": {"vjail.yml": None, "client": None, "serverA": None, "serverC/jail.conf": "C1.jail.conf"},
    "C1-whole-server": {"jail.conf": "C1.jail.conf", "rc.conf": None, "commands": None, "files": None},
    "C2-nic-in-jail": {"vjail.yml": None, "client": None, "serverC/jail.conf": "C2.jail.conf"},
    "C3-bridge-by-hand": {"vjail.yml": None, "commands": None, "client": None, "serverC": None},
    "C3-rc-conf-as-printed": {"vjail.yml": None, "client": None, "serverC/rc.conf": "C3.rc.conf"},
    "C3-rc-conf-mended": {"vjail.yml": None, "client": None, "serverC": None},
    "C4-nat-and-rdr": {"vjail.yml": None, "client": None, "router": None},
    "C4-static-nat": {"vjail.yml": None, "client": None, "serverC": None},
    "C5-independent-stacks": {"jail.conf": None, "rc.conf": None},
    "D1-two-bridges": {"vjail.yml": None, "jailer": None, "machines": None},
    "D2-interfaces-in-one-string": {"jail.conf": None, "rc.conf": None},
    "D3-blackhole-in-start": {"jail.conf": None, "rc.conf": None},
    "D4-delete-for-deletem": {"jail.conf": None, "rc.conf": None},
    "D5-one-hostid": {"vjail.yml": None, "jl-1": None, "jl-2": None},
    "E1-bridge-as-printed": {"vjail.yml": None, "commands": None},
    "E1-bridge-with-ups": {"vjail.yml": None, "commands": None},
    "E2-vlans-as-printed": {"vjail.yml": None, "commands": None, "fbsd": None, "sw": None},
    "E2-vlans-mended": {"vjail.yml": None, "commands": None, "fbsd": None, "sw": None},
    "E3-routing-daemons": {"vjail.yml": None, "west": None, "east": None},
    "E4-bridge-and-mtu": {"vjail.yml": None, "commands": None},
    "C3-bridge-lab": {"vjail.yml": None, "vjail.lock": None},
    "C2-nic-in-jail-lab": {"vjail.yml": None},
    "E3-routing-daemons-lab": {"vjail.yml": None, "files": None, "vjail.lock": None},
    "B5-shared-stack-lab": {"vjail.yml": None},
    "A1-two-jails-lab": {"vjail.yml": None, "vjail.lock": None},
    "D1-two-bridges-lab": {"vjail.yml": None, "vjail.lock": None},
    "A2-any-order-lab": {"vjail.yml": None, "vjail.lock": None},
    "C4-static-nat-lab": {"vjail.yml": None, "vjail.lock": None},
    "D5-two-hosts-lab": {"vjail.yml": None, "vjail.lock": None},
    "C1-whole-server-lab": {"vjail.yml": None},
    "E1-bridge-lab": {"vjail.yml": None, "vjail.lock": None},
    "E2-vlans-lab": {"vjail.yml": None},
}
"""The files of each folder, and which of the documents' files they are to the byte."""


@pytest.mark.parametrize("folder", _FILES)
def test_a_folder_holds_what_is_printed_and_no_more(folder: str) -> None:
    assert {path.name for path in (EXAMPLES / folder).iterdir()} == {Path(name).parts[0] for name in _FILES[folder]}
    for name, printed in _FILES[folder].items():
        if printed is not None:
            assert (EXAMPLES / folder / name).read_bytes() == (PRINTED / printed).read_bytes()


def test_the_table_names_every_folder() -> None:
    named = re.findall(r"^\| \[([^]]+)\]\(\1\) \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert named == sorted(_FILES)
    assert sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir()) == named


# --- by hand ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def said(program: Path) -> Callable[[int], dict[str, Result]]:
    """What the `commands` of each folder say when a user pipes them into `vjail shell`."""

    @cache
    def carried_out(uid: int) -> dict[str, Result]:
        work = program / "work"
        shutil.copytree(EXAMPLES, work)
        try:
            for path in (work, *work.rglob("*")):
                os.chown(path, uid, uid)
            with sandbox(program, uid) as box, ThreadPoolExecutor(_AT_ONCE) as pool:
                return dict(zip(_BY_HAND, pool.map(lambda folder: _carry_out(box, folder), _BY_HAND), strict=True))
        finally:
            shutil.rmtree(work)

    return carried_out


def _carry_out(box: Sandbox, folder: str) -> Result:
    up = box.vjail("up", *_BY_HAND[folder], folder)
    assert up.code == 0, up
    done = box.vjail(
        "shell", "-p", folder, *_TYPED_ON.get(folder, ()), input=(EXAMPLES / folder / "commands").read_text()
    )
    pings = _pings_of_every_pair(box, folder) if folder == "E1-bridge-with-ups" else ""
    down = box.vjail("down", folder)
    assert down.code == 0, down
    return Result(done.code, done.out + pings, done.err)


def _pings_of_every_pair(box: Sandbox, folder: str) -> str:
    return "".join(
        box.shell(f"jexec {a} ping -c 2 -i 0.1 192.168.0.{b}", folder).out for a, b in permutations((1, 2, 3), 2)
    )


def _answered(count: int) -> str:
    return f"{count} packets transmitted, {count} packets received, 0.0% packet loss\n"


def _failures(result: Result) -> list[str]:
    """What was said to standard error, but for the lines that `set -v` shows."""
    return [line for line in result.err.splitlines() if re.match(r"[\w/]+: ", line)]


def test_epair_by_hand(said: Callable[[int], dict[str, Result]], uid: int) -> None:
    result = said(uid)["A3-epair-by-hand"]
    assert _failures(result) == [], result
    assert result.out.startswith("epair0a\nepair1a\nlo0 epair1a epair1b\nlo0\nPING 10.0.0.2"), result
    assert _answered(4) in result.out, result
    assert result.out.endswith(" ms\nlo0\n"), "both halves have gone"


def test_the_loop_mounts_a_shared_base(said: Callable[[int], dict[str, Result]], uid: int) -> None:
    result = said(uid)["B1-shared-base"]
    assert result.out.count(" (nullfs, local, noatime, read-only)\n") == 8
    assert result.out.count(" (nullfs, local, noatime)\n") == 10
    assert [line for line in _failures(result) if not line.endswith("Read-only file system")] == [], result
    assert len(_failures(result)) == 1, result
    assert result.out.endswith("\nnew\n"), "what one jail writes the other reads"


def test_jails_by_hand(said: Callable[[int], dict[str, Result]], uid: int) -> None:
    result = said(uid)["B2-jail-by-hand"]
    head = "   JID  IP Address      Hostname                      Path\n"
    one, two = (f"     {jid}                                                /home/jail/base\n" for jid in (1, 2))
    assert _failures(result) == [], result
    assert result.out.startswith(f"{head}{one}{head}{head}{two}"), result
    assert "\nlibexec\n" in result.out
    assert result.out.endswith(f"\n{head}"), result


def test_devfs_by_hand(said: Callable[[int], dict[str, Result]], uid: int) -> None:
    result = said(uid)["B3-devfs-rules"]
    assert _failures(result) == [], result
    always = ["fd", "null", "ptmx", "pts", "random", "stderr", "stdin", "stdout", "urandom", "zero"]
    shown = result.out.split()
    assert shown[:10] == always
    assert shown[10:-1] == sorted([*always, "bpf", "bpf0", "kmem", "mem"])
    assert int(shown[-1]) > 60, "nothing is hidden"


def test_ports_by_hand(said: Callable[[int], dict[str, Result]], uid: int) -> None:
    result = said(uid)["B4-ports-tree"]
    refused, read_only = _failures(result)
    assert refused == "mount_nullfs: /home/jail/base/usr/ports/distfiles: Resource deadlock avoided"
    assert read_only.endswith(": Read-only file system")
    assert result.out.endswith("\nnew\n"), result


def test_service_jail(said: Callable[[int], dict[str, Result]], uid: int) -> None:
    result = said(uid)["B6-service-jail"]
    assert _failures(result) == [], result
    assert result.out.startswith("Cannot 'start' jail. Set jail_enable to YES"), result
    assert "\nStarting jails: jail_01 jail_02.\n" in result.out, result
    assert _answered(4) in result.out, result
    head = "   JID  IP Address      Hostname                      Path\n"
    assert result.out.endswith(f"\nStopping jails: jail_01 jail_02.\n{head}"), result


def test_whole_server(said: Callable[[int], dict[str, Result]], uid: int) -> None:
    result = said(uid)["C1-whole-server"]
    assert [line.partition(":")[0] for line in _failures(result)] == ["mergemaster"] * 2, "the printed -d"
    assert "\nStarting jails: serverA.\n" in result.out, result
    assert "\nStarting syslogd.\n" in result.out, "what its rc printed"
    assert re.search(r"\n5\nlo0\nStarting Network: em1.\n(.+\n)+\tinet 192.168.2.4 ", result.out), result
    assert result.out.endswith("\nStopping jails: serverA.\nem0 lo0 em1\n"), result


def test_bridge_as_printed_lets_nothing_through(said: Callable[[int], dict[str, Result]], uid: int) -> None:
    result = said(uid)["E1-bridge-as-printed"]
    assert _failures(result) == [], result
    assert "\n2 packets transmitted, 0 packets received, 100.0% packet loss\n" in result.out, result
    flags = re.findall(r"^(bridge0|epair0a): flags=\w+<(\S*)>", result.out, re.MULTILINE)
    assert [(name, "UP" in found.split(",")) for name, found in flags] == [("bridge0", False), ("epair0a", False)]


def test_bridge_with_ups_joins_every_pair(said: Callable[[int], dict[str, Result]], uid: int) -> None:
    result = said(uid)["E1-bridge-with-ups"]
    assert _failures(result) == [], result
    assert result.out.count(_answered(4)) == 1, result
    assert result.out.count(_answered(2)) == 2 + 6, result


def _skip_where_nothing_is_sent(result: Result, uid: int) -> None:
    """Without root, on a kernel without 8021q, vlans have no device, and that is what every ping says."""
    if uid != 0 and not any(count for _, count in _vlan_pings(result)):
        down = {"ping: sendto: Network is down", "ping: UDP connect: Network is down"}
        assert {line for line in _failures(result) if line.startswith("ping")} == down, result
        pytest.skip("needs 8021q in the kernel, or root")


def _vlan_pings(result: Result) -> list[tuple[str, int]]:
    """The addresses that were pinged, in order, and how many answers came."""
    found = re.findall(r"^--- (\S+) ping6? statistics ---\n.* (\d+) packets received", result.out, re.MULTILINE)
    return [(address, int(count)) for address, count in found]


_ELSEWHERE = [("192.168.0.102", 0), ("192.168.0.2", 0), ("2406:b800:beef::1", 0)]


def _peers(*answered: int) -> list[tuple[str, int]]:
    return [(f"{network}10{i}", 2) for i in answered for network in ("192.168.0.", "2406:b800:beef::")]


def test_vlans_as_printed_leave_one_jail_without(said: Callable[[int], dict[str, Result]], uid: int) -> None:
    result = said(uid)["E2-vlans-as-printed"]
    assert _failures(result)[0] == "ifconfig: SIOCSETVLAN: Device busy", result
    _skip_where_nothing_is_sent(result, uid)
    assert _vlan_pings(result) == [*_peers(1, 2), ("192.168.0.103", 0), *_ELSEWHERE], result
    assert _failures(result)[1:] == ["ping: sendto: Network is down"] * 2 + ["ping: UDP connect: Network is down"]


def test_vlans_mended_join_those_with_one_tag(said: Callable[[int], dict[str, Result]], uid: int) -> None:
    result = said(uid)["E2-vlans-mended"]
    _skip_where_nothing_is_sent(result, uid)
    assert _failures(result) == [], result
    assert _vlan_pings(result) == [*_peers(1, 2, 3), *_ELSEWHERE], result


# --- by jail.conf -----------------------------------------------------------------------------------------------------


def _ping(box: Sandbox, folder: str, jail: str, address: str) -> None:
    done = box.vjail("exec", "-p", folder, jail, "ping", "-c", "4", "-i", "0.1", address)
    assert _answered(4) in done.out, done


_DEVICES = "bpf bpf0 fd kmem log mem null ptmx pts random stderr stdin stdout urandom zero"
_CLAIMS = {
    "B1-shared-base": (
        ("mount -t nullfs | grep -c 'jail_0.*read-only'", "10\n"),
        ("jexec jail_01 touch /bin/new 2>&1 | grep -c 'Read-only file system'", "1\n"),
        ("jexec jail_01 touch /root/new; jexec jail_02 ls /root", "new\n"),
    ),
    "B2-jail-by-hand": (("jexec jail_01 hostname", "jail_01\n"), ("jexec jail_02 id -un", "root\n")),
    "B3-devfs-rules": (("jexec jail_01 ls /dev | xargs", f"{_DEVICES}\n"),),
    "B4-ports-tree": (
        ("jexec jail_01 touch /usr/ports/new 2>&1 | grep -c 'Read-only file system'", "1\n"),
        ("jexec jail_01 touch /usr/ports/distfiles/new; ls /home/jail/rw/distfiles", "new\n"),
        ("echo nameserver 192.168.1.1 > /home/jail/base/etc/resolv.conf", ""),
        ("jexec jail_01 cat /etc/resolv.conf", "nameserver 192.168.1.1\n"),
    ),
    "B6-service-jail": (("sysrc -n jail_enable jail_list", "NO\njail_01 jail_02\n"),),
}
"""Lines typed at the host while the printed jail.conf's jails are up, and what they say."""


@pytest.mark.parametrize("folder", _CLAIMS)
def test_printed_jail_conf(box: Sandbox, folder: str) -> None:
    up = box.vjail("up", folder)
    assert up.code == 0, up
    _ping(box, folder, "jail_01", "192.168.1.135")
    _ping(box, folder, "jail_02", "192.168.1.134")
    for line, answer in _CLAIMS[folder]:
        result = box.shell(line, folder)
        assert (result.out, result.err) == (answer, ""), line
    down = box.vjail("down", folder)
    assert down.code == 0, down


def _done(box: Sandbox, *words: str) -> None:
    done = box.vjail(*words)
    assert done.code == 0, f"vjail {' '.join(words)}: {done}"


def test_any_order_with_nothing_left(box: Sandbox) -> None:
    """Row A2: every order in which the two can start, stop, and start again while the other runs."""
    lab = "A2-any-order"
    _done(box, "up", lab)
    _ping(box, lab, "jail_01", "10.0.0.2")
    for first, second in permutations(("jail_01", "jail_02")):
        _done(box, "stop", "-p", lab, first)
        _done(box, "start", "-p", lab, first)
        _ping(box, lab, "jail_02", "10.0.0.1")
        for jail in (first, second):
            _done(box, "stop", "-p", lab, jail)
        left = box.shell("jls jid; ifconfig -l", lab)
        assert left.out == "vtnet0 lo0\n", f"nothing is left of the epair: {left}"
        for jail in (second, first):
            _done(box, "start", "-p", lab, jail)
        _ping(box, lab, "jail_01", "10.0.0.2")
    _done(box, "down", lab)
