"""cron: runs what crontabs say, as whom they say, when they say."""

import os
import re
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from native_support import VARIETIES, System, eventually, is_gone, programs_of, system_at

ROOT = os.geteuid() == 0


def told(system: System) -> list[str]:
    return [re.sub(r"^.*? /usr/sbin/cron\[\d+\]: ", "", line) for line in system.log() if "/usr/sbin/cron[" in line]


def at_start(system: System, crontab: str, path: str = "/etc/crontab") -> None:
    """Let cron run a crontab's @reboot lines, and wait until the last of them has written /tmp/done."""
    system.put(path, f"{crontab}@reboot {'root ' if path != '/var/cron/tabs/root' else ''}-q echo done >/tmp/done\n")
    assert system.daemon("syslogd").returncode == 0
    assert system.daemon("cron").returncode == 0
    eventually(system.path("/tmp/done").exists)


def output(system: System, path: str = "/tmp/out", lines: int = 1) -> str:
    """What a command wrote, once it is so many lines."""
    file = system.path(path)
    eventually(lambda: file.exists() and file.read_text().count("\n") >= lines)
    return file.read_text()


def test_it_is_a_daemon_when_the_start_returns(system: System):
    done = system.daemon("cron", "-s")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pid = system.pid("cron")
    assert system.path("/var/run/cron.pid").read_text() == f"{pid}\n"
    assert os.getsid(pid) == pid
    if system.programs.emulator is None:
        assert Path(f"/proc/{pid}/comm").read_text() == "cron\n"
    second = system.daemon("cron")
    assert (second.returncode, second.stderr) == (1, f"cron: cron already running, pid: {pid}\n")
    os.kill(pid, signal.SIGHUP)
    system.end("cron")
    assert not system.path("/var/run/cron.pid").exists()


def test_another_s_pid_file_is_left(system: System):
    system.daemon("cron")
    pid = system.pid("cron")
    system.path("/var/run/cron.pid").unlink()
    system.path("/var/run/cron.pid").write_text("1\n")
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: is_gone(pid))
    assert system.path("/var/run/cron.pid").read_text() == "1\n"


# --- how commands are run ---------------------------------------------------------------------------------------------


def test_a_commands_surroundings(system: System):
    at_start(system, "@reboot root (pwd; umask; env | sort; id -u; test -t 0 || cat) >/tmp/out 2>&1\n")
    assert output(system, lines=9).splitlines() == [
        "/root",
        "0022",
        "HOME=/root",
        "LOGNAME=root",
        "PATH=/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin",
        "PWD=/root",
        "SHELL=/bin/sh",
        "USER=root",
        "0",
    ]


def test_settings_hold_for_what_follows_them(system: System):
    crontab = """\
# a comment
@reboot root echo first:$A:$B:$C >/tmp/first
A=plain value
  B = " quoted \t value "
'C'='single'
HOME=/var
USER=nobody
PATH = /bin:/usr/bin
@reboot root echo "$A|$B|$C|$HOME|$USER|$PATH|$PWD" >/tmp/out
A=
A = again # no comment
@reboot root echo "$A" >/tmp/second
"""
    at_start(system, crontab)
    assert output(system, "/tmp/first") == "first:::\n"
    assert output(system) == "plain value| quoted \t value |single|/var|root|/bin:/usr/bin|/var\n"
    assert output(system, "/tmp/second") == "again # no comment\n"


def test_another_shell(system: System):
    system.put("/bin/mine", '#!/bin/sh\necho "$0 $1 $2" >/tmp/out\n', 0o755)
    at_start(system, "SHELL=/bin/mine\n@reboot root a command\nSHELL=/bin/sh\n")
    assert output(system) == "/bin/mine -c a command\n"


def test_a_home_that_is_not_there(system: System):
    at_start(system, "HOME=/gone\n@reboot root pwd >/tmp/out\n")
    assert output(system) == "/\n"


def test_input_comes_after_a_percent_sign(system: System):
    at_start(system, r"@reboot root cat >/tmp/out%one%two 50\%%" + "\n" + r"@reboot root echo 100\% >/tmp/none" + "\n")
    assert output(system, lines=3) == "one\ntwo 50%\n\n"
    assert output(system, "/tmp/none") == "100%\n"


@pytest.mark.root
@pytest.mark.skipif(not ROOT, reason="needs root")
def test_a_command_runs_as_its_user(system: System):
    system.put("/etc/group", system.path("/etc/group").read_text() + "extra:*:500:www,operator\nmore:*:501:operator\n")
    system.path("/tmp").chmod(0o1777)
    at_start(system, "@reboot operator (id; echo $HOME $USER; pwd) >/tmp/out 2>&1\n")
    assert output(system, lines=3).splitlines() == [
        "uid=2(operator) gid=5(operator) groups=5(operator),500(extra),501(more)",
        "/ operator",
        "/",
    ]


