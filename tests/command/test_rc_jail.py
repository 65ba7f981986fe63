"""rc.d/jail: all jails or some, what is shown of jail(8), which file each jail has, and jails of rc.conf itself."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from jail_fakes import RC_CONF, FakeHost, FakeSession, Result, command, run

from vjail.command.rc_jail import rc_jail
from vjail.conf.rcconf import RcConf
from vjail.release import Release

CONF = 'path=/; persist; exec.prestart="echo pre $name"; exec.poststop="echo post $name"; a { } b { } c { depend=a; }'


def host_with(text: str | None = CONF, release: Release = Release.V13) -> FakeHost:
    host = FakeHost(release)
    if text is not None:
        host.files.add("/etc/jail.conf", text)
    return host


def service(host: FakeHost, *words: str, **variables: str) -> Result:
    """Run the script; the variables are rc.conf's."""
    session = FakeSession(host, ["service", "jail", *words])
    verb, *names = words
    word = verb.removeprefix("quiet")
    code = run(rc_jail(session, RcConf(RC_CONF | variables, {}), [word, *names], quiet=word != verb))
    screen = session.screen
    return Result(code, screen.stdout, screen.stderr, screen.merged, session.log)


def called(result: Result) -> list[str]:
    return [" ".join(process.argv) for process in result.log if process.argv[0].startswith("/usr/sbin")]


def ids(host: FakeHost) -> Sequence[str]:
    return [name for name in host.files.list("/var/run") if name.endswith(".id")]


def names(host: FakeHost) -> list[str]:
    return [each.name for each in host.system().jails()]


# --- all of them ------------------------------------------------------------------------------------------------------


def test_start_all() -> None:
    host = host_with()
    command(host, "jail -c name=other path=/ persist")
    result = service(host, "start")
    assert (result.stdout, result.stderr, result.code) == ("Starting jails: other a b c.\n", "", 0)
    assert called(result) == ["/usr/sbin/jail -f /etc/jail.conf -c -p1"]
    assert ids(host) == ["jail_a.id", "jail_b.id", "jail_c.id", "jail_other.id"]
    assert host.files.read("/var/run/jail_c.id") == b"4\n"
    assert host.files.list("/tmp") == []


def test_one_that_fails_hides_the_others() -> None:
    host = host_with(f"{CONF} d {{ depend=c; exec.start=false; }}")
    result = service(host, "start")
    assert result.stdout == (
        "Starting jails:pre a\na: created\npre b\nb: created\npre c\nc: created\npre d\nd: created\n"
        "jail: d: false: failed\nd: removed\n.\n"
    )
    assert (result.stderr, result.code) == ("", 0)
    assert names(host) == ["a", "b", "c"]
    assert ids(host) == []


def test_flags_and_another_program() -> None:
    host = host_with()
    assert called(service(host, "start", jail_parallel_start="YES", jail_flags="-v -q", jail_conf="/etc/other")) == [
        "/usr/sbin/jail -v -q -f /etc/other -c"
    ]
    result = service(host, "start", jail_program="/nosuch/program")
    assert result.stdout == "Starting jails:.\n"
    assert result.stderr == "/etc/rc.d/jail: /nosuch/program: No such file or directory\n"


def test_stop_all() -> None:
    host = host_with()
    command(host, "jail -c name=other path=/ persist")
    service(host, "start")
    result = service(host, "stop")
    assert (result.stdout, result.stderr, result.code) == ("Stopping jails: other a b c.\n", "", 0)
    assert called(result) == [f"/usr/sbin/jail -f /etc/jail.conf -r {name}" for name in ("other", "a", "b", "c")]
    assert names(host) == []
    assert ids(host) == []


def test_stop_all_in_reverse() -> None:
    host = host_with()
    service(host, "start")
    assert service(host, "stop", jail_reverse_stop="YES").stdout == "Stopping jails: c b a.\n"


def test_what_cannot_be_stopped_is_shown() -> None:
    host = host_with("path=/; persist; a { exec.prestop=false; } b { }")
    service(host, "start")
    result = service(host, "stop")
    assert (result.stdout, result.stderr) == ("Stopping jails: ajail: a: false: failed\n b.\n", "")
    assert names(host) == ["a"]
    assert ids(host) == ["jail_a.id"]


# --- some -------------------------------------------------------------------------------------------------------------


def test_start_some() -> None:
    host = host_with()
    result = service(host, "start", "b", "c")
    assert result.stdout == "Starting jails: b c.\n"
    assert called(result) == ["/usr/sbin/jail -i -f /etc/jail.conf -c b", "/usr/sbin/jail -i -f /etc/jail.conf -c c"]
    # The jail that another depends on is started, but it is not spoken of.
    assert names(host) == ["b", "a", "c"]
    assert ids(host) == ["jail_b.id", "jail_c.id"]


def test_one_that_does_not_start() -> None:
    host = host_with()
    result = service(host, "start", "nosuch", "a")
    assert result.stdout == 'Starting jails: cannot start jail  "nosuch": \njail: "nosuch" not found\n a.\n'


