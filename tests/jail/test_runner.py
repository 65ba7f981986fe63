"""The life of jails: what is run, in which order, as whom, and what is undone when something fails."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jail_fakes import FakeHost, FakeProcess, FakeSession, Result, command, run

from vjail.command.jail import jail
from vjail.jail.events import Action, Event, State
from vjail.jail.phases import BEFORE_REMOVAL, Phase, Step, Undo, Where, start_phases, stop_phases
from vjail.kernel.errno import Errno, KernelError
from vjail.release import Release
from vjail.session import Exit, Process


def host_with(text: str, release: Release = Release.V13) -> FakeHost:
    host = FakeHost(release)
    host.files.add("/etc/jail.conf", text)
    for each in ("dev", "proc", "etc", "bin", "a", "b", "c"):
        host.files.add(f"/j/{each}")
    host.files.add("/j/etc/passwd", "root:*:0:0::/:/bin/sh\nwww:*:80:80::/home/www:/bin/sh\n")
    host.files.add("/j/home/www")
    return host


def lines(result: Result) -> list[str]:
    return [" ".join(process.argv) for process in result.log[1:]]


# --- the lists --------------------------------------------------------------------------------------------------------


def test_what_exec_did_is_never_undone() -> None:
    for phase in start_phases(Release.V15):
        if phase.step.value.startswith("exec.") or phase.step is Step.COMMAND:
            assert phase.undo is Undo.NOTHING
    assert all(phase.undo is Undo.NOTHING for phase in stop_phases(Release.V15))


def test_commands_of_the_jail_run_in_it() -> None:
    phases = (*start_phases(Release.V15), *stop_phases(Release.V15))
    inside = {phase.step for phase in phases if phase.where is Where.JAIL}
    assert inside == {Step.START, Step.COMMAND, Step.STOP}


def test_release_12_has_no_prepare_and_release() -> None:
    assert {phase.step for phase in start_phases(Release.V13)} - {p.step for p in start_phases(Release.V12)} == {
        Step.PREPARE
    }
    assert {phase.step for phase in stop_phases(Release.V13)} - {p.step for p in stop_phases(Release.V12)} == {
        Step.RELEASE
    }


# --- undoing ----------------------------------------------------------------------------------------------------------

_COMMANDS = ("exec.prepare", "exec.prestart", "exec.created", "exec.start", "command", "exec.poststart")


@dataclass
class Plan:
    """A random jail: how many values each phase has, and which of all of them fails."""

    counts: dict[str, int]
    flags: set[str]
    lines: list[str] = field(default_factory=list)

    def text(self, failing: str | None) -> str:
        """Its jail.conf; the value called `failing` fails."""
        parameters = ["path=/j", "persist", "exec.stop='echo stop'", "exec.poststop='echo poststop'"]
        parameters += ["exec.prestop='echo prestop'", "exec.release='echo release'"]
        if self.counts["ip4.addr"]:
            parameters.append("interface=em0")
        for name, count in self.counts.items():
            for number in range(count):
                parameters.append(f'{name} += "{self.value(name, number, failing)}"')
        return f"j {{ {'; '.join([*parameters, *sorted(self.flags)])}; }}"

    def value(self, name: str, number: int, failing: str | None) -> str:
        fails = f"{name}{number}" == failing
        match name:
            case "ip4.addr" | "ip6.addr":
                return f"10.0.0.{number + 1}/24" if name == "ip4.addr" else f"fd00::{number + 1}/64"
            case "mount":
                return f"/nosuch{number} /j/{'abc'[number]} nullfs" if fails else f"/bin /j/{'abc'[number]} nullfs"
            case "vnet.interface":
                return f"nosuch{number}" if fails else f"epair{number}b"
        return "false" if fails else f"echo {name}{number}"

    def places(self) -> list[str]:
        """The values that can be made to fail, in the order in which they are carried out."""
        names = ("exec.prepare", "mount", "exec.prestart", "exec.created", "vnet.interface", "exec.start", "command")
        names += ("exec.poststart",)
        return [f"{name}{number}" for name in names for number in range(self.counts.get(name, 0))]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    counts = {name: draw(st.integers(0, 2)) for name in _COMMANDS}
    counts["mount"] = draw(st.integers(0, 3))
    vnet = draw(st.booleans())
    counts["vnet.interface"] = draw(st.integers(0, 3)) if vnet else 0
    counts["ip4.addr"] = 0 if vnet else draw(st.integers(0, 2))
    counts["ip6.addr"] = draw(st.integers(0, 2)) if counts["ip4.addr"] else 0
    flags = draw(st.sets(st.sampled_from(["mount.devfs", "mount.fdescfs", "mount.procfs"])))
    flags = flags if "mount.devfs" in flags else flags - {"mount.fdescfs"}
    return Plan(counts, flags | ({"vnet"} if vnet else set()))


_OPPOSITES = {
    "alias": lambda words: [*words[:4], "-alias"],
    "vnet": lambda words: [*words[:2], "-vnet", words[3]],
}


def opposite(line: str) -> str | None:
    """The command line that undoes one; None where nothing does."""
    words = line.split()
    if words[0] == "/sbin/ifconfig" and words[-1] == "alias":
        return " ".join([*words[:-1], "-alias"])
    if words[0] == "/sbin/ifconfig" and words[2] == "vnet":
        return " ".join([*words[:2], "-vnet", words[3]])
    if words[0] == "/sbin/mount":
        special = words[2] in ("devfs", "fdescfs", "procfs")
        return f"/sbin/umount {words[-1]}" if special else f"/sbin/umount -t {words[2]} {words[-1]}"
    return None


@settings(max_examples=120, deadline=None)
@given(plans(), st.data())
def test_a_failed_start_is_undone_exactly_and_in_reverse(plan: Plan, data: st.DataObject) -> None:
    places = plan.places()
    failing = data.draw(st.sampled_from(places)) if places else None
    host = host_with(plan.text(failing))
    host.network.vnets[0] += ["em0", "epair0b", "epair1b", "epair2b"]
    before = list(host.files.mounts), {name: list(names) for name, names in host.network.vnets.items()}
    result = command(host, ["jail", "-c", "j"])
    ran = lines(result)
    if failing is None:
        assert (result.code, result.stderr) == (0, "")
        return
    assert result.code == 1
    broken = next(at for at, line in enumerate(ran) if f"nosuch{failing[-1]}" in line or line == "false")
    done, undone = ran[:broken], ran[broken + 1 :]
    assert undone == [back for line in reversed(done) if (back := opposite(line)) is not None]
    assert host.system().jails() == []
    assert list(host.files.mounts) == before[0]
    assert {name: sorted(names) for name, names in host.network.vnets.items()} == {
        name: sorted(names) for name, names in before[1].items()
    }
    assert not any(word in result.stdout for word in ("stop", "release"))


@settings(max_examples=60, deadline=None)
@given(plans())
def test_a_stop_undoes_what_a_start_did(plan: Plan) -> None:
    host = host_with(plan.text(None))
    host.network.vnets[0] += ["em0", "epair0b", "epair1b", "epair2b"]
    before = list(host.files.mounts)
    started = lines(command(host, ["jail", "-c", "j"]))
    stopped = lines(command(host, ["jail", "-r", "j"]))
    backs = [back for line in reversed(started) if (back := opposite(line)) is not None and "-vnet" not in back]
    commands = ["echo prestop", "echo stop", "echo poststop"]
    assert stopped == [*commands, *backs, "echo release"]
    assert list(host.files.mounts) == before


@settings(max_examples=40, deadline=None)
@given(plans(), st.data())
def test_an_error_while_undoing_is_told_and_the_rest_is_undone(plan: Plan, data: st.DataObject) -> None:
    plan.counts.update(mount=3, **{"exec.poststart": 1})
    host = host_with(plan.text("exec.poststart0"))
    host.network.vnets[0] += ["em0", "epair0b", "epair1b", "epair2b"]
    gone = data.draw(st.sampled_from("abc"))
    host.files.add("/etc/jail.conf", plan.text(None).replace("echo exec.poststart0", f"umount /j/{gone}; false"))
    result = command(host, ["jail", "-c", "j"])
    assert f"jail: j: mount: /j/{gone}: not a mount point\n" in result.stderr
    assert [mounted.target for mounted in host.files.mounts] == ["/", "/dev"]
    assert host.system().jails() == []


# --- single phases ----------------------------------------------------------------------------------------------------


def test_failures_of_a_stop_before_the_removal_leave_the_jail_running() -> None:
    for name in ("exec.prestop", "exec.stop"):
        host = host_with(f"j {{ path=/j; persist; {name}=false; exec.poststop='echo gone'; mount.procfs; }}")
        command(host, "jail -c j")
        result = command(host, "jail -r j")
        assert (result.stdout, result.stderr, result.code) == ("", "jail: j: false: failed\n", 1)
        assert [each.name for each in host.system().jails()] == ["j"]


def test_after_the_removal_the_rest_of_a_stop_still_runs() -> None:
    host = host_with("j { path=/j; persist; mount.procfs; exec.poststop=false; exec.release='echo release'; }")
    command(host, "jail -c j; umount /j/proc")
    result = command(host, "jail -r j")
    assert result.stdout == "j: removed\nrelease\n"
    assert result.stderr == "jail: j: false: failed\njail: j: mount.procfs: /j/proc: not a mount point\n"
    assert result.code == 1


def test_a_restart_that_fails_to_stop_does_not_start() -> None:
    host = host_with("j { path=/j; persist; exec.poststop=false; exec.prestart='echo start'; }")
    command(host, "jail -c j")
    assert command(host, "jail -rc j").stdout == ""
    assert host.system().jails() == []


def test_without_persist_a_jail_with_a_daemon_lives_as_long_as_that() -> None:
    host = host_with("j { path=/j; exec.start='sleep 100 &'; }")
    session = FakeSession(host, ("jail", "-c", "j"))

    async def scenario() -> tuple[list[str], list[str]]:
        await jail(session)  # type: ignore[arg-type]
        alive = [each.name for each in host.system().jails()]
        for process in list(host.processes):
            process.kill(9)
        await session.sleep(0.1)
        return alive, [each.name for each in host.system().jails()]

    assert run(scenario()) == (["j"], [])


def test_temporary_persistence_is_shown() -> None:
    result = command(host_with("j { path=/j; exec.start=true; }"), "jail -v -c j")
    assert result.stdout.splitlines() == [
        "j: jail_set(JAIL_CREATE) persist name=j path=/j",
        "j: created",
        "j: run command in jail: true",
        "j: jail_set(JAIL_UPDATE) jid=1 nopersist",
    ]


def test_timeouts_give_up_a_command_but_do_not_kill_it() -> None:
    host = host_with("j { path=/j; persist; exec.start='sleep 30'; exec.timeout=3; }")
    session = FakeSession(host, ("jail", "-c", "j"))
    host.driver.kill = lambda jid: True  # type: ignore[method-assign]

    async def scenario() -> tuple[int, float, list[list[int]]]:
        code = await jail(session)  # type: ignore[arg-type]
        return code, session.monotonic(), [process.signals for process in host.processes]

    assert run(scenario()) == (1, 3.0, [[]])
    assert session.screen.stderr == "jail: j: sleep 30: timed out\n"


@pytest.mark.parametrize(
    ("timeout", "stubborn", "seconds", "signals"),
    [("", False, 0, 15), ("", True, 10, 15), ("stop.timeout=2;", True, 2, 15), ("stop.timeout=0;", True, 0, 9)],
)
def test_sigterm_and_its_patience(timeout: str, stubborn: bool, seconds: float, signals: int) -> None:
    host = host_with(f"j {{ path=/j; persist; {timeout} }} k {{ path=/j; persist; }}")
    command(host, "jail -c")
    session = FakeSession(host, ("jail", "-v", "-r", "j"))

    async def forever() -> Exit:
        await session.sleep(1000)
        return Exit(0)

    async def scenario() -> tuple[float, list[FakeProcess]]:
        processes = [host.start(jid, forever()) for jid in (1, 1, 2)]
        for process in processes:
            process.stubborn = stubborn
        await session.sleep(0)
        await jail(session)  # type: ignore[arg-type]
        return session.monotonic(), processes

    passed, processes = run(scenario())
    assert passed == seconds
    assert [process.signals[:1] for process in processes] == [[signals], [signals], []]
    sent = "j: sent SIGTERM to: 5002 5001\n" if signals == 15 else ""
    assert session.screen.stdout == f"{sent}j: removed\n"


def test_a_limit_of_one_runs_jails_one_after_the_other() -> None:
    text = "path=/j; persist; exec.prestart='sleep 1', 'echo pre'; exec.start='sleep 1'; a { } b { } c { }"
    result = command(host_with(text), "jail -p1 -c")
    assert result.stdout == "pre\na: created\npre\nb: created\npre\nc: created\n"
    assert command(host_with(text), "jail -c").stdout == "pre\npre\npre\na: created\nb: created\nc: created\n"
    assert sorted(command(host_with(text), "jail -p2 -c").stdout.splitlines()) == sorted(result.stdout.splitlines())


def test_jails_stop_in_reverse_order() -> None:
    host = host_with("path=/j; persist; exec.poststop='sleep 1'; a { } b { } c { }")
    command(host, "jail -c")
    assert command(host, "jail -p1 -r '*'").stdout == "c: removed\nb: removed\na: removed\n"


def test_the_jid_goes_to_who_asks_for_it() -> None:
    host = host_with("j { path=/j; persist; jid=77; vnet; vnet.interface=em0; }")
    host.network.vnets[0].append("em0")
    result = command(host, "jail -i -c j")
    assert result.stdout == "77\n"
    assert lines(result)[-1] == "/sbin/ifconfig em0 vnet 77"


def test_modify_and_restart_by_what_differs() -> None:
    host = host_with("j { path=/j; persist; securelevel=1; }")
    command(host, "jail -c j")
    assert command(host, "jail -m j").stdout == "j: updated\n"
    host.files.add("/etc/jail.conf", "j { path=/j/a; persist; securelevel=1; }")
    assert command(host, "jail -m j").stderr == "jail: j: path cannot be changed after creation\n"
    assert command(host, "jail -mr j").stdout == "j: created\n"
    assert host.system().jail("j").path == "/j/a"
    assert command(host, "jail -cmr j").stdout == "j: updated\n"
    command(host, "jail -r j")
    assert command(host, "jail -mr j").stderr == 'jail: "j" not found\n'
    assert command(host, "jail -cmr j").stdout == "j: created\n"
    host.files.add("/etc/jail.conf", "j { path=/j/a; persist; securelevel=-1; allow.chflags=false; nopersist; }")
    assert command(host, "jail -m j").stdout == "j: updated\n"
    assert host.system().jails() == []


def test_a_refused_update() -> None:
    host = host_with("j { path=/j; persist; }")
    command(host, "jail -c j")
    host.driver.fails["changed"] = KernelError(Errno.EPERM)
    result = command(host, "jail -v -m j")
    assert result.stdout == "j: jail_set(JAIL_UPDATE) jid=1 name=j persist: Operation not permitted\n"
    assert result.stderr == "jail: j: jail_set: Operation not permitted\n"


def test_a_removal_that_is_forbidden() -> None:
    host = host_with("j { path=/j; persist; }")
    command(host, "jail -c j")
    host.driver.fails["kill"] = KernelError(Errno.EPERM)
    result = command(host, "jail -r j")
    assert (result.stderr, result.code) == ("jail: j: jail_remove: Operation not permitted\n", 1)


# --- paths ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ("path=/j/nosuch", "path /j/nosuch: No such file or directory"),
        ("path=/etc/passwd", "path /etc/passwd: Not a directory"),
        ("path=/etc/passwd/x", "path /etc/passwd/x: Not a directory"),
        ("path=j", "path j: not an absolute pathname"),
        ("path=/j; mount='/bin /j/lnk/x nullfs'", "mount: /j/lnk is a symbolic link"),
        ("path=/j; mount='/bin j/a nullfs'", "mount: j/a: not an absolute pathname"),
        ("path=/j; mount='/bin /j/nosuch nullfs'", "mount: /j/nosuch: No such file or directory"),
        ("mount.devfs", "mount.devfs: no jail root path defined"),
        ("path=/j; exec.start=true; exec.consolelog=log", "exec.consolelog: log: not an absolute pathname"),
        ("path=/j; exec.start=true; exec.consolelog=/j/lnk/log", "exec.consolelog: /j/lnk is a symbolic link"),
        ("path=/j; exec.start=true; exec.consolelog=/nosuch/log", "open /nosuch/log: No such file or directory"),
    ],
)
def test_paths_that_will_not_do(parameters: str, complaint: str) -> None:
    host = host_with(f"j {{ persist; {parameters}; }}")
    host.files.link("/j/lnk", "/etc")
    result = command(host, "jail -q -c j")
    assert (result.stderr, result.code) == (f"jail: j: {complaint}\n", 1)
    assert host.system().jails() == []


def test_links_outside_the_jails_root_do_not_matter() -> None:
    host = host_with("j { path=/j; persist; mount='/bin /lnk nullfs'; }")
    host.files.link("/lnk", "/tmp")
    assert command(host, "jail -c j").code == 0


def test_what_is_mounted_elsewhere_by_then() -> None:
    host = host_with("j { path=/j; persist; mount='/bin /j/a nullfs'; }")
    command(host, "jail -c j; umount /j/a; mount -t procfs . /j/a")
    assert command(host, "jail -r j").stderr == "jail: j: mount: /j/a: not a nullfs mount\n"


# --- how a command runs -----------------------------------------------------------------------------------------------


def started(result: Result, word: str) -> Process:
    return next(process for process in result.log if word in " ".join(process.argv[-1:]))


def test_clean_environments_of_host_and_jail() -> None:
    host = host_with("j { path=/j; persist; exec.clean; exec.prestart='echo pre'; exec.start='echo in'; }")
    result = command(host, ["jail", "-c", "j"], environ={"PATH": "/x", "SECRET": "1", "TERM": "vt100"})
    outside, inside = started(result, "pre"), started(result, "in")
    assert (outside.cwd, inside.cwd, inside.jid, outside.jid) == ("/root", "/", 1, 0)
    assert outside.environ == {
        "SHELL": "/bin/csh",
        "HOME": "/root",
        "USER": "root",
        "BLOCKSIZE": "K",
        "MAIL": "/var/mail/root",
        "MM_CHARSET": "UTF-8",
        "LANG": "C.UTF-8",
        "PATH": "/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/root/bin",
        "TERM": "vt100",
    }
    assert inside.environ is not None
    assert (inside.environ["HOME"], inside.environ["SHELL"]) == ("/", "/bin/sh")


def test_an_inherited_environment() -> None:
    host = host_with("j { path=/j; persist; exec.prestart='echo pre'; exec.start='echo in'; }")
    result = command(host, ["jail", "-c", "j"], environ={"PATH": "/x", "SECRET": "1"})
    for word in ("pre", "in"):
        assert started(result, word).environ == {"PATH": "/x", "SECRET": "1"}
        assert started(result, word).cwd is None


def test_users() -> None:
    host = host_with(
        "j { path=/j; persist; exec.system_user=operator; exec.jail_user=www;"
        " exec.prestart='echo pre'; exec.start='echo in'; vnet; vnet.interface=em0; }"
    )
    host.network.vnets[0].append("em0")
    result = command(host, ["jail", "-v", "-c", "j"])
    outside, inside = started(result, "pre").user, started(result, "in").user
    assert outside is not None
    assert inside is not None
    assert (outside.name, outside.uid, outside.groups) == ("operator", 2, (5,))
    assert (inside.name, inside.uid, inside.home) == ("www", 80, "/home/www")
    assert "j: run command as operator: echo pre\n" in result.stdout
    assert "j: run command in jail as www: echo in\n" in result.stdout
    # One of vjail's own commands runs in this process only as its user.
    assert any(process.user is not None for process in result.log if process.argv[0] == "/sbin/ifconfig")


@pytest.mark.parametrize(
    ("parameters", "complaint"),
    [
        ("exec.jail_user=nobody; exec.start=true", "nobody: no such user"),
        ("exec.system_user=nobody; exec.prestart=true", "nobody: no such user"),
        ("exec.jail_user=operator; exec.start=true", "operator: no such user"),
        ("exec.fib=1; exec.start=true", "setfib: Invalid argument"),
        ("exec.start=nosuch", "exec nosuch: No such file or directory"),
        ("exec.prestart=nosuch", "exec nosuch: No such file or directory"),
    ],
)
def test_commands_that_cannot_run(parameters: str, complaint: str) -> None:
    host = host_with(f"j {{ path=/j; persist; {parameters}; }}")
    result = command(host, "jail -q -c j")
    name = "nosuch" if "nosuch" in parameters else "true"
    assert result.stderr == f"jail: j: {complaint}\njail: j: {name}: failed\n"
    assert result.code == 1


def test_the_user_of_a_jails_command_may_be_the_hosts() -> None:
    host = host_with("j { path=/j; persist; exec.jail_user=operator; exec.system_jail_user; exec.start='echo in'; }")
    user = started(command(host, ["jail", "-c", "j"]), "in").user
    assert user is not None
    assert user.uid == 2


def test_a_missing_home_fails_a_clean_command() -> None:
    host = host_with("j { path=/j; persist; exec.clean; exec.start='echo in'; }")
    host.files.add("/j/etc/passwd", "root:*:0:0::/nohome:/bin/sh\n")
    result = command(host, "jail -q -c j")
    assert result.stderr == "jail: j: chdir /nohome: No such file or directory\njail: j: echo in: failed\n"
    newer = host_with("j { path=/j; persist; exec.clean; exec.start='echo in'; }", Release.V15)
    newer.files.add("/j/etc/passwd", "root:*:0:0::/nohome:/bin/sh\n")
    assert command(newer, "jail -q -c j").code == 0


def test_entering_may_be_refused() -> None:
    host = host_with("j { path=/j; persist; exec.start=true; }")
    result = command(host, ["jail", "-q", "-c", "j"], uid=1001)
    assert result.stderr == "jail: j: jail_attach: Operation not permitted\njail: j: true: failed\n"


def test_console_logs_take_the_output_of_the_jail() -> None:
    host = host_with(
        "j { path=/j; persist; exec.consolelog=/var/log/j.log; exec.prestart='echo pre';"
        " exec.start='echo one', 'ifconfig nosuch0 up'; }"
    )
    result = command(host, "jail -q -c j")
    assert (result.stdout, result.stderr) == ("pre\n", "jail: j: ifconfig nosuch0 up: failed\n")
    assert host.files.read("/var/log/j.log") == b"one\nifconfig: interface nosuch0 does not exist\n"


def test_background_commands_are_not_waited_for() -> None:
    host = host_with("j { path=/j; persist; exec.start='sleep 50 &', 'echo two'; }")
    session = FakeSession(host, ("jail", "-c", "j"))

    async def scenario() -> float:
        await jail(session)  # type: ignore[arg-type]
        return session.monotonic()

    assert run(scenario()) == 0
    assert session.screen.stdout == "j: created\ntwo\n"
    assert next(process for process in session.log if process.argv[0] == "sleep").detached


def test_release_15_tells_commands_about_their_jail() -> None:
    host = host_with(
        "j { path=/j; persist; exec.clean; exec.prestart='echo pre'; exec.created='echo made'; exec.prestop='echo end';"
        "exec.poststop='echo gone'; exec.release='echo over'; }",
        Release.V15,
    )
    result = command(host, ["jail", "-c", "j"])
    before, after = started(result, "pre").environ, started(result, "made").environ
    assert before is not None
    assert after is not None
    assert ("JID" in before, before["JNAME"], before["JPATH"], after["JID"]) == (False, "j", "/j", "1")
    result = command(host, ["jail", "-rc", "j"])
    told = {word: started(result, word).environ or {} for word in ("end", "gone", "over", "pre", "made")}
    assert {word: environ.get("JID") for word, environ in told.items()} == {
        "end": "1",
        "gone": "1",
        "over": "1",
        "pre": None,
        "made": "2",
    }


def test_release_15_moves_interfaces_by_jid() -> None:
    host = host_with("j { path=/j; persist; vnet; vnet.interface=em0; }", Release.V15)
    host.network.vnets[0].append("em0")
    assert lines(command(host, ["jail", "-c", "j"])) == ["/sbin/ifconfig em0 vnet 1"]


def test_release_15_attaches_datasets() -> None:
    host = host_with("j { path=/j; persist; zfs.dataset=tank/j; }", Release.V15)
    result = command(host, ["jail", "-c", "j"])
    assert result.log[-1].argv[:2] == ("sh", "-c")
    assert "/sbin/zfs jail 1 tank/j" in result.log[-1].argv[2]


def test_release_15_cleans_up_after_a_jail_that_has_gone() -> None:
    host = host_with("j { path=/j; mount.procfs; exec.stop='echo no'; exec.poststop='echo gone'; }", Release.V15)
    command(host, "mount -t procfs . /j/proc")
    result = command(host, ["jail", "-rC", "j"])
    assert lines(result) == ["echo gone", "/sbin/umount /j/proc"]
    assert {Step.REMOVE, Step.TERMINATE} <= BEFORE_REMOVAL


# --- records and events -----------------------------------------------------------------------------------------------


def test_records() -> None:
    host = host_with(
        'a { path=/j; persist; ip4.addr="em0|10.0.0.1/24", 10.0.0.2; mount.fstab=/f; }'
        " b { path=/j; persist; exec.prestart=false; }"
    )
    host.files.add("/f", "/bin /j/a nullfs # comment\n")
    host.network.vnets[0].append("em0")
    command(host, "jail -q -J /tmp/record -c")
    assert sorted(host.files.read("/tmp/record").decode().splitlines()) == [
        "jid=-1\tname=b\tpath=/j\tpersist\texec.prestart=false",
        "jid=1\tname=a\tpath=/j\tpersist\tip4.addr=10.0.0.1,10.0.0.2\tmount.fstab=/f"
        '\tip4.addr=em0|10.0.0.1/24\tmount.fstab="/bin /j/a nullfs "',
    ]


class Listener:
    def __init__(self) -> None:
        self.heard: list[Event] = []

    def tell(self, event: Event) -> None:
        self.heard.append(event)


def told(event: Event) -> tuple[str, str | None, str, str]:
    where = str(event.origins[0]) if event.origins else ""
    return event.action.value, event.phase.step.value if event.phase else None, event.state.value, where


def test_events_point_at_the_lines_of_the_file() -> None:
    host = host_with(
        'j {\n\tpath = "/j";\n\texec.prestart = "echo one",\n\t\t"echo two";\n\texec.start = "false";\n}\n'
    )
    listener = Listener()
    session = FakeSession(host, ("jail", "-q", "-c", "j"))
    run(jail(session, listener))  # type: ignore[arg-type]
    conf = "/etc/jail.conf"
    assert [told(event) for event in listener.heard] == [
        ("start", None, "started", f"{conf}:1:1"),
        ("start", "exec.prestart", "started", f"{conf}:3:18"),
        ("start", "exec.prestart", "finished", f"{conf}:3:18"),
        ("start", "exec.prestart", "started", f"{conf}:4:3"),
        ("start", "exec.prestart", "finished", f"{conf}:4:3"),
        ("start", "create", "started", f"{conf}:1:1"),
        ("start", "create", "finished", f"{conf}:1:1"),
        ("start", "exec.start", "started", f"{conf}:5:15"),
        ("start", "exec.start", "failed", f"{conf}:5:15"),
        ("undo", "create", "started", f"{conf}:1:1"),
        ("undo", "create", "finished", f"{conf}:1:1"),
        ("start", None, "failed", f"{conf}:1:1"),
    ]
    assert listener.heard[-4].text == "false: failed"
    assert isinstance(listener.heard[1].phase, Phase)


def test_every_jail_is_told_of_once_as_a_whole() -> None:
    host = host_with("path=/j; persist; a { } b { banana; } c { depend=b; } d { depend=nosuch; }")
    listener = Listener()
    run(jail(FakeSession(host, ("jail", "-q", "-c")), listener))  # type: ignore[arg-type]
    whole = {(event.jail, event.state) for event in listener.heard if event.phase is None}
    assert {("a", State.FINISHED), ("b", State.FAILED)} <= whole
    assert {event.action for event in listener.heard} == {Action.START}


def test_a_thousand_jails_take_ten_times_as_many_steps_as_a_hundred() -> None:
    def steps(count: int) -> int:
        blocks = "".join(f"j{number} {{ }} " for number in range(count))
        host = host_with(f"path=/j; persist; vnet; exec.prestart='ifconfig lo0'; {blocks}")
        listener = Listener()
        run(jail(FakeSession(host, ("jail", "-q", "-c")), listener))  # type: ignore[arg-type]
        run(jail(FakeSession(host, ("jail", "-q", "-r", "*")), listener))  # type: ignore[arg-type]
        return len(listener.heard) + len(host.driver.calls)

    assert steps(1000) == 10 * steps(100)
