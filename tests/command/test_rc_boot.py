"""/etc/rc and /etc/rc.shutdown: the console logs of recorded jails, who is left out, what packages add."""

from __future__ import annotations

import asyncio
import re

import pytest
from hostfake import DATA, run_now
from rchost import RcHost

from vjail.command.rc.boot import date, rc, rc_shutdown
from vjail.release import Release

NOT_RUN_HERE = ("ELF ldconfig path:", "32-bit compatibility ldconfig path:")
QUIET = """\
syslogd_enable="NO"
cron_enable="NO"
update_motd="NO"
"""
NEWSYSLOG_CONF = "/var/log/messages 644 5 1000 @0101T JC\n"


def jail(rc_conf: str, interfaces: tuple[str, ...], *, vnet: bool = True, release: Release = Release.V13) -> RcHost:
    made = RcHost(
        QUIET + rc_conf, interfaces, jid=3, vnet="new" if vnet else "inherit", allow__set_hostname=True, release=release
    )
    made.files.put("/etc/newsyslog.conf", NEWSYSLOG_CONF)
    return made


def boot(made: RcHost, *words: str) -> str:
    """What appears on the console."""
    assert run_now(rc, made.new_session("rc", *words)) == 0
    return made.session.both


class Console:
    """Prints, when ifconfig(8) or route(8) is called, what a recorded console shows next of it."""

    def __init__(self, log: list[str]) -> None:
        self._shown: dict[str, list[str]] = {}
        at = 0
        while at < len(log):
            head = re.match(r"(\w+): flags=", log[at])
            end = at + 1
            while head and end < len(log) and log[end].startswith("\t"):
                end += 1
            if head:
                self._shown[head.group(1)] = log[at:end]
            at = end
        self._routes = [line for line in log if line.startswith("add ")]

    def attach(self, made: RcHost) -> None:
        """Speak for the programs that `made` calls."""
        new_session = made.new_session

        def with_console(*argv: str):  # type: ignore[no-untyped-def]
            session = new_session(*argv)

            def answer(words: tuple[str, ...]) -> None:
                if words[0] == "/sbin/route":
                    session.out(f"{self._routes.pop(0)}\n")
                elif words[0] == "/sbin/ifconfig" and len(words) == 2:
                    session.out("".join(f"{line}\n" for line in self._shown[words[1]]))

            session.effects.append(answer)
            return session

        made.new_session = with_console  # type: ignore[method-assign]


def recorded_log(path: str, before: str) -> list[str]:
    """The console below the line `before`, up to where its command ends."""
    lines = (DATA / path).read_text().splitlines()
    start = lines.index(before) + 1
    return [line for line in lines[start : lines.index("[exit 0]", start)] if not line.startswith(NOT_RUN_HERE)]


RECORDED = {
    "a jail whose rc.conf names only it": (
        "observed/b2_service_jail.txt",
        "# cat /var/log/jail_jail_02.log",
        'hostname="jail_02.jail"\n',
        ("lo0", "pflog0", "epair1b"),
        1795336361.0,
    ),
    "a jail that sets up its network": (
        "observed/d5_rcconf_blackhole.txt",
        "jail_01: run command in jail: /bin/sh /etc/rc",
        'hostname="jail_01.jail"\nifconfig_epair1a="inet 10.0.0.1/24"\nifconfig_epair1a_ipv6="inet6 fd00::1/64"\n'
        'defaultrouter="10.0.0.254"\nipv6_static_routes="bh"\nipv6_route_bh="default ::1 -blackhole"\n',
        ("lo0", "pflog0", "epair1a"),
        1795338401.0,
    ),
}


@pytest.mark.parametrize("case", RECORDED)
def test_the_console_of_a_recorded_jail(case: str) -> None:
    path, before, rc_conf, interfaces, now = RECORDED[case]
    log = recorded_log(path, before)
    made = jail(rc_conf, interfaces)
    Console(log).attach(made)
    session = made.new_session("rc")
    session.now = now
    assert run_now(rc, session) == 0
    assert session.both.splitlines() == log


def test_date() -> None:
    assert date(1795336361) == "Sun Nov 22 08:32:41 UTC 2026"
    assert date(0) == "Thu Jan  1 00:00:00 UTC 1970"


# --- who is left out -------------------------------------------------------------------------------------------------

NETWORK = "ifconfig_em0=up\ngateway_enable=YES\npf_enable=YES\n"


def test_a_host_runs_everything() -> None:
    made = RcHost("hostname=lab\n" + NETWORK)
    made.files.put("/etc/pf.conf", "")
    made.files.put("/etc/newsyslog.conf", NEWSYSLOG_CONF)
    console = boot(made)
    said = [
        "Setting hostuuid: ", "Setting hostid: ", "Setting hostname: lab.", "Starting Network: lo0 em0.",
        "Additional inet routing options: gateway=YES.", "Enabling pf.", "Updating motd:.",
        "Updating /var/run/os-release done.", "Clearing /tmp (X related).", "Creating and/or trimming log files.",
    ]  # fmt: skip
    places = [console.index(each) for each in said]
    assert places == sorted(places)
    assert "cannot run /usr/sbin/syslogd" in console
    assert made.calls("devfs") == [], "there are no files of rules"
    assert made.files.kind("/etc/machine-id") is not None


