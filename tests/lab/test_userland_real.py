"""A lab host and the bases of the documents' jails, mounted for real and entered: as root, and with one user id."""

import os
import time
from pathlib import Path

import pytest
from test_userland_needs import jails
from userland_support import isolated, run_inside, userland

import vjail.lab.userland as userland_package
from vjail.kernel.linux.syscalls import MACHINE, mount
from vjail.lab.userland import (
    Extent,
    KernelMounter,
    Natives,
    Source,
    Tree,
    loader_link,
    needs,
)
from vjail.lab.userland.makebase import Machine, make_base

pytestmark = pytest.mark.real

AS = [
    pytest.param(
        False, id="root", marks=[pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
    ),
    pytest.param(True, id="one id"),
]
EXTENTS = pytest.mark.parametrize("extent", list(Extent), ids=lambda extent: extent.value)
IDS = pytest.mark.parametrize("one_id", AS)


def host_for_a1(place: Path, extent: Extent, one_id: bool) -> Path:
    """A host whose jail.conf is that of row A1, and all its jails need."""
    (place / "root").mkdir()
    made = userland(place / "store", KernelMounter(), extent=extent, userxattr=one_id)
    root = str(place / "root")
    provided = made.provide_host(root)
    with Tree(root) as tree:
        plan = needs(jails("A1.jail.conf"), tree.kind)
    assert plan.obstacles == ()
    again = made.provide(root, plan)
    assert (provided.notes, again.notes) == ([], [])
    with Tree(root) as tree:
        assert needs(jails("A1.jail.conf"), tree.kind).roots == (), "now nothing is missing"
    return place / "root"


def bound(root: Path, jail: Path, directories: tuple[str, ...]) -> None:
    """Mount directories of A1's base into the jail's root."""
    for name in directories:
        (jail / name).mkdir(exist_ok=True)
        KernelMounter().bind(str(root / "home/jail/base" / name), str(jail / name), read_only=False)


@IDS
@EXTENTS
def test_a_host_and_a_base_are_entered(extent, one_id):
    def check(place: Path) -> None:
        root = host_for_a1(place, extent, one_id)
        for top in (root, root / "home/jail/base"):
            code, output = run_inside(top, "ls / && id && env")
            lines = output.splitlines()
            assert code == 0, output
            assert {"bin", "lib", "libexec", "sbin", "usr", "etc", "var", "root"} <= set(lines)
            assert any(line.startswith("uid=0(root) gid=0(wheel)") for line in lines), output
            assert "PATH=/sbin:/bin:/usr/sbin:/usr/bin" in lines

    isolated(check, one_id=one_id)


@IDS
@EXTENTS
def test_a_jail_with_only_the_printed_directories_runs_programs(extent, one_id):
    """As row A1 mounts them, without /lib64 and the like: the loader's place is added when the root is entered."""

    def check(place: Path) -> None:
        root = host_for_a1(place, extent, one_id)
        jail = root / "home/jail/jail_01"
        bound(root, jail, ("bin", "lib", "libexec", "sbin", "etc"))
        before = run_inside(jail, "true")
        fd = os.open(jail, os.O_PATH)
        link = loader_link(fd)
        os.close(fd)
        assert (link is None) == (before[0] == 0)
        code, output = run_inside(
            jail, "ls / && expr 6 '*' 7 && cat /etc/motd && sh -c 'kill -0 $$' && date +%Y && bash -c 'echo $0'"
        )
        assert code == 0, output
        lines = output.splitlines()
        assert "42" in lines
        assert "bash" in lines
        assert set(lines) >= {"bin", "dev", "etc", "home", "lib", "libexec", "root", "sbin", "tmp", "usr", "var"}
        bound(root, jail, ("usr",))
        code, output = run_inside(jail, "id && env && awk 'BEGIN { print 6 * 7 }' && vi --version >/dev/null; echo $?")
        assert code == 0, output
        assert "42" in output.splitlines()

    isolated(check, one_id=one_id)


@IDS
def test_the_machines_usr_is_there_and_may_be_changed_without_harm(one_id):
    def check(place: Path) -> None:
        root = host_for_a1(place, Extent.WHOLE, one_id)
        machine = set(os.listdir("/usr/bin"))
        assert machine <= set(os.listdir(root / "usr/bin"))
        script = """
            cd /usr && touch mine bin/mine sbin/mine share/mine local/mine src/mine ports/mine lib/mine &&
            rm bin/awk && mkdir -p local/jails/test1 obj/x && ! test -e bin/awk && echo changed"""
        code, output = run_inside(root, script)
        assert (code, output) == (0, "changed\n")
        assert (root / "home/jail/base/usr/bin/awk").is_symlink() or (root / "home/jail/base/usr/bin/awk").exists()
        assert not (root / "home/jail/base/usr/mine").exists(), "a base's /usr is its own"
        assert set(os.listdir("/usr/bin")) == machine

    isolated(check, one_id=one_id)


@IDS
def test_paths_with_every_character_that_options_use(one_id):
    """overlayfs takes its directories in one text, with `,` and `:` between them."""

    def check(place: Path) -> None:
        place = place / "a,b:c\\d=e f"
        place.mkdir()
        host_for_a1(place, Extent.WHOLE, one_id)

    isolated(check, one_id=one_id)


@IDS
def test_world_and_distribution_make_a_jails_base(one_id):
    """Documents 1, 2 and 5: make installworld and distribution with DESTDIR; document 3: mergemaster."""

    def check(place: Path) -> None:
        root = host_for_a1(place, Extent.WHOLE, one_id)
        script = """
            cd /usr/src && make -j 4 buildworld >/dev/null && mkdir -p /home/jail/base2 &&
            make installworld DESTDIR=/home/jail/base2 && make distribution DESTDIR=/home/jail/base2 &&
            make -j 4 buildkernel KERNCONF=GENERIC >/dev/null && make installkernel >/dev/null && echo made"""
        code, output = run_inside(root, script)
        assert (code, output) == (0, "made\n")
        code, output = run_inside(
            root / "home/jail/base2", "id && ls /etc/rc /etc/ssl/certs /usr/sbin/jail /var/run >/dev/null"
        )
        assert code == 0, output
        assert (root / "home/jail/base2/sbin/ifconfig").read_bytes() == (root / "sbin/ifconfig").read_bytes()
        (root / "jails/serverA/etc").mkdir(parents=True)
        (root / "jails/serverA/etc/motd").write_text("mine\n")
        code, output = run_inside(root, "mergemaster -U -i -d /jails/serverA")
        assert code == 0, output
        lines = output.splitlines()
        assert lines[0].startswith("mergemaster: /jails/serverA follows no -D: "), "a slip of the document's"
        assert lines[2] == "*** Installed in /jails/serverA:"
        assert {"/etc/rc", "/etc/passwd", "/etc/defaults/rc.conf", "/root/.profile"} <= set(lines)
        assert lines[-3:-1] == ["*** Different in /jails/serverA, and left as they are:", "/etc/motd"]
        assert lines[-1].startswith("mergemaster: /jails/serverA has no programs yet: ")
        (root / "jails/serverA/etc/passwd").unlink()
        code, output = run_inside(root, "mergemaster -iFU -D /jails/serverA/ 2>/dev/null")
        assert (code, output.splitlines()[:2]) == (0, ["*** Installed in /jails/serverA:", "/etc/passwd"])
        assert run_inside(root, "mergemaster -i")[0] == 1
        assert (root / "jails/serverA/etc/passwd").read_text() == (root / "etc/passwd").read_text()
        assert (root / "jails/serverA/etc/motd").read_text() == "mine\n"
        # Where the machine has no make, a script stands in for it.
        (root / "tmp/make").write_bytes((Path(userland_package.__file__).parent / "instead/usr/bin/make").read_bytes())
        for make in ("make", "sh /tmp/make"):
            code, output = run_inside(root, f"{make} -C /usr/src buildkernel KERNCONF=OTHER")
            assert code != 0
            assert "no kernel configuration file /usr/src/sys/amd64/conf/OTHER" in output
        script = "cd /usr/src && sh /tmp/make -j 4 installworld distribution DESTDIR=/home/jail/base3"
        assert run_inside(root, script) == (0, "")
        assert (root / "home/jail/base3/bin/sh").exists()
        assert (root / "home/jail/base3/etc/rc").exists()
        assert run_inside(root, "sh /tmp/make")[0] == 2

    isolated(check, one_id=one_id)


def test_the_recording_s_own_way_to_a_base_works_with_a_small_usr():
    """The first line of tests/data/freebsd-13.2/replay/documents-A1.txt."""

    def check(place: Path) -> None:
        root = place / "root"
        root.mkdir()
        userland(place / "store", KernelMounter(), extent=Extent.SMALL, userxattr=True).provide_host(str(root))
        KernelMounter().bind("/proc", str(root / "proc"), read_only=True)
        recorded = (Path(__file__).parent.parent / "data/freebsd-13.2/replay/documents-A1.txt").read_text()
        assert run_inside(root, recorded.splitlines()[0].removeprefix("# ")) == (0, "")
        base = root / "home/jail/base"
        fd = os.open(base, os.O_PATH)
        loader_link(fd)
        os.close(fd)
        code, output = run_inside(base, "id && awk 'BEGIN { print 6 * 7 }'")
        assert code == 0, output
        assert output.splitlines()[-1] == "42"

    isolated(check, one_id=True)


def test_login_gives_roots_shell():
    def check(place: Path) -> None:
        root = host_for_a1(place, Extent.WHOLE, True)
        code, output = run_inside(root, "echo 'pwd; echo $HOME $USER $SHELL $LOGNAME; echo $0' | login -f root")
        assert code == 0, output
        lines = output.splitlines()
        assert lines[0] == (root / "etc/motd").read_text().strip()
        assert lines[-3:-1] == ["/root", "/root root /bin/sh root"]
        code, output = run_inside(root, "login -f nobody2")
        assert (code, output) == (1, "login: nobody2: no such user\n")
        assert run_inside(root, "login root") == (1, "usage: login [-p] -f user\n")
        if Source.machine().program("csh") is None:
            assert run_inside(root, "csh -c 'echo it is sh'") == (0, "it is sh\n")
        assert run_inside(root, "sudo echo as root") == (0, "as root\n")

    isolated(check, one_id=True)


@IDS
def test_bases_are_quick_and_take_no_room(one_id):
    """A thousand jails with bases of their own must not cost a thousand copies."""

    def check(place: Path) -> None:
        (place / "root").mkdir()
        made = userland(place / "store", KernelMounter(), userxattr=one_id)
        made.provide_host(str(place / "root"))
        made.provide_base(str(place / "root"), "/jails/first")
        used = os.statvfs(place)
        began = time.process_time()
        for n in range(50):
            provided = made.provide_base(str(place / "root"), f"/jails/j{n}")
            assert len(provided.mounts) == 2
        took = time.process_time() - began
        now = os.statvfs(place)
        assert took / 50 < 0.03, f"{took / 50:.4f} s each"
        assert (used.f_bfree - now.f_bfree) * now.f_bsize / 50 < 64 << 10
        code, output = run_inside(place / "root/jails/j49", "echo mine >/bin/mine && cat /bin/mine && id -u")
        assert (code, output) == (0, "mine\n0\n")
        assert not (place / "root/jails/j48/bin/mine").exists()

    isolated(check, one_id=one_id)


@IDS
def test_a_base_below_usr(one_id):
    """Document 5 makes its jails in /usr/local/jails, which is inside an overlay."""

    def check(place: Path) -> None:
        root = host_for_a1(place, Extent.WHOLE, one_id)
        made = userland(place / "store", KernelMounter(), userxattr=one_id)
        provided = made.provide_base(str(root), "/usr/local/jails/test1")
        assert (provided.mounts, provided.notes) == (["/usr/local/jails/test1", "/usr/local/jails/test1/usr"], [])
        code, output = run_inside(root / "usr/local/jails/test1", "id && touch /usr/mine /etc/mine && ls /usr/bin/awk")
        assert code == 0, output
        assert not (root / "usr/mine").exists()

    isolated(check, one_id=one_id)


@IDS
def test_a_base_keeps_what_lies_there_already(one_id):
    """A host's own files may hold a jail's configuration, in /etc and in /usr/local."""

    def check(place: Path) -> None:
        root = host_for_a1(place, Extent.WHOLE, one_id)
        for name in ("etc/rc.conf", "usr/local/etc/daemon.conf", "var/db/mine"):
            (root / "jails/r1" / name).parent.mkdir(parents=True, exist_ok=True)
            (root / "jails/r1" / name).write_text(f"{name}\n")
        userland(place / "store", KernelMounter(), userxattr=one_id).provide_base(str(root), "/jails/r1")
        code, output = run_inside(
            root / "jails/r1", "cat /etc/rc.conf /usr/local/etc/daemon.conf /var/db/mine && ls /usr/bin/awk"
        )
        assert (code, output) == (0, "etc/rc.conf\nusr/local/etc/daemon.conf\nvar/db/mine\n/usr/bin/awk\n")

    isolated(check, one_id=one_id)


@IDS
def test_the_usr_of_another_tree(one_id):
    """`userland: PATH`: here a base that was made of this machine and changed."""

    def check(place: Path) -> None:
        make_base(str(place / "other"), Machine.SMALL, machine=MACHINE, natives=Natives.shipped(MACHINE))
        (place / "other/usr/bin/only-there").write_text("#!/bin/sh\necho only there\n")
        (place / "other/usr/bin/only-there").chmod(0o755)
        (place / "root").mkdir()
        source = Source.at(str(place / "other"))
        made = userland(place / "store", KernelMounter(), source=source, userxattr=one_id)
        provided = made.provide_host(str(place / "root"))
        assert (provided.mounts, provided.notes) == (["/usr"], [])
        code, output = run_inside(place / "root", "only-there && id && test ! -e /usr/bin/python3")
        assert code == 0, output
        assert output.startswith("only there\n")

    isolated(check, one_id=one_id)


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount something in /usr first")
def test_without_root_a_usr_with_a_mount_in_it_comes_in_pieces():
    """As on WSL, or in a container that was given a file of its host's: such a /usr cannot be overlaid as a whole."""

    def prepare() -> None:
        mount("tmpfs", "/usr/lib/locale", "tmpfs", 0, "mode=755")
        Path("/usr/lib/locale/there").touch()

    def check(place: Path) -> None:
        (place / "root").mkdir()
        made = userland(place / "store", KernelMounter(), userxattr=True)
        provided = made.provide_host(str(place / "root"))
        assert len(provided.notes) == 1
        assert provided.notes[0].startswith("/usr: the kernel refuses an overlay of /usr (Invalid argument); ")
        assert {"/usr/bin", "/usr/lib", "/usr/share"} <= set(provided.mounts)
        script = """
            id && test -e /usr/lib/locale/there && touch /usr/bin/mine /usr/local/mine /usr/share/mine &&
            vi --version && ! touch /usr/lib/mine"""
        code, output = run_inside(place / "root", script)
        assert code == 0, output
        again = made.provide_base(str(place / "root"), "/jails/j")
        assert "/jails/j/usr/lib" in again.mounts
        code, output = run_inside(
            place / "root/jails/j", "id && test -e /usr/lib/locale/there && ! test -e /usr/local/mine"
        )
        assert code == 0, output

    isolated(check, one_id=True, prepare=prepare)
