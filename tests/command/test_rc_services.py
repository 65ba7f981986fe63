"""Scripts of services and files: syslogd and cron, pf, cleartmp, os-release, motd, newsyslog, sysctl, kld, fstab."""

from __future__ import annotations

import pytest
from hostfake import run_now
from rchost import RcHost

from vjail.command.rc import script as rc_d_script
from vjail.kernel.core.modules import COMPILED_IN, KernelImage
from vjail.session import ProcessInfo

ON = "syslogd_enable=YES\n"


def process(pid: int, *command: str, jid: int = 0, uid: int = 0, start: float = 0.0) -> ProcessInfo:
    name = command[0].rsplit("/", 1)[-1] if command else "kernel"
    return ProcessInfo(pid, 1, jid, name, command, uid, "root", None, "S", start, 0.0, 0, 0)


def syslogd_host(rc_conf: str = ON, *, jid: int = 0, pidfile: str | None = None) -> RcHost:
    host = RcHost(rc_conf, jid=jid)
    host.files.put("/usr/sbin/syslogd", "", mode=0o755)
    host.files.put("/etc/syslog.conf", "")
    if pidfile is not None:
        host.files.put("/var/run/syslog.pid", pidfile)
    return host


def run(host: RcHost, verb: str, *processes: ProcessInfo, script: str = "syslogd") -> tuple[int, str, str]:
    """The script with these processes about."""
    host.processes = list(processes)
    code = host.script(script, verb)
    return code, host.session.output, host.session.errors


# --- starting --------------------------------------------------------------------------------------------------------


def test_start_runs_the_daemon_by_itself() -> None:
    host = syslogd_host('syslogd_flags="-ss -b 127.0.0.1"')
    assert run(host, "start") == (0, "Starting syslogd.\n", "")
    started = host.session.started[0]
    assert started.argv == ("/usr/sbin/syslogd", "-ss", "-b", "127.0.0.1")
    assert started.detached
    assert started.cwd == "/"


def test_a_host_s_socket_is_reached_by_dev_log() -> None:
    host = syslogd_host()
    host.files.put("/var/run/log", "")
    run(host, "start")
    assert host.files.readlink("/dev/log") == "/var/run/log"
    assert host.files.kind("/var/run/log", follow=False) is None
    host = syslogd_host(jid=3)
    run(host, "start")
    assert host.files.kind("/dev/log", follow=False) is None


def test_what_it_cannot_start_without() -> None:
    host = syslogd_host()
    host.files.unlink("/etc/syslog.conf")
    assert run(host, "start") == (
        1,
        "",
        "/etc/rc.d/syslogd: WARNING: /etc/syslog.conf is not readable.\n"
        "/etc/rc.d/syslogd: WARNING: failed precmd routine for syslogd\n",
    )
    host = syslogd_host('syslogd_program="/no/such"')
    assert run(host, "start") == (1, "", "/etc/rc.d/syslogd: WARNING: run_rc_command: cannot run /no/such\n")


def test_it_is_not_started_twice() -> None:
    host = syslogd_host()
    mine = process(70, "/usr/sbin/syslogd", "-s")
    assert run(host, "start", mine) == (1, "", "syslogd already running?  (pid=70).\n")
    assert run(host, "quietstart", mine) == (1, "", "")
    assert run(host, "faststart", mine)[0] == 0
    assert host.session.started


def test_cron_minds_daylight_saving() -> None:
    host = RcHost('cron_dst=YES\ncron_flags="-J 9"')
    host.files.put("/usr/sbin/cron", "", mode=0o755)
    assert run(host, "start", script="cron") == (0, "Starting cron.\n", "")
    assert host.session.started[0].argv == ("/usr/sbin/cron", "-J", "9", "-s")


# --- stopping, with one /var for several jails -----------------------------------------------------------------------