def test_a_jail_on_the_host_s_network_leaves_the_network_alone() -> None:
    made = jail(NETWORK + "hostname=j\n", ("em0", "lo0"), vnet=False)
    console = boot(made)
    assert made.calls("ifconfig") == []
    assert made.calls("route") == []
    assert made.calls("sysctl") == []
    assert "hostuuid" not in console
    assert console.startswith("Setting hostname: j.\nUpdating /var/run/os-release done.\n")


def test_a_jail_s_own_network_but_not_the_host_s_identity() -> None:
    made = jail(NETWORK + "autobridge_interfaces=bridge0\nautobridge_bridge0=em*\n", ("em0", "lo0"))
    console = boot(made)
    assert "em0 up" in made.calls("ifconfig")
    assert "net.inet.ip.forwarding=1" in made.calls("sysctl")
    assert "hostuuid" not in console
    assert "bridge0 addm em0" not in made.calls("ifconfig")


# --- packages --------------------------------------------------------------------------------------------------------


def script(provides: str, *lines: str) -> str:
    return "\n".join(["#!/bin/sh", f"# PROVIDE: {provides}", *lines, ""])


def test_scripts_of_packages_run_in_their_turn() -> None:
    made = jail("local_startup=/usr/local/etc/rc.d\n", ("lo0",))
    made.files.put("/usr/local/etc/rc.d/web", script("web", "# REQUIRE: LOGIN db"), mode=0o755)
    made.files.put("/usr/local/etc/rc.d/db", script("db"), mode=0o755)
    made.files.put("/usr/local/etc/rc.d/host_only", script("host_only", "# KEYWORD: nojail"), mode=0o755)
    made.files.put("/usr/local/etc/rc.d/by_hand", script("by_hand", "# KEYWORD: nostart"), mode=0o755)
    made.files.put("/etc/rc.d/extra", script("extra", "# REQUIRE: web"), mode=0o755)
    made.files.put("/etc/rc.d/netif", "the client under its name", mode=0o755)
    boot(made)
    assert [process.argv[1:] for process in made.session.started] == [
        ("/usr/local/etc/rc.d/db", "quietstart"),
        ("/usr/local/etc/rc.d/web", "quietstart"),
        ("/etc/rc.d/extra", "quietstart"),
    ]
    boot(made, "autoboot")
    assert made.session.started[0].argv[2] == "faststart"


def test_shutdown_stops_what_asks_for_it_last_started_first() -> None:
    made = jail("cron_enable=YES\n", ("lo0",))
    made.files.put("/usr/local/etc/rc.d/web", script("web", "# REQUIRE: LOGIN db", "# KEYWORD: shutdown"), mode=0o755)
    made.files.put("/usr/local/etc/rc.d/db", script("db", "# KEYWORD: shutdown"), mode=0o755)
    made.files.put("/usr/local/etc/rc.d/quiet", script("quiet"), mode=0o755)
    assert run_now(rc_shutdown, made.new_session("rc.shutdown", "jail")) == 0
    assert [process.argv[1:] for process in made.session.started] == [
        ("/usr/local/etc/rc.d/web", "faststop"),
        ("/usr/local/etc/rc.d/db", "faststop"),
    ]
    assert made.session.both == ".\n"


def test_shutdown_does_not_wait_for_ever() -> None:
    class Endless:
        pid = 7

        async def wait(self) -> object:
            await asyncio.sleep(60)
            raise AssertionError("it was waited for")

    async def start(process: object) -> Endless:
        return Endless()

    made = jail("rcshutdown_timeout=1\n", ("lo0",))
    made.files.put("/usr/local/etc/rc.d/web", script("web", "# KEYWORD: shutdown"), mode=0o755)
    session = made.new_session("rc.shutdown", "jail")
    session.start = start  # type: ignore[method-assign, assignment]
    session.now = 0.0
    assert run_now(rc_shutdown, session) == 1
    assert session.both == ("\n1 second watchdog timeout expired. Shutdown terminated.\nThu Jan  1 00:00:00 UTC 1970\n")


# --- what goes wrong -------------------------------------------------------------------------------------------------


def test_a_line_of_rc_conf_that_is_no_assignment_is_named() -> None:
    made = jail("", ("lo0",))
    made.files.put("/etc/rc.conf", 'hostname="j"\nif true; then x=1; fi\nsyslogd_enable=NO\ncron_enable=NO\n')
    console = boot(made).splitlines()
    assert console[0].startswith("/etc/rc: WARNING: /etc/rc.conf:2:1: ")
    assert console[0].endswith("; ignored")
    assert "Setting hostname: j." in console


def test_one_script_s_failure_is_not_the_others() -> None:
    made = jail("cron_enable=YES\nsyslogd_enable=YES\n", ("lo0",))
    made.files.put("/usr/local/etc/rc.d/web", script("web"), mode=0o755)
    made.results["/bin/sh", "/usr/local/etc/rc.d/web", "quietstart"] = 1
    made.files.put("/usr/sbin/cron", "", mode=0o755)
    console = boot(made)
    assert "/etc/rc: WARNING: run_rc_command: cannot run /usr/sbin/syslogd\n" in console
    assert "Starting cron.\n" in console