def test_the_list_of_rc_conf() -> None:
    host = host_with()
    assert service(host, "start", jail_list="b a").stdout == "Starting jails: b a.\n"
    reverse = {"jail_list": "b a", "jail_reverse_stop": "YES"}
    assert service(host, "stop", **reverse).stdout == "Stopping jails: a b.\n"
    service(host, "start", jail_list="b a")
    assert service(host, "stop", "b", "a", **reverse).stdout == "Stopping jails: b a.\n"


def test_in_parallel() -> None:
    host = host_with("path=/; persist; slow { exec.start='sleep 2'; } fast { exec.start='sleep 1'; }")
    assert service(host, "start", "slow", "fast", jail_parallel_start="YES").stdout == "Starting jails: fast slow.\n"


def test_stop_only_those_that_run() -> None:
    host = host_with()
    service(host, "start", "a")
    result = service(host, "stop", "b", "a")
    assert result.stdout == "Stopping jails: a.\n"
    assert called(result) == ["/usr/sbin/jail -q -f /etc/jail.conf -r a"]
    assert ids(host) == []


def test_restart_is_stop_and_start() -> None:
    host = host_with()
    service(host, "start", "a")
    assert service(host, "restart", "a").stdout == "Stopping jails: a.\nStarting jails: a.\n"
    assert command(host, "jls jid").stdout == "2\n"


def test_a_jail_below_another_cannot_be_named() -> None:
    host = host_with("path=/; persist; a { children.max=1; } a.b { }")
    assert 'cannot start jail  "a_b"' in service(host, "start", "a.b").stdout


# --- which file -------------------------------------------------------------------------------------------------------


def test_files_of_their_own() -> None:
    host = host_with()
    host.files.add("/etc/jail.conf.d/b.conf", "b { path=/; persist; }")
    host.files.add("/etc/jail.c.conf", "c { path=/; persist; }")
    host.files.add("/etc/jail.conf.d/c.conf", "")
    host.files.add("/mine", "a { path=/; persist; }")
    result = service(host, "config", "a", "b", "c", "d-e", jail_a_conf="/mine", jail_d_e_conf="/nosuch")
    assert (result.stderr, result.code) == ("", 0)
    assert result.stdout == (
        "a: parameters are in /mine.\n"
        "b: parameters are in /etc/jail.conf.d/b.conf.\n"
        "c: parameters are in /etc/jail.c.conf.\n"
        "d-e: parameters are in /etc/jail.conf.\n"
    )
    assert service(host, "config").stdout == ""


@pytest.mark.parametrize("include", ['.include "/etc/jail.conf.d/*.conf";', "\t.include /etc/jail.conf.d/x;"])
def test_a_folder_that_jail_conf_reads_itself(include: str) -> None:
    for release, file in ((Release.V14, "/etc/jail.conf.d/a.conf"), (Release.V15, "/etc/jail.conf")):
        host = host_with(f"path=/;\n{include}\n", release)
        host.files.add("/etc/jail.conf.d/a.conf", "a { }")
        assert service(host, "config", "a").stdout == f"a: parameters are in {file}.\n"
    host = host_with("# .include /etc/jail.conf.d/x", Release.V15)
    host.files.add("/etc/jail.conf.d/a.conf", "a { }")
    assert service(host, "config", "a").stdout == "a: parameters are in /etc/jail.conf.d/a.conf.\n"


def test_no_file_at_all() -> None:
    result = service(host_with(None), "start", "a", "b")
    assert result.stdout == "Starting jails:.\n"
    assert result.stderr.splitlines()[0] == (
        "/etc/rc.d/jail: WARNING: Invalid configuration for a  (no jail.conf, no hostname, or no path).   "
        "Jail a was ignored."
    )


def test_a_flag_that_is_neither_yes_nor_no() -> None:
    result = service(host_with(), "start", jail_parallel_start="perhaps")
    assert "jail_parallel_start is not set properly" in result.stderr


# --- status and console -----------------------------------------------------------------------------------------------


def test_status() -> None:
    host = host_with()
    service(host, "start", "a")
    assert service(host, "status").stdout == command(host, "jls -N").stdout


def test_console() -> None:
    host = host_with()
    service(host, "start")
    assert called(service(host, "console", "a", "echo", "hi"))[0] == "/usr/sbin/jexec a echo hi"
    assert called(service(host, "console", "a"))[0] == "/usr/sbin/jexec a /usr/bin/login -f root"
    assert called(service(host, "console", "a", jail_consolecmd="sh -l"))[0] == "/usr/sbin/jexec a sh -l"
    assert called(service(host, "console", "a", jail_a_consolecmd="id"))[0] == "/usr/sbin/jexec a id"
    result = service(host, "console")
    assert (result.stderr, result.code) == ("/etc/rc.d/jail: ERROR: Specify a jail name.\n", 3)


# --- messages of starts and stops -------------------------------------------------------------------------------------