MINE = process(12, "/usr/sbin/syslogd", "-s", jid=3, start=5.0)
OTHER_JAIL = process(12, "/usr/sbin/syslogd", "-s", jid=4, start=9.0)
HOST = process(70, "/usr/sbin/syslogd", "-s", jid=0)
OTHER_PROGRAM = process(30, "/bin/sleep", "1000", jid=3)
NAMED_ALIKE = process(31, "/home/me/syslogd", jid=3, uid=1001)
SECOND = process(40, "syslogd", jid=3, start=7.0)

STOPPED = {
    "the pid file names it": ("12\n", [MINE, OTHER_JAIL, HOST], 12),
    "the pid file is another jail's": ("99\n", [MINE, process(99, "/usr/sbin/syslogd", jid=4)], 12),
    "another jail's process has the pid that is written": ("12\n", [OTHER_JAIL, HOST], None),
    "a process of this jail that is no syslogd has it": ("30\n", [MINE, OTHER_PROGRAM], 12),
    "only such a process": ("30\n", [OTHER_PROGRAM], None),
    "somebody else's program of that name": ("31\n", [NAMED_ALIKE], None),
    "of two the one that is written": ("40\n", [MINE, SECOND], 40),
    "of two the older one where nothing is written": (None, [SECOND, MINE], 12),
    "a pid file of rubbish": ("x\n", [MINE], 12),
    "an empty pid file": ("", [MINE], 12),
}


@pytest.mark.parametrize("case", STOPPED)
def test_stop_finds_this_jail_s_daemon(case: str) -> None:
    pidfile, processes, killed = STOPPED[case]
    host = syslogd_host(jid=3, pidfile=pidfile)
    code, out, err = run(host, "stop", *processes)
    if killed is None:
        assert (code, out, err) == (1, "", "syslogd not running? (check /var/run/syslog.pid).\n")
        assert host.session.killed == []
    else:
        assert (code, err) == (0, "")
        assert out == f"Stopping syslogd.\nWaiting for PIDS: {killed}.\n"
        assert host.session.killed == [(killed, 15)]


def test_the_host_leaves_the_jails_daemons_alone() -> None:
    host = syslogd_host(pidfile="12\n")
    assert run(host, "stop", MINE, OTHER_JAIL)[0] == 1
    assert host.session.killed == []


def test_stop_of_one_that_is_not_enabled() -> None:
    host = syslogd_host("syslogd_enable=NO")
    assert run(host, "stop", HOST)[1] == "Stopping syslogd.\nWaiting for PIDS: 70.\n"
    assert run(host, "stop") == (
        0,
        "Cannot 'stop' syslogd. Set syslogd_enable to YES in /etc/rc.conf or use 'onestop' instead of 'stop'.\n",
        "",
    )
    assert run(host, "faststop") == (0, "", "")


def test_status_reload_poll() -> None:
    host = syslogd_host()
    assert run(host, "status", HOST) == (0, "syslogd is running as pid 70.\n", "")
    assert run(host, "status") == (1, "syslogd is not running.\n", "")
    assert run(host, "reload", HOST) == (0, "", "")
    assert host.session.killed == [(70, 1)]
    assert run(host, "poll", HOST) == (0, "Waiting for PIDS: 70.\n", "")
    assert host.session.killed == []


def test_restart_stops_and_starts() -> None:
    host = syslogd_host()
    code, out, _ = run(host, "restart", HOST)
    assert out == "Stopping syslogd.\nWaiting for PIDS: 70.\n"
    assert code == 1, "the process that never ends is still there"


# --- the other words -------------------------------------------------------------------------------------------------

USAGE = (
    "Usage: /etc/rc.d/syslogd [fast|force|one|quiet]"
    "(start|stop|restart|rcvar|enable|disable|delete|enabled|describe|extracommands|reload|status|poll)\n"
)
WORDS = {
    "rcvar": (0, '# syslogd : System log daemon\n#\nsyslogd_enable="YES"\n#   (default: "")\n\n', ""),
    "describe": (0, "System log daemon\n", ""),
    "extracommands": (0, "reload\n", ""),
    "enabled": (0, "", ""),
    "nonsense": (1, "", f"/etc/rc.d/syslogd: unknown directive 'nonsense'.\n{USAGE}"),
    "": (1, "", USAGE),
}


