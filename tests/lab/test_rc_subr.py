"""rc.subr run by real shells: a script of a package, started, asked after, reloaded, and stopped."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import vjail.lab.etc

ETC = Path(vjail.lab.etc.__file__).parent
SHELLS = [shell for shell in ("/bin/sh", "/bin/bash", "/usr/bin/dash", "/usr/bin/ksh") if os.path.exists(shell)]

DAEMON = """\
#!/bin/sh
echo "started $* in $(pwd) with ${COLOUR:-none} $(umask)" >>@/log
trap 'echo reloaded >>@/log' HUP
trap 'echo stopped >>@/log; rm -f @/run/thing.pid; exit 0' TERM
echo "$$" >@/run/thing.pid
while :; do sleep 0.05; done
"""

SCRIPT = """\
#!/bin/sh
#
# PROVIDE: thing
# REQUIRE: LOGIN
# KEYWORD: shutdown

. @/etc/rc.subr

name="thing"
desc="Does nothing for long"
rcvar="thing_enable"
load_rc_config $name
: ${thing_enable:="NO"}
: ${thing_conf:="@/etc/thing.conf"}

pidfile="@/run/thing.pid"
procname="@/bin/thing"
command_interpreter="/bin/sh"
command="@/bin/start"
command_args="-c ${thing_conf}"
required_files="${thing_conf}"
extra_commands="reload configtest"
start_precmd="thing_prestart"
stop_postcmd="echo gone"
configtest_cmd="thing_configtest"

thing_prestart()
{
	[ "${thing_bad:-}" != yes ]
}

thing_configtest()
{
	echo "testing ${thing_conf##*/} $*"
}

