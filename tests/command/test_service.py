"""service(8): lists, order, and whom it hands the words to."""

from __future__ import annotations

import pytest
from rchost import RcHost

from vjail.command.rc.order import Node, ordered, read_header

WEB = """\
#!/bin/sh
# PROVIDE: web
# REQUIRE: LOGIN database
# KEYWORD: shutdown
. /etc/rc.subr
name=web
rcvar=web_enable
load_rc_config $name
run_rc_command "$1"
"""
DATABASE = """\
#!/bin/sh

# PROVIDE: database sql
# BEFORE: cron

name="database"
rcvar="${name}_enable"
"""
RC_D = "/usr/local/etc/rc.d"


def host(rc_conf: str = "") -> RcHost:
    made = RcHost(rc_conf)
    made.files.put(f"{RC_D}/web", WEB, mode=0o755)
    made.files.put(f"{RC_D}/database", DATABASE, mode=0o755)
    made.files.put(f"{RC_D}/web.sample", WEB, mode=0o755)
    made.files.put(f"{RC_D}/notes", "no script", mode=0o755)
    made.files.put(f"{RC_D}/off", WEB.replace("web", "off"), mode=0o644)
    return made


def answer(made: RcHost, line: str) -> tuple[int, str, str]:
    code = made.typed(line)
    return code, made.session.output, made.session.errors


# --- whom it asks ----------------------------------------------------------------------------------------------------


def test_a_script_answered_here() -> None:
    made = host()
    assert answer(made, "service syslogd describe") == (0, "System log daemon\n", "")
    assert made.session.started == []
    assert answer(made, "service -v syslogd describe")[1] == "syslogd is located in /etc/rc.d\nSystem log daemon\n"


def test_a_script_of_a_package_is_run_by_sh() -> None:
    made = host()
    assert answer(made, "service web onestart now") == (0, "", "")
    process = made.session.started[0]
    assert process.argv == ("/bin/sh", f"{RC_D}/web", "onestart", "now")
    assert process.environ == {"HOME": "/", "PATH": "/sbin:/bin:/usr/sbin:/usr/bin"}
    assert answer(made, "service -v web start")[1] == f"web is located in {RC_D}\n"
    made.results["/bin/sh", f"{RC_D}/web", "status"] = 3
    assert made.typed("service web status") == 3


@pytest.mark.parametrize("name", ["nothing", "off"])
def test_no_such_script(name: str) -> None:
    assert answer(host(), f"service {name} start") == (
        1,
        f"{name} does not exist in /etc/rc.d or the local startup\n"
        "directories (/usr/local/etc/rc.d), or is not executable\n",
        "",
    )


def test_one_of_a_directory_that_rc_conf_adds() -> None:
    made = RcHost('local_startup="/opt/rc.d"')
    made.files.put("/opt/rc.d/thing", "", mode=0o755)
    made.typed("service thing start")
    assert made.session.started[0].argv == ("/bin/sh", "/opt/rc.d/thing", "start")


def test_in_a_jail() -> None:
    made = host()
    made.typed("service -j serverA -v web start")
    assert made.session.calls == [("/usr/sbin/jexec", "-l", "serverA", "/usr/sbin/service", "-v", "web", "start")]


def test_usage() -> None:
    code, out, err = answer(host(), "service web")
    assert (code, err) == (1, "")
    assert out.startswith("\nUsage:\nservice [-j <jail name or id>] -e\n")
    assert answer(host(), "service -h") == (0, out, "")
    assert answer(host(), "service -x") == (1, out, "Illegal option -x\n")
    assert answer(host(), "service -j") == (1, out, "No arg for -j option\n")


# --- lists -----------------------------------------------------------------------------------------------------------


def test_every_script() -> None:
    code, out, _ = answer(host(), "service -l")
    names = out.splitlines()
    assert code == 0
    assert {"netif", "routing", "hostid", "jail", "devfs", "web", "database"} <= set(names)
    assert answer(host(), "service -v -l")[1].splitlines()[0] == "From /etc/rc.d:"


def test_the_order_of_a_boot() -> None:
    paths = answer(host(), "service -r")[1].splitlines()
    own = [path.removeprefix("/etc/rc.d/") for path in paths if path.startswith("/etc/rc.d/")]
    place = {path.rsplit("/", 1)[-1]: at for at, path in enumerate(paths)}
    assert own.index("hostid") < own.index("netif") < own.index("routing") < own.index("syslogd") < own.index("jail")
    assert place["database"] < place["cron"]
    assert place["database"] < place["web"]
    assert place["syslogd"] < place["web"]
    assert "web.sample" not in place
    assert "notes" not in place
    assert "off" not in place


def test_what_is_enabled() -> None:
    made = host("web_enable=YES\ndatabase_enable=YES\nsyslogd_enable=NO\njail_enable=YES\ncron_enable=NO")
    enabled = answer(made, "service -e")[1].splitlines()
    assert {f"{RC_D}/web", f"{RC_D}/database", "/etc/rc.d/jail", "/etc/rc.d/netif"} <= set(enabled)
    assert not {"/etc/rc.d/syslogd", "/etc/rc.d/cron", "/etc/rc.d/routing"} & set(enabled)
    assert enabled.index(f"{RC_D}/database") < enabled.index(f"{RC_D}/web")


def test_restarting_what_packages_brought() -> None:
    made = host("web_enable=YES\ndatabase_enable=YES")
    made.typed("service -R")
    assert [process.argv[1:] for process in made.session.started] == [
        (f"{RC_D}/web", "stop"),
        (f"{RC_D}/database", "stop"),
        (f"{RC_D}/database", "start"),
        (f"{RC_D}/web", "start"),
    ]


def test_a_service_s_own_file_enables_it() -> None:
    made = host()
    made.files.put("/etc/rc.conf.d/web", "web_enable=YES\n")
    assert f"{RC_D}/web" in answer(made, "service -e")[1]


# --- rcorder ---------------------------------------------------------------------------------------------------------


def paths(nodes: list[Node]) -> list[str]:
    return [node.path for node in ordered(nodes)]


def test_order_of_requirements() -> None:
    a = Node("a", ("a",), ("c", "nobody"))
    b = Node("b", ("b",))
    c = Node("c", ("c", "see"), before=("b",))
    assert paths([a, b, c]) == ["c", "a", "b"]
    assert paths([b, a]) == ["b", "a"]
    assert paths([Node("x", ("x",), ("see",)), c]) == ["c", "x"]


def test_a_circle_is_cut() -> None:
    assert sorted(paths([Node("a", ("a",), ("b",)), Node("b", ("b",), ("a",))])) == ["a", "b"]


def test_what_a_script_says_of_itself() -> None:
    assert read_header("/x/web", WEB) == Node("/x/web", ("web",), ("LOGIN", "database"), (), ("shutdown",))
    assert read_header("/x/d", DATABASE) == Node("/x/d", ("database", "sql"), (), ("cron",))
    assert read_header("/x/bare", "echo\n") == Node("/x/bare", ("bare",))