@pytest.mark.skipif(ROOT, reason="root may be anybody")
def test_a_user_that_cannot_be_is_not_replaced(system: System):
    at_start(system, "@reboot operator id >/tmp/out\n")
    eventually(lambda: "(operator) cannot be run as that user" in told(system))
    assert not system.path("/tmp/out").exists()


def test_what_is_run_is_told_to_syslogd(system: System):
    at_start(system, "@reboot root :  # two words\n@reboot root -q true\n@reboot root -n -q true\n@reboot ghost true\n")
    eventually(lambda: len(told(system)) >= 2)
    assert sorted(told(system)) == ["(ghost) ORPHAN (no passwd entry)", "(root) CMD (:  # two words)"]


def test_a_shell_that_is_not_there_is_told(system: System):
    at_start(system, "SHELL=/bin/gone\n@reboot root -q true\nSHELL=/bin/sh\n")
    eventually(lambda: "(root) cannot run /bin/gone" in told(system))


def test_children_are_waited_for(system: System):
    at_start(system, "@reboot root -q true\n" * 20)
    pid = system.pid("cron")

    def children() -> list[str]:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()

    eventually(lambda: not children())


# --- which files are read ---------------------------------------------------------------------------------------------


def test_every_place_for_crontabs(system: System):
    system.put("/etc/cron.d/package", "@reboot root echo package >/tmp/package\n")
    system.put("/etc/cron.d/.hidden", "@reboot root echo no >/tmp/hidden\n")
    system.put("/etc/cron.d/old~", "@reboot root echo no >/tmp/old\n")
    system.put("/var/cron/tabs/ghost", "@reboot echo no >/tmp/ghost\n", 0o600)
    at_start(system, "@reboot echo tab $LOGNAME >/tmp/out\n", "/var/cron/tabs/root")
    assert output(system) == "tab root\n"
    assert output(system, "/tmp/package") == "package\n"
    assert not {"hidden", "old", "ghost"} & set(os.listdir(system.path("/tmp")))


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_file_that_others_may_write_is_not_read(system: System, mode: int):
    system.put("/etc/cron.d/loose", "@reboot root echo no >/tmp/loose\n", mode)
    system.path("/etc/cron.d/link").symlink_to("/etc/cron.d/loose")
    at_start(system, "")
    eventually(lambda: told(system))
    assert told(system) == ["(*system*) not read, since others may write it: /etc/cron.d/loose"]
    assert not system.path("/tmp/loose").exists()


@pytest.mark.root
@pytest.mark.skipif(not ROOT, reason="needs root")
def test_a_file_of_another_owner_is_not_read(system: System):
    for name, owner in (("operator", 2), ("bin", 2)):
        system.put(f"/var/cron/tabs/{name}", "@reboot -q echo $LOGNAME >/tmp/$LOGNAME\n", 0o600)
        os.chown(system.path(f"/var/cron/tabs/{name}"), owner, 0)
    system.path("/tmp").chmod(0o1777)
    at_start(system, "")
    assert output(system, "/tmp/operator") == "operator\n"
    eventually(lambda: told(system))
    assert told(system) == ["(bin) not read, since others may write it: /var/cron/tabs/bin"]


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("60 * * * * root true", "bad minute"),
        ("* 24 * * * root true", "bad hour"),
        ("* * 0 * * root true", "bad day-of-month"),
        ("* * 32 * * root true", "bad day-of-month"),
        ("* * * 13 * root true", "bad month"),
        ("* * * Foo * root true", "bad month"),
        ("* * * * 8 root true", "bad day-of-week"),
        ("5-3 * * * * root true", "bad minute"),
        ("*/0 * * * * root true", "bad minute"),
        ("1,,2 * * * * root true", "bad minute"),
        ("-1 * * * * root true", "bad minute"),
        ("99999999999999999999 * * * * root true", "bad minute"),
        ("nonsense", "bad minute"),
        ("* * *", "bad month"),
        ("@fortnightly root true", "bad time specifier"),
        ("* * * * *", "bad username"),
        ("@reboot root", "bad command"),
    ],
)
def test_what_is_wrong_is_told_once_with_its_place(system: System, line: str, wrong: str):
    at_start(system, f"# comment\n\n{line}\n")
    eventually(lambda: told(system))
    assert told(system) == [f"(*system*) {wrong} (/etc/crontab:3)"]