run_rc_command "$@"
"""


@dataclass
class Root:
    """A directory that stands for /; in the files written below it @/ begins its paths."""

    path: Path
    shell: str

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("@/", f"{self.path}/"))
        path.chmod(mode)

    def run(self, *words: str) -> tuple[int, str, str]:
        return self.sh(self.path / "etc" / "rc.d" / "thing", *words)

    def sh(self, *argv: str | Path) -> tuple[int, str, str]:
        environ = {"PATH": "/sbin:/bin:/usr/sbin:/usr/bin", "PS": f"{self.path}/bin/ps", "HOME": "/"}
        # the daemon keeps the descriptors it is given, so its output must not be a pipe that is read to its end
        with open(self.path / "out", "w+") as out, open(self.path / "err", "w+") as err:
            code = subprocess.call(
                [self.shell, *map(str, argv)], env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=err
            )
        text = [(self.path / name).read_text().replace(str(self.path), "@") for name in ("out", "err")]
        return code, text[0], text[1]

    def evaluate(self, text: str) -> tuple[int, str, str]:
        return self.sh("-c", f". {self.path}/etc/rc.subr\n{text}", "script")

    def log(self) -> list[str]:
        path = self.path / "log"
        return path.read_text().replace(str(self.path), "@").splitlines() if path.exists() else []

    def pid(self) -> int:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                return int((self.path / "run" / "thing.pid").read_text())
            except (OSError, ValueError):
                time.sleep(0.02)
        raise AssertionError("it did not start")


@pytest.fixture(params=SHELLS)
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Root]:
    if shutil.which("ps") is None:
        pytest.skip("no ps")
    root = Root(tmp_path, request.param)
    subr = (ETC / "rc.subr").read_text().replace("/etc/", "@/etc/").replace("/usr/sbin/sysrc", "@/bin/sysrc")
    root.write("etc/rc.subr", subr)
    defaults = (ETC / "defaults" / "rc.conf").read_text()
    root.write(
        "etc/defaults/rc.conf", defaults.replace("/etc/rc.conf", "@/etc/rc.conf").replace("/usr/local", "@/local")
    )
    root.write("etc/rc.conf", 'thing_enable="YES"\nthing_flags="-q"\n')
    root.write("etc/thing.conf", "")
    root.write("etc/rc.d/thing", SCRIPT, 0o755)
    root.write("bin/thing", DAEMON, 0o755)
    root.write("bin/start", '#!/bin/sh\n@/bin/thing "$@" >/dev/null 2>&1 &\n', 0o755)
    root.write("bin/ps", PS.replace("JAIL", "0"), 0o755)
    root.write("bin/sysrc", '#!/bin/sh\necho "$*" >>@/sysrc\necho "@/etc/rc.conf: $3 -> YES"\n', 0o755)
    (tmp_path / "run").mkdir()
    yield root
    with contextlib.suppress(OSError, ValueError):
        os.kill(int((tmp_path / "run" / "thing.pid").read_text()), signal.SIGKILL)


# Linux's ps with FreeBSD's column of jails, every process in jail 0.
PS = """\
#!/bin/sh
case "$*" in
"-o jid= -p "*) echo 0; exit ;;
*-p*) for which; do :; done; set -- -p "$which" ;;
*) set -- -ax ;;
esac
REAL -ww -o pid= -o args= "$@" | sed 's/^ *\\([0-9]*\\)/\\1 JAIL/'
""".replace("REAL", shutil.which("ps") or "/nonexistent/ps")


def test_a_script_of_a_package(root: Root) -> None:
    assert root.run("status") == (1, "thing is not running.\n", "")
    assert root.run("start") == (0, "Starting thing.\n", "")
    pid = root.pid()
    assert root.log() == [f"started -q -c @/etc/thing.conf in {os.getcwd()} with none 0022"]
    assert root.run("status") == (0, f"thing is running as pid {pid}.\n", "")
    assert root.run("start") == (1, "", f"thing already running?  (pid={pid}).\n")
    assert root.run("quietstart") == (1, "", "")
    assert root.run("reload") == (0, "", "")
    code, out, err = root.run("restart")
    assert (code, err) == (0, "")
    assert out == f"Stopping thing.\nWaiting for PIDS: {pid}.\ngone\nStarting thing.\n"
    later = root.pid()
    assert later != pid
    assert root.run("stop") == (0, f"Stopping thing.\nWaiting for PIDS: {later}.\ngone\n", "")
    assert root.run("stop") == (1, "", "thing not running? (check @/run/thing.pid).\n")
    assert root.run("faststop") == (0, "", "")
    assert [line.split()[0] for line in root.log()] == ["started", "reloaded", "stopped", "started", "stopped"]


def test_where_it_is_not_enabled(root: Root) -> None:
    root.write("etc/rc.conf", "thing_enable=NO\n")
    told = "Cannot 'start' thing. Set thing_enable to YES in /etc/rc.conf or use 'onestart' instead of 'start'.\n"
    assert root.run("start") == (0, told.replace("/etc", "@/etc"), "")
    assert root.run("quietstart") == (0, "", "")
    assert root.run("enabled") == (1, "", "")
    assert root.run("onestart") == (0, "Starting thing.\n", "")
    pid = root.pid()
    assert root.run("stop") == (0, f"Stopping thing.\nWaiting for PIDS: {pid}.\ngone\n", "")


def test_a_pid_file_that_names_another_process_is_not_heeded(root: Root) -> None:
    (root.path / "run" / "thing.pid").write_text(f"{os.getpid()}\n")
    assert root.run("stop") == (1, "", "thing not running? (check @/run/thing.pid).\n")
    (root.path / "run" / "thing.pid").write_text("1; echo never\n")
    assert root.run("status") == (1, "thing is not running.\n", "")


def test_the_same_daemon_of_another_jail_is_not_heeded(root: Root) -> None:
    assert root.run("start")[0] == 0
    root.pid()
    root.write("bin/ps", PS.replace("JAIL", "7"), 0o755)
    assert root.run("stop") == (1, "", "thing not running? (check @/run/thing.pid).\n")
    root.write("bin/ps", PS.replace("JAIL", "0"), 0o755)
    assert root.run("stop")[0] == 0


def test_what_it_requires(root: Root) -> None:
    (root.path / "etc" / "thing.conf").unlink()
    missing = "@/etc/rc.d/thing: WARNING: @/etc/thing.conf is not readable.\n"
    failed = "@/etc/rc.d/thing: WARNING: failed precmd routine for thing\n"
    assert root.run("start") == (1, "", missing + failed)
    assert root.run("forcestart") == (0, "Starting thing.\n", missing)
    assert root.pid()
    assert root.run("stop")[0] == 0
    root.write("etc/thing.conf", "")
    root.write("etc/rc.conf", "thing_enable=YES\nthing_bad=yes\n")
    assert root.run("start") == (1, "", failed)
    root.write("etc/rc.conf", "thing_enable=YES\nthing_program=/no/such\n")
    assert root.run("start") == (1, "", "@/etc/rc.d/thing: WARNING: run_rc_command: cannot run /no/such\n")


def test_how_the_program_is_run(root: Root) -> None:
    root.write("etc/rc.conf", "thing_enable=YES\n")
    root.write("etc/rc.conf.d/thing", 'thing_chdir="@/run"\nthing_env="COLOUR=red"\nthing_umask=027\n')
    assert root.run("start")[0] == 0
    root.pid()
    assert root.log() == ["started -c @/etc/thing.conf in @/run with red 0027"]
    assert root.run("stop")[0] == 0


def test_the_other_words(root: Root) -> None:
    rcvar = '# thing : Does nothing for long\n#\nthing_enable="YES"\n#   (default: "")\n\n'
    assert root.run("rcvar") == (0, rcvar, "")
    assert root.run("describe") == (0, "Does nothing for long\n", "")
    assert root.run("extracommands") == (0, "reload configtest\n", "")
    assert root.run("configtest", "now") == (0, "testing thing.conf now\n", "")
    assert root.run("enable") == (0, "thing enabled in @/etc/rc.conf\n", "")
    assert (root.path / "sysrc").read_text() == "-vs thing thing_enable=YES\n"
    words = (
        "start|stop|restart|rcvar|enable|disable|delete|enabled|describe|extracommands|reload|configtest|status|poll"
    )
    usage = f"Usage: @/etc/rc.d/thing [fast|force|one|quiet]({words})\n"
    assert root.run("nonsense") == (1, "", f"@/etc/rc.d/thing: unknown directive 'nonsense'.\n{usage}")
    assert root.run() == (1, "", usage)


def test_functions_that_scripts_call(root: Root) -> None:
    text = """\
yes=YeS no=off odd=maybe
checkyesno yes && echo one
checkyesno no || echo two
checkyesno odd || echo three
reverse_list a b c
ltr a.b-c .- _ word; echo "$word"
ltr a.b . x
set_rcvar given kept; echo "$given"
given=mine; set_rcvar given kept; echo "$given"
name=foo; set_rcvar
load_rc_config_var thing thing_flags; echo "$thing_flags"
yesno_to_truefalse yes; echo "$yes"
old=5; set_rcvar_obsolete old new; echo "$new"
printf 'user x\\npid "/var/run/x.pid";\\n' >@/conf; get_pidfile_from_conf pid @/conf
err 3 leaving
echo never
"""
    code, out, err = root.evaluate(text.replace("@/", f"{root.path}/"))
    assert code == 3
    assert out.splitlines() == [
        "one", "two", "three", "c b a", "a_b_c", "axb", "kept", "mine", "foo_enable", "-q", "true", "5",
        "/var/run/x.pid",
    ]  # fmt: skip
    assert err == (
        "script: WARNING: $odd is not set properly - see rc.conf(5).\n"
        "script: WARNING: Obsolete rc.conf variable $old is set, use $new instead.\n"
        "script: ERROR: leaving\n"
    )