@pytest.mark.parametrize("word", WORDS)
def test_words_of_every_script(word: str) -> None:
    assert run(syslogd_host(), word) == WORDS[word]


@pytest.mark.parametrize("called", ["syslogd", "/etc/rc.d/syslogd"])
def test_a_script_called_by_its_name(called: str) -> None:
    host = syslogd_host()
    assert run_now(rc_d_script, host.new_session(called, "describe")) == 0
    assert host.session.output == "System log daemon\n"
    assert run_now(rc_d_script, host.new_session("nothing", "start")) == 127
    assert host.session.errors == "/etc/rc.d/nothing: not found\n"


def test_enable_and_disable_edit_rc_conf() -> None:
    host = syslogd_host("# mine\nsyslogd_enable=YES\n")
    assert run(host, "disable") == (0, "syslogd disabled in /etc/rc.conf\n", "")
    assert host.files.text("/etc/rc.conf") == '# mine\nsyslogd_enable="NO"\n'
    assert run(host, "enable") == (0, "syslogd enabled in /etc/rc.conf\n", "")
    assert run(host, "delete") == (0, "syslogd_enable deleted in /etc/rc.conf\n", "")
    assert host.files.text("/etc/rc.conf") == "# mine\n"


# --- pf --------------------------------------------------------------------------------------------------------------


def pf_host(rc_conf: str = "pf_enable=YES") -> RcHost:
    host = RcHost(rc_conf)
    host.files.put("/etc/pf.conf", "")
    return host


def pfctl(host: RcHost) -> list[tuple[str, ...]]:
    return [started.argv[1:] for started in host.session.started if started.argv[0] == "/sbin/pfctl"]


def test_pf_is_handed_its_rules() -> None:
    host = pf_host('pf_enable=YES\npf_flags="-D x=1"')
    assert run(host, "start", script="pf") == (0, "Enabling pf.\n", "")
    assert pfctl(host) == [("-F", "all"), ("-f", "/etc/pf.conf", "-D", "x=1"), ("-eq",)]
    assert run(host, "stop", script="pf") == (0, "Disabling pf.\n", "")
    assert pfctl(host) == [("-dq",)]
    assert run(host, "reload", script="pf") == (0, "Reloading pf rules.\n", "")
    assert [words[0] for words in pfctl(host)] == ["-n", "-f"]
    assert run(host, "check", script="pf") == (0, "Checking pf rules.\n", "")
    assert [words[:3] for words in pfctl(host)] == [("-n", "-f", "/etc/pf.conf")]


def test_pf_without_rules_or_with_bad_ones() -> None:
    host = RcHost("pf_enable=YES")
    assert run(host, "start", script="pf") == (1, "", "/etc/rc.d/pf: WARNING: /etc/pf.conf is not readable.\n")
    host = pf_host("pf_enable=YES\npf_fallback_rules_enable=YES")
    host.files.put("/etc/pf-fallback.conf", "")
    host.results["/sbin/pfctl", "-f", "/etc/pf.conf"] = 1
    assert run(host, "start", script="pf") == (
        0,
        "Enabling pf.\n",
        "/etc/rc.d/pf: WARNING: Unable to load /etc/pf.conf.\n"
        "/etc/rc.d/pf: WARNING: Loading fallback rules file: /etc/pf-fallback.conf\n",
    )


def test_pf_that_is_a_module() -> None:
    host = RcHost("pf_enable=YES", image=KernelImage(compiled_in=tuple({*COMPILED_IN} - {"pf", "pflog"})))
    host.files.put("/etc/pf.conf", "")
    assert run(host, "status", script="pf") == (1, "pf.ko is not loaded\n", "")
    run(host, "start", script="pf")
    assert host.calls("kldload") == ["pf"]