def test_silence_from_15_on() -> None:
    """rc.conf(5), rc_startmsgs: only what is shown when the host boots is meant."""
    host = host_with(release=Release.V15)
    assert service(host, "quietstart", rc_startmsgs="NO").stdout == ""
    assert service(host, "quietstop", "a", rc_startmsgs="NO").stdout == ""
    assert service(host, "start", "a", rc_startmsgs="NO").stdout == "Starting jails: a.\n"
    assert service(host, "quietstop", "a", rc_startmsgs="YES").stdout == "Stopping jails: a.\n"
    older = host_with()
    assert service(older, "quietstart", rc_startmsgs="NO").stdout == "Starting jails: a b c.\n"


# --- jails of rc.conf -------------------------------------------------------------------------------------------------

LEGACY = {
    "jail_www_hostname": "www.example.org",
    "jail_www_rootdir": "/",
    "jail_www_ip": "em0|10.0.0.1/24,10.0.0.2/255.255.0.0,fd00::1",
    "jail_www_ip_multi0": "10.0.0.3",
    "jail_interface": "em1",
    "jail_www_fib": "1",
    "jail_www_exec_prestart1": "echo one",
    "jail_exec_poststop0": "echo last",
    "jail_www_exec_start": "echo go",
    "jail_www_exec_afterstart1": "echo after",
    "jail_www_devfs_enable": "YES",
    "jail_www_devfs_ruleset": "5",
    "jail_www_mount_enable": "YES",
    "jail_www_set_hostname_allow": "YES",
    "jail_www_parameters": "allow.mlock; children.max=2",
}

GENERATED = """\
www {
	host.hostname = "www.example.org";
	path = "/";
	interface = "em1";
	ip4.addr += "em0|10.0.0.1/24";
	ip4.addr += "em1|10.0.0.2 netmask 255.255.0.0";
	ip6.addr += "em1|fd00::1/128";
	ip4.addr += "em1|10.0.0.3/32";
	exec.start += "sleep  2 ";
	exec.fib = "1";
	allow.raw_sockets = 0;
	exec.clean;
	exec.system_user = "root";
	exec.jail_user = "root";
	exec.prestart += "echo one";
	exec.poststop += "echo last";
	exec.start += "echo go";
	exec.start += "echo after";
	exec.stop = "";
	exec.consolelog = "/var/log/jail_www_console.log";
	mount.fstab = "/etc/fstab.www";
	mount.devfs;
	devfs_ruleset = "5";
	allow.mount;
	allow.set_hostname = 1;
	allow.sysvipc = 0;
	enforce_statfs = "2";
	allow.mlock;
	children.max=2;
}
"""


def test_the_file_written_for_a_jail_of_rc_conf() -> None:
    host = host_with(None)
    host.files.add("/etc/fstab.www", "")
    result = service(host, "config", "www", **LEGACY)
    assert (result.stdout, result.stderr) == ("www: parameters are in /var/run/jail.www.conf.\n", "")
    assert host.files.read("/var/run/jail.www.conf").decode() == GENERATED


def test_a_jail_of_rc_conf_with_a_network_of_its_own() -> None:
    host = host_with(None)
    service(host, "config", "n-1", jail_n_1_hostname="n", jail_n_1_rootdir="/", jail_n_1_vnet_interface="e1b e2b")
    written = host.files.read("/var/run/jail.n-1.conf").decode()
    assert '\tpath = "/";\n\tvnet;\n\tvnet.interface = "e1b", "e2b";\n\texec.clean;\n' in written
    assert '\texec.start += "/bin/sh /etc/rc";\n\texec.stop = "/bin/sh /etc/rc.shutdown jail";\n' in written


def test_what_is_said_of_a_jail_of_rc_conf() -> None:
    small = {"jail_j_hostname": "j.example.org", "jail_j_rootdir": "/", "jail_j_exec": "sleep 9 &"}
    host = host_with()
    result = service(host, "start", "j", **small)
    assert result.stdout == "Starting jails: j.example.org.\n"
    used = "/etc/rc.d/jail: WARNING: /var/run/jail.j.conf is created and used for jail j.\n"
    obsolete = (
        "/etc/rc.d/jail: WARNING: Per-jail configuration via jail_* variables  is obsolete.  "
        "Please consider migrating to /etc/jail.conf.\n"
    )
    assert result.stderr == used + obsolete
    assert service(host, "stop", "j", **small).stderr == used
    assert service(host, "start", "j", **small, jail_confwarn="NO").stderr == used
    service(host, "stop", "j", **small)
    assert service(host, "start", "j", **small, jail_parallel_start="YES").stderr == obsolete


@pytest.mark.parametrize(
    ("variables", "warning"),
    [
        ({"jail_j_ip": "nonsense"}, "jail_extract_address: type not identified"),
        (
            {"jail_j_devfs_enable": "YES", "jail_j_devfs_ruleset": "devfsrules_x"},
            "devfs_ruleset must be an integer.",
        ),
    ],
)
def test_warnings_about_variables(variables: dict[str, str], warning: str) -> None:
    small = {"jail_j_hostname": "j", "jail_j_rootdir": "/"}
    result = service(host_with(None), "config", "j", **small, **variables)
    assert result.stderr == f"/etc/rc.d/jail: WARNING: {warning}\n"