def test_a_crontab_of_any_content_does_no_harm(system: System):
    """Long lines, many settings, no newline at the end, bytes that are no text."""
    system.put("/etc/cron.d/long", "@reboot root echo " + "x" * 100_000 + " >/tmp/long\n")
    system.put(
        "/etc/cron.d/settings", "".join(f"V{n}={'y' * 300}\n" for n in range(200)) + "@reboot root echo $V1 >/tmp/set\n"
    )
    system.path("/etc/cron.d/bytes").write_bytes(bytes(range(256)) * 20)
    system.path("/etc/cron.d/huge").write_bytes(b"#" * (1 << 20))
    system.put("/etc/cron.d/end", "@reboot root echo end >/tmp/end")
    at_start(system, "")
    assert output(system, "/tmp/long") == "x" * 100_000 + "\n"
    assert output(system, "/tmp/set") == "y" * 300 + "\n"
    assert output(system, "/tmp/end") == "end\n"
    assert not is_gone(system.pid("cron"))


# --- when -------------------------------------------------------------------------------------------------------------


def entries(tick: datetime) -> dict[str, tuple[str, bool]]:
    """Times, and whether they are due at the minute `tick`; by a name for each."""
    minute, hour, day, month = tick.minute, tick.hour, tick.day, tick.month
    weekday = (tick.weekday() + 1) % 7
    other_day, other_weekday = day % 28 + 1, (weekday + 3) % 7
    names = ("jan", "Feb", "MAR", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
    days = ("sun", "MON", "Tue", "wed", "thu", "fri", "sat")
    return {
        "every": ("* * * * *", True),
        "minute": (f"{minute} * * * *", True),
        "not-minute": (f"{(minute + 7) % 60} * * * *", False),
        "exact": (f"{minute} {hour} {day} {month} *", True),
        "not-hour": (f"* {(hour + 1) % 24} * * *", False),
        "range": (f"0-{minute} 0-{hour} * * *", True),
        "not-range": (f"{minute + 1}-59 * * * *" if minute < 59 else "0-58 * * * *", False),
        "list": (f"{(minute + 5) % 60},{minute},{(minute + 9) % 60} * * * *", True),
        "step": (f"{minute % 3}-59/3 * * * *", True),
        "not-step": (f"{(minute + 1) % 3}-59/3 * * * *", False),
        "star-step": (f"*/{2 if minute % 2 == 0 else 1} * * * *", True),
        "month-name": (f"* * * {names[month - 1]} *", True),
        "not-month": (f"* * * {names[month % 12]} *", False),
        "day-name": (f"* * * * {days[weekday]}", True),
        "not-day-name": (f"* * * * {days[other_weekday]}", False),
        "sunday-is-7": ("* * * * 7", weekday == 0),
        "either-day": (f"* * {other_day} * {weekday}", True),
        "or-the-other": (f"* * {day} * {other_weekday}", True),
        "neither": (f"* * {other_day} * {other_weekday}", False),
        "star-and-day": (f"* * */1 * {other_weekday}", False),
        "tabs": (f"*\t{hour}  *\t*  *", True),
        "every-minute": ("@every_minute", True),
        "hourly": ("@hourly", minute == 0),
        "daily": ("@daily", (hour, minute) == (0, 0)),
        "reboot": ("@reboot", False),
    }


@pytest.fixture
def systems(tmp_path: Path) -> Iterator[list[System]]:
    """One for each variety of programs: what takes a minute is done by all of them in the same."""
    possible = [name for name, reason in VARIETIES.items() if reason is None]
    made = [system_at(tmp_path / name, programs_of(name, tmp_path / f"{name}-built")) for name in possible]
    yield made
    for system in made:
        system.close()


def test_times(systems: list[System]):
    """At the next full minute exactly what is due runs, once; a file that came in the meantime is read."""
    for system in systems:
        system.put("/etc/crontab", "")
        assert system.daemon("cron").returncode == 0
    now = datetime.now(UTC)
    if now.second > 57:
        time.sleep(61 - now.second)
        now = datetime.now(UTC)
    tick = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
    lines = entries(tick)
    due = {name for name, (_, is_due) in lines.items() if is_due}
    for system in systems:
        text = "".join(f"{when} root echo x >>/tmp/{name}.ran\n" for name, (when, _) in lines.items())
        system.put("/etc/cron.d/late", text)
    eventually(lambda: all(system.path("/tmp/every.ran").exists() for system in systems), 90)
    assert timedelta(0) <= datetime.now(UTC) - tick < timedelta(seconds=30)

    def ran(system: System) -> dict[str, str]:
        return {path.stem: path.read_text() for path in system.path("/tmp").glob("*.ran")}

    eventually(lambda: all(ran(system).keys() >= due for system in systems))
    time.sleep(0.5)
    assert [ran(system) for system in systems] == [dict.fromkeys(due, "x\n")] * len(systems)
