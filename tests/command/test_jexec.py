"""jexec(8): who runs the command, where, with which environment; and what it says when it cannot."""

from __future__ import annotations

import pytest
from jail_fakes import FakeHost, FakeSession, Result, command, run

from vjail.command.jexec import jexec
from vjail.release import Release
from vjail.session import Process

ENVIRON = {"TERM": "vt100", "HOME": "/root", "PATH": "/bin:/sbin", "EDITOR": "vi"}

LOGIN = {
    "BLOCKSIZE": "K",
    "MM_CHARSET": "UTF-8",
    "LANG": "C.UTF-8",
}


def host_with_jail(release: Release = Release.V13) -> FakeHost:
    host = FakeHost(release)
    host.files.add("/j/etc/passwd", "root:*:0:0::/root:/bin/csh\nwww:*:80:80::/home/www:/bin/tcsh\n")
    host.files.add("/j/etc/group", "wheel:*:0:root\nmail:*:6:www\nwww:*:80:\n")
    host.files.add("/j/home/www")
    host.files.add("/j/root")
    host.files.add("/j/srv")
    command(host, "jail -c name=j path=/j persist")
    return host


def jexec_on(host: FakeHost, *words: str, uid: int = 0) -> Result:
    session = FakeSession(host, ["jexec", *words], environ=ENVIRON, uid=uid)
    code = run(jexec(session))
    screen = session.screen
    return Result(code, screen.stdout, screen.stderr, screen.merged, session.log)


def started(result: Result) -> Process:
    (process,) = result.log
    return process


# --- what is started --------------------------------------------------------------------------------------------------


def test_the_plain_case_changes_nothing() -> None:
    result = jexec_on(host_with_jail(), "j", "sleep", "0")
    assert started(result) == Process(("sleep", "0"), jid=1, environ=ENVIRON, cwd="/", user=None, interactive=True)
    assert (result.merged, result.code) == ("", 0)


def test_the_exit_code_is_the_commands() -> None:
    assert jexec_on(host_with_jail(), "j", "sh", "-c", "exit 7").code == 7


def test_own_commands_run_here_in_the_jail() -> None:
    result = jexec_on(host_with_jail(), "1", "ifconfig", "-l")
    assert started(result) == Process(("ifconfig", "-l"), jid=1, environ=ENVIRON)
    assert (result.stdout, result.code) == ("vtnet0 vtnet1 lo0 pflog0\n", 0)


def test_options_end_at_the_jail() -> None:
    assert started(jexec_on(host_with_jail(), "j", "echo", "-l", "-u", "x")).argv == ("echo", "-l", "-u", "x")


def test_without_a_command_a_shell() -> None:
    host = host_with_jail()
    assert started(jexec_on(host, "j")).argv == ("/bin/sh", "-i")
    assert started(jexec_on(host, "-U", "www", "j")).argv == ("/bin/tcsh", "-i")


def test_clean_keeps_the_terminal_and_logs_in() -> None:
    process = started(jexec_on(host_with_jail(), "-l", "j", "env"))
    assert process.user is None
    assert process.cwd == "/root"
    assert process.environ == LOGIN | {
        "TERM": "vt100",
        "PATH": "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/root/bin",
        "MAIL": "/var/mail/root",
        "USER": "root",
        "HOME": "/root",
        "SHELL": "/bin/csh",
    }


def test_a_user_of_the_jail() -> None:
    process = started(jexec_on(host_with_jail(), "-U", "www", "j", "env"))
    assert process.user is not None
    assert process.environ is not None
    assert (process.user.name, process.user.uid, process.user.gid, process.user.groups) == ("www", 80, 80, (80, 6))
    assert process.cwd == "/"
    assert process.environ["EDITOR"] == "vi"
    assert process.environ["HOME"] == "/home/www"
    assert process.environ["PATH"].endswith(":/home/www/bin")
    clean = started(jexec_on(host_with_jail(), "-l", "-U", "www", "j", "env"))
    assert clean.environ is not None
    assert "EDITOR" not in clean.environ
    assert clean.cwd == "/home/www"


def test_a_user_of_the_host() -> None:
    process = started(jexec_on(host_with_jail(), "-u", "operator", "j", "env"))
    assert process.user is not None
    assert (process.user.uid, process.user.gid) == (2, 5)


