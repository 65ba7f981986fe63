"""What a lab host must provide for the jails of the documents, and for others."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from vjail.lab.userland import Directory, JailFiles, Kind, Obstacle, Part, Root, needs
from vjail.lab.userland.skeleton import EVERYTHING

DOCUMENTS = Path(__file__).parent.parent / "data/documents"
HOST = ("/home", "/usr", "/usr/ports", "/usr/ports/distfiles", "/usr/local", "/bin", "/etc", "/var/log")
"""What every host has, as far as it matters here."""


def jails(document: str) -> list[JailFiles]:
    """The jails of a document, as FreeBSD's parser resolved them."""
    for line in (DOCUMENTS / "parsed.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["document"] == document:
            return [_jail(jail) for jail in record["13"]["jails"]]
    raise AssertionError(document)


def _jail(jail: dict) -> JailFiles:
    parameters = dict(jail["params"])
    return JailFiles(
        jail["jail"],
        parameters.get("path", ["/"])[0],
        tuple(parameters.get("mount", ())),
        devfs="mount.devfs" in parameters,
        fdescfs="mount.fdescfs" in parameters,
        procfs="mount.procfs" in parameters,
    )


def there(*directories: str, files: Iterable[str] = ()):
    """A host's tree with its usual directories, these, and the directories above them."""
    all_of_them = {"/"}
    for path in (*HOST, *directories):
        all_of_them.update("/" + "/".join(path.split("/")[1:n]) for n in range(2, path.count("/") + 2))
    return lambda path: Kind.OTHER if path in files else Kind.DIRECTORY if path in all_of_them else None


@pytest.mark.parametrize("document", ["A1.jail.conf", "B.jail.conf"])
def test_the_base_that_two_jails_share(document):
    """Rows A1 and B: the base, the private distfiles, and in each jail's root the mount points of the text."""
    plan = needs(jails(document), there())
    assert plan.roots == (Root("/home/jail/base", EVERYTHING),)
    made = {d.path: d.mode for d in plan.directories}
    assert made == {
        "/home/jail/rw/distfiles": 0o755,
        "/home/jail/base/usr/ports": 0o755,
        **{
            f"/home/jail/jail_0{n}/{name}": {"dev": 0o555, "tmp": 0o1777}.get(name, 0o755)
            for n in (1, 2)
            for name in ("bin", "dev", "etc", "home", "lib", "libexec", "root", "sbin", "tmp", "usr", "var")
        },
    }
    assert (plan.files, plan.obstacles) == ((), ())


@pytest.mark.parametrize("document", ["C1.jail.conf", "C2.jail.conf"])
def test_a_server_that_became_a_jail(document):
    """Rows C1 and C2: nothing is mounted into the jail's root, so it is a base of its own."""
    plan = needs(jails(document), there())
    assert plan.roots == (Root("/jails/serverA", EVERYTHING),)
    assert (plan.directories, plan.files, plan.obstacles) == ((), (), ())


@pytest.mark.parametrize("document", ["D-first.jail.conf", "D-second.jail.conf", "D-final.jail.conf"])
def test_a_jail_in_the_hosts_own_root_needs_nothing(document):
    assert needs(jails(document), there()) == needs([], there())


def test_directories_of_the_host_mounted_into_a_jail():
    """As row E1 was recorded: bin … usr and etc are the host's; var and root are the jail's own."""
    lines = [
        f"/{name} /usr/local/jails/test1/{name} nullfs ro 0 0" for name in ("bin", "sbin", "lib", "libexec", "usr")
    ]
    kind = there("/sbin", "/lib", "/libexec")
    plan = needs([JailFiles("test1", "/usr/local/jails/test1", tuple(lines), devfs=True)], kind)
    assert plan.roots == (Root("/usr/local/jails/test1", frozenset({Part.ETC, Part.VAR, Part.ROOT})),)
    with_etc = (*lines, "/etc /usr/local/jails/test1/etc nullfs ro 0 0")
    plan = needs([JailFiles("test1", "/usr/local/jails/test1", with_etc, devfs=True)], kind)
    assert plan.roots == (Root("/usr/local/jails/test1", frozenset({Part.VAR, Part.ROOT})),)


def test_nothing_is_made_where_the_user_provides_it():
    provided = there(
        *(f"/home/jail/base/{part.value}" for part in Part),
        *(f"/home/jail/jail_0{n}/{name}" for n in (1, 2) for name in ("dev", "tmp", *(part.value for part in Part))),
        "/home/jail/base/usr/ports",
        "/home/jail/rw/distfiles",
    )
    assert needs(jails("A1.jail.conf"), provided) == needs([], provided)


def test_a_base_of_which_the_user_gives_some_configuration_is_made_around_it():
    plan = needs(jails("A1.jail.conf"), there("/home/jail/base/etc", "/home/jail/base/usr/local/etc"))
    assert plan.roots == (Root("/home/jail/base", EVERYTHING),)


def test_a_jail_of_which_the_user_gives_some_configuration_is_made_around_it():
    plan = needs(jails("C2.jail.conf"), there("/jails/serverA/etc"))
    assert plan.roots == (Root("/jails/serverA", EVERYTHING),)


def test_a_root_with_programs_of_the_users_is_the_users():
    plan = needs(jails("C2.jail.conf"), there("/jails/serverA/bin", "/jails/serverA/lib", "/jails/serverA/dev"))
    assert plan == needs([], there())


@pytest.mark.parametrize(
    ("source", "roots", "directories"),
    [
        ("/data/www", (), ("/data/www",)),
        ("/data/bin", (Root("/data", EVERYTHING),), ()),
        ("/data/usr/local", (Root("/data", EVERYTHING),), ("/data/usr/local",)),
        ("/data/etc", (Root("/data", frozenset({Part.ETC})),), ()),
        ("/data/var/db/x", (Root("/data", frozenset({Part.VAR})),), ("/data/var/db/x",)),
        ("/usr", (), ()),
        ("/bin/x", (), ("/bin/x",)),
    ],
)
def test_what_a_missing_source_becomes(source, roots, directories):
    jail = JailFiles("j", "/jails/j", (f"{source} /jails/j/mnt nullfs rw 0 0",))
    kind = there("/jails/j/bin", "/jails/j/lib", "/jails/j/mnt")
    plan = needs([jail], kind)
    assert plan.roots == roots
    assert tuple(d.path for d in plan.directories) == directories


def test_a_base_mounted_as_a_jails_whole_root():
    jail = JailFiles("thin", "/jails/thin", ("/jails/base /jails/thin nullfs ro 0 0",), devfs=True)
    plan = needs([jail], there())
    assert plan.roots == (Root("/jails/base", EVERYTHING),)
    assert plan.directories == (Directory("/jails/thin"),)


def test_mount_points_are_made_where_they_are_looked_for():
    """Below a nullfs in its source, below another file system not at all."""
    lines = (
        "/jails/base/usr /jails/j/usr nullfs ro 0 0",
        "/jails/base/bin /jails/j/bin nullfs ro 0 0",
        "/packages /jails/j/usr/ports/packages nullfs rw 0 0",
        "tmpfs /jails/j/tmp tmpfs rw 0 0",
        "/data /jails/j/tmp/data nullfs rw 0 0",
        r"/data\040two /jails/j/mnt/with\040space nullfs rw 0 0",
    )
    plan = needs([JailFiles("j", "/jails/j", lines, devfs=True, fdescfs=True, procfs=True)], there("/data"))
    made = [d.path for d in plan.directories]
    assert "/jails/base/usr/ports/packages" in made
    assert "/packages" in made
    assert "/jails/j/tmp/data" not in made
    assert "/jails/j/dev/fd" not in made
    assert {"/jails/j/dev", "/jails/j/proc", "/jails/j/mnt/with space", "/data two"} <= set(made)


def test_fdescfs_lies_in_a_devfs_only():
    """Spec jail-lifecycle §4: a base's /dev is empty, and jail(8) looks for dev/fd below the jail's path."""
    plan = needs([JailFiles("j", "/jails/j", (), fdescfs=True)], there())
    assert "/jails/j/dev/fd" not in [made.path for made in plan.directories]


def test_a_mount_point_behind_two_mounts():
    lines = (
        "/real /jails/j/a nullfs rw 0 0",
        "/jails/j/a/sub /jails/j/b nullfs rw 0 0",
        "/data /jails/j/b/c nullfs rw 0 0",
    )
    kind = there("/real/sub", "/data", "/jails/j/bin", "/jails/j/lib", "/jails/j/a", "/jails/j/a/sub", "/jails/j/b")
    assert needs([JailFiles("j", "/jails/j", lines)], kind).directories == (Directory("/real/sub/c"),)


def test_a_file_mounted_on_a_file_needs_a_file():
    jail = JailFiles("j", "/jails/j", ("/etc/hosts /jails/j/etc/hosts2 nullfs ro 0 0",))
    plan = needs([jail], there("/jails/j/bin", "/jails/j/lib", "/jails/j/etc", files=["/etc/hosts"]))
    assert plan.files == ("/jails/j/etc/hosts2",)
    assert plan.directories == ()


@pytest.mark.parametrize(
    ("file", "path"),
    [("/jails", "/jails"), ("/jails/j", "/jails/j"), ("/base", "/base"), ("/jails/j/etc", "/jails/j/etc")],
)
def test_a_file_where_a_directory_must_be_is_an_obstacle(file, path):
    jail = JailFiles("j", "/jails/j", ("/base/etc /jails/j/etc nullfs ro 0 0",))
    kind = there(*([] if file in ("/jails", "/jails/j") else ["/jails/j/bin", "/jails/j/lib"]), files=[file])
    plan = needs([jail], kind)
    assert [(o.jail, o.path) for o in plan.obstacles] == [("j", path)]
    assert plan.obstacles[0].text.startswith("is a file, and must be a directory: ")


def test_outer_roots_come_before_inner_ones():
    plan = needs([JailFiles("b", "/jails/a/jails/b"), JailFiles("a", "/jails/a")], there())
    assert [root.path for root in plan.roots] == ["/jails/a", "/jails/a/jails/b"]


@pytest.mark.parametrize("path", ["/", "//", "relative", ""])
def test_paths_that_are_not_a_jails_own_need_nothing(path):
    assert needs([JailFiles("j", path, ("/x /y nullfs", "too short"))], there()) == needs([], there())


def test_a_line_jail_will_refuse_is_left_to_it():
    plan = needs(
        [JailFiles("j", "/jails/j", ("/a", "/b relative nullfs rw 0 0", ""))], there("/jails/j/bin", "/jails/j/lib")
    )
    assert plan == needs([], there())


def test_obstacle_is_reported_once():
    jail = JailFiles("j", "/jails/j")
    assert needs([jail, jail], there(files=["/jails"])).obstacles == (
        Obstacle("j", "/jails", "is a file, and must be a directory: it is the jail's root"),
    )


def test_the_directory_of_a_log():
    log = "/var/log/bastille/a_console.log"
    assert needs([JailFiles("a", "/", log=log)], there()).directories == (Directory("/var/log/bastille"),)
    assert needs([JailFiles("a", "/", log="/var/log/a.log")], there()).directories == ()