# --- files -----------------------------------------------------------------------------------------------------------


def test_what_x11_left_goes() -> None:
    host = RcHost()
    for name in (".X0-lock", ".X11-unix-mine", "keep"):
        host.files.put(f"/tmp/{name}", "")
    assert run(host, "start", script="cleartmp") == (0, "Clearing /tmp (X related).\n", "")
    assert list(host.files.list("/tmp")) == [
        ".ICE-unix", ".X11-unix", ".X11-unix-mine", ".XIM-unix", ".font-unix", "keep",
    ]  # fmt: skip
    assert host.files.mode("/tmp/.X11-unix") == 0o1777
    host = RcHost("clear_tmp_enable=YES")
    assert run(host, "start", script="cleartmp")[1] == "Clearing /tmp.\n"
    assert host.session.started[0].argv[:2] == ("/bin/sh", "-c")
    host = RcHost("clear_tmp_X=NO")
    assert run(host, "start", script="cleartmp") == (0, "", "")


def test_os_release() -> None:
    host = RcHost()
    assert run(host, "start", script="os-release") == (0, "Updating /var/run/os-release done.\n", "")
    lines = host.files.text("/var/run/os-release").splitlines()
    assert lines[:3] == ["NAME=FreeBSD", 'VERSION="13.2-RELEASE"', 'VERSION_ID="13.2"']
    assert host.files.mode("/var/run/os-release") == 0o444
    assert run(host, "start", script="os-release")[0] == 0


def test_motd_begins_with_the_kernel() -> None:
    host = RcHost()
    host.files.put("/etc/motd.template", "\nwelcome\n")
    assert run(host, "start", script="motd") == (0, "Updating motd:.\n", "")
    text = host.files.text("/var/run/motd")
    assert text.startswith("FreeBSD 13.2-RELEASE")
    assert text.endswith("\n\nwelcome\n")
    assert host.files.readlink("/etc/motd") == "/var/run/motd"


def test_logs_that_are_missing_are_made() -> None:
    host = RcHost()
    host.files.put(
        "/etc/newsyslog.conf",
        "# file mode count size when flags\n"
        "/var/log/all.log\t\t600 7 * @T00 J\n"
        "/var/log/messages 644 5 1000 @0101T JC\n"
        "/var/log/maillog root:wheel 640 7 * @T00 CJN\n"
        "<include> /etc/newsyslog.conf.d/*\n",
    )
    host.files.put("/var/log/maillog", "kept")
    assert run(host, "start", script="newsyslog") == (0, "Creating and/or trimming log files.\n", "")
    assert list(host.files.list("/var/log")) == ["maillog", "messages"]
    assert host.files.text("/var/log/maillog") == "kept"


# --- what runs first -------------------------------------------------------------------------------------------------


def test_sysctl_conf_is_set() -> None:
    host = RcHost()
    host.files.put("/etc/sysctl.conf", "net.inet.ip.forwarding=1 # yes\nno.such=1\n")
    assert run(host, "start", script="sysctl") == (0, "", "")
    assert host.machine.network.forwarding[0, 4] is True


def test_modules_are_loaded() -> None:
    host = RcHost('kld_list="if_tap nothing"')
    host.results["/sbin/kldload", "-n", "nothing"] = 1
    assert run(host, "start", script="kld") == (
        0,
        "Loading kernel modules:\n",
        "/etc/rc.d/kld: WARNING: Unable to load kernel module nothing\n",
    )
    assert host.calls("kldload") == ["-n if_tap", "-n nothing"]


def test_file_systems_are_mounted_where_there_is_an_fstab() -> None:
    host = RcHost()
    assert run(host, "start", script="mountcritlocal") == (0, "", "")
    host.files.put("/etc/fstab", "")
    assert run(host, "start", script="mountcritlocal") == (0, "Mounting local filesystems:.\n", "")
    assert host.calls("mount") == ["-a"]