def test_another_user_is_a_process_even_for_own_commands() -> None:
    host = host_with_jail()
    assert started(jexec_on(host, "-U", "www", "j", "ifconfig", "-l")).interactive
    assert not started(jexec_on(host, "-U", "root", "j", "ifconfig", "-l")).interactive


def test_a_directory() -> None:
    host = host_with_jail(Release.V15)
    assert started(jexec_on(host, "-d", "/srv", "j", "sleep", "0")).cwd == "/srv"
    assert started(jexec_on(host, "-l", "j", "sleep", "0")).cwd == "/"
    assert started(jexec_on(host, "-l", "-U", "www", "j", "sleep", "0")).cwd == "/home/www"
    assert started(jexec_on(host, "-l", "-U", "www", "-d", "/srv", "j", "sleep", "0")).cwd == "/srv"


# --- what goes wrong --------------------------------------------------------------------------------------------------

USAGE = "usage: jexec [-l] [-u username | -U username] jail [command ...]\n"
USAGE_15 = "usage: jexec [-l] [-d working-directory] [-u username | -U username] jail\n       [command ...]\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("nosuch", "ls"), 'jexec: jail "nosuch" not found\n'),
        (("9", "ls"), "jexec: jail 9 not found\n"),
        (("gone", "ls"), 'jexec: jail "gone" is dying\n'),
        (("0", "ls"), "jexec: jail_attach(0): Invalid argument\n"),
        (("j", "/nosuch"), "jexec: execvp: /nosuch: No such file or directory\n"),
        (("-u", "nobody", "j", "ls"), "jexec: nobody: no such user\n"),
        (("-U", "operator", "j", "ls"), "jexec: operator: no such user\n"),
        (("-u", "www", "j", "ls"), "jexec: www: no such user\n"),
        ((), USAGE),
        (("-l",), USAGE),
        (("-u", "root", "-U", "root", "j"), USAGE),
        (("-z", "j"), f"jexec: illegal option -- z\n{USAGE}"),
        (("-d", "/", "j"), f"jexec: illegal option -- d\n{USAGE}"),
    ],
)
def test_errors(words: tuple[str, ...], error: str) -> None:
    host = host_with_jail()
    command(host, "jail -c name=gone path=/ persist")
    host.driver.holding.add(2)
    command(host, "jail -R gone")
    result = jexec_on(host, *words)
    assert (result.stdout, result.stderr, result.code) == ("", error, 1)


def test_usage_of_15() -> None:
    assert jexec_on(host_with_jail(Release.V15)).stderr == USAGE_15


def test_no_shell_in_the_jail() -> None:
    host = host_with_jail()
    host.files.add("/j/etc/passwd", "odd:*:99:99::/:/nosuch/shell\n")
    result = jexec_on(host, "-U", "odd", "j")
    assert (result.stderr, result.code) == ("jexec: execlp: /nosuch/shell: No such file or directory\n", 1)


def test_a_jail_without_passwd() -> None:
    host = host_with_jail()
    host.files.unlink("/j/etc/passwd")
    assert jexec_on(host, "-U", "root", "j", "ls").stderr == "jexec: getpwnam: root: No such file or directory\n"


def test_a_home_that_is_not_in_the_jail() -> None:
    host = host_with_jail()
    host.files.add("/j/etc/passwd", "root:*:0:0::/nowhere:/bin/sh\n")
    result = jexec_on(host, "-l", "-U", "root", "j", "ifconfig", "-l")
    assert (result.stdout, result.stderr, result.code) == (
        "",
        "jexec: chdir: /nowhere: No such file or directory\n",
        1,
    )


def test_only_root_may_enter_a_jail() -> None:
    host = host_with_jail()
    assert jexec_on(host, "j", "sleep", "0", uid=2).stderr == "jexec: jail_attach(1): Operation not permitted\n"
    assert jexec_on(host, "j", "ifconfig", uid=2).stderr == "jexec: jail_attach(1): Operation not permitted\n"
    assert jexec_on(host, "0", "ls", uid=2).stderr == "jexec: jail_attach(0): Operation not permitted\n"


def test_clean_needs_the_caller_to_be_someone() -> None:
    assert jexec_on(host_with_jail(), "-l", "j", "ls", uid=1234).stderr == "jexec: unknown uid: 1234\n"
