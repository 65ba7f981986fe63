"""A jail's life with real processes: each phase of jail(8), what it is given, what takes it back, how it ends.

The transcripts follow FreeBSD 13.2's usr.sbin/jail and its recordings in tests/data/freebsd-13.2.
"""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from sandbox import Sandbox
from typed import LAB, make, retyped, transcript

pytestmark = pytest.mark.real

RECORDED = Path(__file__).parents[1] / "data" / "freebsd-13.2" / "observed" / "b3_jail_v_order.txt"
ROOT = 'j { path = "/j/e"; }\n'
"""Nothing is started by `up --no-jails`, but the lab has a base at the path."""


def up(box: Sandbox, **files: str) -> None:
    """A lab with a base at /j/e, no jail running, and each file as /t/NAME.conf."""
    make(box, {"jail.conf": ROOT} | {f"files/t/{name}.conf": text for name, text in files.items()})
    assert box.vjail("up", "--no-jails", LAB).code == 0


def down(box: Sandbox) -> None:
    """Nothing of a jail is left when the last one has stopped, and the lab goes."""
    assert box.shell("jls -d jid; mount; ifconfig -l", LAB).out == (
        "/dev/vtbd0p2 on / (ufs, local, noatime)\ndevfs on /dev (devfs)\nvtnet0 lo0\n"
    )
    assert box.vjail("down", LAB).code == 0


def test_every_phase_in_the_recorded_order(box: Sandbox) -> None:
    """observed/b3_jail_v_order.txt, typed again; this host has no pflog0 and no second card, and Linux's wc."""
    text = RECORDED.read_text()
    conf = re.search(r"--- /etc/jail-v.conf ---\n(.*?)--- end", text, re.S)
    session = re.search(r"^# jail -v .*?(?=\n=== stdout)", text, re.S | re.M)
    assert conf is not None
    assert session is not None
    expected = re.sub(r"\[exit 0\]\n\n?| pflog0| vtnet1| 2>&1", "", session[0] + "\n")
    expected = re.sub(r"^ +(\d)$", r"\1", expected, flags=re.M).replace("    21 ", "     1 ").replace("jid=21", "jid=1")
    fstab = "/rescue.d /j/v/mnt nullfs ro 0 0\n"
    files = {"jail.conf": conf[1], "files/etc/jail-v.conf": conf[1], "files/tmp/v.fstab": fstab}
    make(box, {**files, "files/rescue.d/README": "", "files/j/v/mnt/README": ""})
    assert box.vjail("up", "--no-jails", LAB).code == 0
    retyped(box, expected)
    down(box)


ENVIRONMENT = """
path = /j/e; persist;
clean { exec.clean; exec.prestart = "env; pwd"; exec.start = "env; pwd; id -u"; exec.poststop = "env"; }
dirty { exec.prestart = 'echo $WORD; pwd'; exec.start = 'echo $WORD; pwd'; exec.stop = 'echo $WORD'; }
nouser { exec.jail_user = nobody-knows; exec.start = "id"; }
nosystem { exec.system_user = nobody-knows; exec.prestart = "id"; }
self {
    exec.system_user = root; exec.prestart = "id -u"; exec.jail_user = root; exec.start = 'id -u; echo $USER $HOME';
}
"""
CLEAN = """\
SHELL=/bin/sh
HOME=/root
USER=root
BLOCKSIZE=K
MAIL=/var/mail/root
MM_CHARSET=UTF-8
LANG=C.UTF-8
PATH=/sbin:/bin:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/root/bin
TERM=vt100
"""


def test_environment_and_directory(box: Sandbox) -> None:
    up(box, env=ENVIRONMENT)
    clean = re.sub("^TERM", "PWD=/root\nTERM", CLEAN, flags=re.M)
    answers = transcript(
        box,
        "# cd /var; WORD=hello TERM=vt100 jail -f /t/env.conf -c clean\n"
        "# cd /var; WORD=hello TERM=vt100 jail -f /t/env.conf -r clean\n",
    )
    # A shell between adds PWD, and has an order of its own; exec.poststop needs none.
    assert sorted(answers.splitlines()) == sorted(
        (
            "# cd /var; WORD=hello TERM=vt100 jail -f /t/env.conf -c clean\n"
            f"{clean}/root\nclean: created\n{clean}/root\n0\n"
            "# cd /var; WORD=hello TERM=vt100 jail -f /t/env.conf -r clean\n"
            f"clean: removed\n{CLEAN}"
        ).splitlines()
    )
    retyped(
        box,
        """\
# cd /var; WORD=hello jail -f /t/env.conf -c dirty
hello
/var
dirty: created
hello
/
# WORD=other jail -f /t/env.conf -r dirty
other
dirty: removed
# jail -f /t/env.conf -c nouser
nouser: created
jail: nouser: nobody-knows: no such user
jail: nouser: id: failed
nouser: removed
[exit 1]
# jail -f /t/env.conf -c nosystem
jail: nosystem: nobody-knows: no such user
jail: nosystem: id: failed
[exit 1]
# jail -q -f /t/env.conf -c self
0
0
root /root
# jail -q -f /t/env.conf -r self
# jail -c name=j path=/j/e persist
# TERM=vt100 jexec -l j env
"""
        + CLEAN
        + """\
# jexec -l j pwd
/root
# jexec j pwd
/
# WORD=hello jexec j printenv WORD
hello
# jexec -l -u root j sh -c 'id -u; pwd'
0
/root
# jexec -U nobody-knows j id
jexec: nobody-knows: no such user
[exit 1]
# jexec j no-such-program
jexec: execvp: no-such-program: No such file or directory
[exit 1]
# jexec j sh -c 'exit 7'
[exit 7]
# jexec j cmp /etc/resolv.conf /etc/resolv.conf
# jail -r j
j: removed
""",
    )
    down(box)


USERS = """
path = /j/e; persist;
system { exec.system_user = operator; exec.prestart = "id"; exec.prestart += 'echo $USER $HOME; pwd'; }
jailed { exec.jail_user = operator; exec.clean; exec.start = "id"; exec.start += "pwd"; }
hostly { exec.jail_user = games; exec.system_jail_user; exec.start = "id"; exec.start += 'echo $USER $HOME'; }
"""


def test_other_users(box: Sandbox, uid: int) -> None:
    """A lab with a single user id has no other: what is to run as somebody else fails, and the start is taken back."""
    up(box, users=USERS)
    if uid == 0:
        retyped(
            box,
            """\
# jail -f /t/users.conf -c system
uid=2(operator) gid=5(operator) groups=5(operator)
operator /
/root
system: created
# jail -f /t/users.conf -c jailed
jailed: created
uid=2(operator) gid=5(operator) groups=5(operator)
/
# jail -f /t/users.conf -c hostly
hostly: created
uid=7(games) gid=13(games) groups=13(games)
games /
# jexec -u operator hostly id -un
operator
# jexec -U games hostly id -un
games
# jail -f /t/users.conf -q -r '*'
""",
        )
    else:
        retyped(
            box,
            """\
# jail -f /t/users.conf -c system
jail: system: initgroups: Operation not permitted
jail: system: id: failed
[exit 1]
# jail -f /t/users.conf -c jailed
jailed: created
jail: jailed: initgroups: Operation not permitted
jail: jailed: id: failed
jailed: removed
[exit 1]
# jail -f /t/users.conf -c hostly
hostly: created
jail: hostly: initgroups: Operation not permitted
jail: hostly: id: failed
hostly: removed
[exit 1]
# jail -c name=j path=/j/e persist
# jexec -u operator j id -un
jexec: initgroups: Operation not permitted
[exit 1]
# jail -r j
j: removed
""",
        )
    down(box)


PATIENT = "exec.start = 'sh /tmp/patient %s >/dev/null 2>&1 &';"
SCRIPT = """
trap "echo $1 >> /tmp/heard; test $1 != obeys || exit" TERM
touch /tmp/$1
while :; do sleep 0.02; done
"""
STOPPING = f"""
path = /j/e; persist;
obeys {{ {PATIENT % "obeys"} }}
defies {{ stop.timeout = 1; {PATIENT % "defies"} }}
unasked {{ stop.timeout = 0; {PATIENT % "unasked"} }}
slow {{ exec.timeout = 1; exec.start = "echo before"; exec.start += "sleep 30"; exec.start += "echo after"; }}
hostslow {{ exec.timeout = 1; exec.prestart = "sleep 31"; exec.start = "echo never"; }}
"""


def test_time_that_is_given(box: Sandbox) -> None:
    """stop.timeout: SIGTERM, so many seconds, SIGKILL. exec.timeout: a command is given up, and on the host goes on."""
    up(box, stop=STOPPING)
    names = ("obeys", "defies", "unasked")
    # Not before each has its trap.
    begin = "; ".join(f"jail -q -f /t/stop.conf -c {name}" for name in names)
    assert box.shell(f"mount -t devfs devfs /j/e/dev; cat > /j/e/tmp/patient <<'END'{SCRIPT}END", LAB).code == 0
    waits = "; ".join(f"until test -e /j/e/tmp/{name}; do sleep 0.02; done" for name in names)
    assert box.shell(f"{begin}; {waits}", LAB).out == ""
    took = {}
    for name in names:
        began = time.monotonic()
        done = box.shell(f"jail -v -f /t/stop.conf -r {name}", LAB)
        took[name] = time.monotonic() - began
        assert done.code == 0, done
        said = re.sub(r"\d+( \d+)*$", "PIDS", done.out, flags=re.M)
        expected = f"{name}: removed\n"
        assert said == (expected if name == "unasked" else f"{name}: sent SIGTERM to: PIDS\n" + expected)
    # Else ten seconds are given.
    assert took["obeys"] < 5
    assert 1 <= took["defies"] < 5
    assert took["unasked"] < 5
    retyped(
        box,
        """\
# cat /j/e/tmp/heard
obeys
defies
# umount /j/e/dev
# jail -f /t/stop.conf -c slow
slow: created
before
jail: slow: sleep 30: timed out
slow: removed
[exit 1]
# jail -f /t/stop.conf -c hostslow
jail: hostslow: sleep 31: timed out
[exit 1]
# ps axo command | grep '^sleep'
sleep 31
# pkill -x sleep
""",
    )
    down(box)


LOGGING = """
path = /j/e; persist; exec.consolelog = "/var/log/$name.log";
one {
    exec.prestart = "echo host"; exec.start = "echo jail; echo error >&2"; exec.start += "ifconfig -l";
    exec.stop = "echo stopping"; exec.poststop = "echo host too";
}
link { exec.consolelog = "/j/e/link"; exec.start = "echo x"; }
relative { exec.consolelog = "log"; exec.start = "echo x"; }
nowhere { exec.consolelog = "/none/log"; exec.start = "echo x"; }
"""


def test_the_console_log(box: Sandbox) -> None:
    """What runs in the jail is appended to it, vjail's own commands and both streams; what runs on the host is not."""
    up(box, log=LOGGING)
    retyped(
        box,
        """\
# jail -f /t/log.conf -c one
host
one: created
# cat /var/log/one.log
jail
error
vtnet0 lo0
# stat -c %a /var/log/one.log
644
# jail -f /t/log.conf -q -r one
host too
# jail -f /t/log.conf -q -c one
host
# jail -f /t/log.conf -q -r one
host too
# grep -c . /var/log/one.log
8
# ln -s /etc/passwd /j/e/link
# jail -f /t/log.conf -c link
link: created
jail: link: exec.consolelog: /j/e/link is a symbolic link
link: removed
[exit 1]
# jail -f /t/log.conf -c relative
relative: created
jail: relative: exec.consolelog: log: not an absolute pathname
relative: removed
[exit 1]
# jail -f /t/log.conf -c nowhere
nowhere: created
jail: nowhere: open /none/log: No such file or directory
nowhere: removed
[exit 1]
""",
    )
    down(box)


DEPENDING = """
path = /j/e; persist; exec.start = "echo start $name"; exec.stop = "echo stop $name";
a { depend = b, c; }
b { depend = d; }
c {}
d {}
above { depend = bad; }
bad { exec.start = "false"; }
"""
LIVES = """
path = /j/e; mount.devfs; exec.consolelog = "/var/log/lives.log";
gone { exec.start = "echo ran"; }
stays { exec.start = "sleep 2000 &"; }
commands { command = "echo the command"; }
nothing {}
changes { persist; host.hostname = before; allow.raw_sockets; }
"""
CHANGED = """
path = /j/e; mount.devfs;
changes { persist; host.hostname = after; allow.noraw_sockets; exec.start = "echo not run"; }
"""
MOVED = 'changes { path = /j; persist; host.hostname = "never"; }\n'


def test_order_changes_and_ends(box: Sandbox) -> None:
    """Dependencies, jail -m, -rc, wildcards, and a jail without persist, which goes with its last process."""
    up(box, dep=DEPENDING, life=LIVES, changed=CHANGED, moved=MOVED)
    retyped(
        box,
        """\
# jail -f /t/dep.conf -p1 -c a
c: created
start c
d: created
start d
b: created
start b
a: created
start a
# jail -f /t/dep.conf -p1 -r d
stop a
a: removed
stop b
b: removed
stop d
d: removed
# jls name
c
# jail -f /t/dep.conf -p1 -c above
bad: created
jail: bad: false: failed
bad: removed
jail: above: skipped
[exit 1]
# jail -f /t/dep.conf -p1 -rc c
stop c
c: created
start c
# jail -f /t/dep.conf -p1 -c c
jail: "c" already exists
jail: a: skipped
[exit 1]
# jail -f /t/dep.conf -p1 -r '*'
stop c
c: removed
# jail -f /t/dep.conf -q -p1 -c a
start c
start d
start b
start a
# jail -R '*'
a: removed
b: removed
d: removed
c: removed
# jail -f /t/dep.conf -r a
jail: "a" not found
jail: b: skipped
jail: c: skipped
[exit 1]
# jail -f /t/life.conf -c gone
gone: created
# jls name
# mount -t devfs
devfs on /dev (devfs)
devfs on /j/e/dev (devfs)
# umount /j/e/dev
# jail -f /t/life.conf -c commands
commands: created
# cat /var/log/lives.log
ran
the command
# umount /j/e/dev
# jail -f /t/life.conf -c nothing
jail: nothing: new jail must persist or attach
[exit 1]
# jail -f /t/life.conf -c stays
stays: created
# jls name
stays
# until pkill -x sleep; do :; done; until test -z "$(jls name)"; do sleep 0.02; done
# jail -f /t/life.conf -r stays
jail: "stays" not found
[exit 1]
# umount /j/e/dev
# jail -f /t/life.conf -c changes
changes: created
# jexec changes sh -c 'sleep 3000 >/dev/null 2>&1 & hostname'
before
# jail -v -f /t/changed.conf -m changes
changes: jail_set(JAIL_UPDATE) jid=14 name=changes persist host.hostname=after allow.noraw_sockets
changes: updated
# jls -j changes host.hostname allow.raw_sockets
after false
# jexec changes hostname
after
# jexec changes ping -c 1 127.0.0.1
ping: ssend socket: Operation not permitted
[exit 71]
# jail -f /t/moved.conf -m changes
jail: changes: path cannot be changed after creation
[exit 1]
# jail -m name=changes nopersist
# jls name
changes
# until pkill -x sleep; do :; done; until test -z "$(jls name)"; do sleep 0.02; done
# umount /j/e/dev
""",
    )
    down(box)


ADDRESSES = """
path = /j/e; interface = vtnet0; persist;
alias { ip4.addr = 10.9.0.1/24, "lo0|127.0.0.9/32", "vtnet0|10.9.0.2/32 broadcast 10.9.0.255";
    ip6.addr = "fd00::9/64"; }
nomask { ip4.addr = 10.9.0.3; ip6.addr = fd00::3; }
home {
    vnet; vnet.interface = epair3b; exec.prestart = "ifconfig epair3 create"; exec.created = "ifconfig -l";
    exec.start = "ifconfig epair3b name uplink"; exec.poststop = "ifconfig -l";
    exec.release = "ifconfig uplink destroy";
}
dies {
    vnet; nopersist; vnet.interface = epair4b; exec.consolelog = "/var/log/dies.log";
    exec.prestart = "ifconfig epair4 create";
    exec.start = "ifconfig epair4b name wandered 10.0.0.1/24 up"; exec.start += "sleep 2000 &";
}
"""


def test_addresses_and_interfaces(box: Sandbox) -> None:
    """ip4.addr and ip6.addr as aliases of `interface`, and away again; lent interfaces come home, renamed ones too."""
    up(box, net=ADDRESSES)
    retyped(
        box,
        """\
# jail -f /t/net.conf -v -c alias
alias: run command: /sbin/ifconfig vtnet0 inet 10.9.0.1/24 alias
alias: run command: /sbin/ifconfig lo0 inet 127.0.0.9/32 alias
alias: run command: /sbin/ifconfig vtnet0 inet 10.9.0.2/32 broadcast 10.9.0.255 alias
alias: run command: /sbin/ifconfig vtnet0 inet6 fd00::9/64 alias
alias: jail_set(JAIL_CREATE) name=alias path=/j/e persist ip4.addr=10.9.0.1,127.0.0.9,10.9.0.2 ip6.addr=fd00::9
alias: created
# ifconfig vtnet0 | grep 'inet.* [1f].*[129] '
	inet 10.9.0.1 netmask 0xffffff00 broadcast 10.9.0.255
	inet 10.9.0.2 netmask 0xffffffff broadcast 10.9.0.255
	inet6 fd00::9 prefixlen 64
# ifconfig lo0 | grep 127
	inet 127.0.0.1 netmask 0xff000000
	inet 127.0.0.9 netmask 0xffffffff
# jls
   JID  IP Address      Hostname                      Path
     1  10.9.0.1                                      /j/e
# jail -f /t/net.conf -v -r alias
alias: removed
alias: run command: /sbin/ifconfig vtnet0 inet6 fd00::9/64 -alias
alias: run command: /sbin/ifconfig vtnet0 inet 10.9.0.2/32 -alias
alias: run command: /sbin/ifconfig lo0 inet 127.0.0.9/32 -alias
alias: run command: /sbin/ifconfig vtnet0 inet 10.9.0.1/24 -alias
# jail -f /t/net.conf -v -c nomask
nomask: run command: /sbin/ifconfig vtnet0 inet 10.9.0.3 netmask 255.255.255.255 alias
nomask: run command: /sbin/ifconfig vtnet0 inet6 fd00::3 prefixlen 128 alias
nomask: jail_set(JAIL_CREATE) name=nomask path=/j/e persist ip4.addr=10.9.0.3 ip6.addr=fd00::3
nomask: created
# jail -f /t/net.conf -q -r nomask
# ifconfig vtnet0 | grep -c 'inet '
0
[exit 1]
# jail -f /t/net.conf -v -c home
home: run command: ifconfig epair3 create
epair3a
home: jail_set(JAIL_CREATE) name=home path=/j/e persist vnet=new
home: created
home: run command: ifconfig -l
vtnet0 lo0 epair3a epair3b
home: run command: /sbin/ifconfig epair3b vnet home
home: run command in jail: ifconfig epair3b name uplink
uplink
# ifconfig -l
vtnet0 lo0 epair3a
# jail -f /t/net.conf -v -r home
home: removed
home: run command: ifconfig -l
vtnet0 lo0 epair3a uplink
home: run command: ifconfig uplink destroy
# mount -t devfs devfs /j/e/dev
# jail -f /t/net.conf -q -c dies
epair4a
# cat /var/log/dies.log
wandered
# until pkill -x sleep; do :; done; until ifconfig wandered >/dev/null 2>&1; do sleep 0.02; done
# ifconfig wandered | grep -c inet
0
[exit 1]
# jls -d name; ifconfig wandered destroy; umount /j/e/dev
""",
    )
    down(box)


PLAIN = """
path = /j/e; persist; mount.devfs;
plain {
    vnet; exec.prestart = 'echo $$ > /tmp/first'; exec.prestart += "ifconfig -l"; exec.prestart += "jls name";
    exec.prestart += "/sbin/ifconfig -l"; exec.prestart += 'echo $(($$ - $(cat /tmp/first)))';
    exec.start = "sleep 1000 &"; exec.start += "ifconfig lo0 up"; exec.start += "ifconfig -l";
    exec.start += "/sbin/ifconfig -l"; exec.start += 'echo $$';
}
away { exec.prestart = "rm /j/e/sbin/ifconfig"; exec.start = "ifconfig -l"; }
words { exec.start = "cd /tmp"; }
assigns { exec.start = "A=1 env"; }
shell { exec.start = 'A=1; cd /tmp && pwd; ifconfig -l | wc -w; echo "$A"'; }
"""


def test_commands_with_and_without_a_process(box: Sandbox) -> None:
    """A plain line that leads to one of vjail's commands takes no process number; other lines are what FreeBSD runs."""
    up(box, plain=PLAIN)
    retyped(
        box,
        """\
# jail -f /t/plain.conf -c plain
vtnet0 lo0
vtnet0 lo0
1
plain: created
lo0
lo0
3
# jail -f /t/plain.conf -q -r plain
# jail -f /t/plain.conf -c words
words: created
jail: words: exec cd: No such file or directory
jail: words: cd /tmp: failed
words: removed
[exit 1]
# jail -f /t/plain.conf -c assigns
assigns: created
jail: assigns: exec A=1: No such file or directory
jail: assigns: A=1 env: failed
assigns: removed
[exit 1]
# jail -f /t/plain.conf -c shell
shell: created
/tmp
2
1
# jail -f /t/plain.conf -q -r shell
# jail -f /t/plain.conf -c away
away: created
jail: away: exec ifconfig: No such file or directory
jail: away: ifconfig -l: failed
away: removed
[exit 1]
""",
    )
    down(box)


STEPS = {
    "exec.prepare": 'exec.prepare = "echo prepare"; exec.prepare += "false";',
    "ip4.addr": 'ip4.addr = "vtnet0|10.7.0.1/24", "nothing0|10.7.0.2/24";',
    "ip6.addr": 'ip6.addr = "vtnet0|fd07::1/64", "nothing0|fd07::2/64";',
    "mount": 'mount = "/etc /j/e/mnt nullfs ro 0 0"; mount += "/nowhere /j/e/media nullfs ro 0 0";',
    "mount.devfs": "devfs_ruleset = many;",
    "exec.prestart": 'exec.prestart = "false";',
    "create": "path = /j/nowhere;",
    "parameters": "children.max = 5; enforce_statfs = 9;",
    "exec.created": 'exec.created = "false";',
    "vnet.interface": "vnet.interface += nothing0;",
    "exec.start": 'exec.start = "false";',
    "command": 'command = "false";',
    "exec.poststart": 'exec.poststart = "false";',
}
"""A jail that fails at each step, by what is added to what all have."""
USUAL = """
path = /j/e; persist; exec.stop = "echo stop"; exec.poststop = "echo poststop"; exec.release = "echo release";
mount = "/root /j/e/boot nullfs ro 0 0"; mount.devfs; mount.fdescfs; mount.procfs;
"""
VNET = "vnet; vnet.interface = epair9b;"
ADDRESSED = {"ip4.addr", "ip6.addr"}


def test_a_start_that_fails_is_taken_back(box: Sandbox) -> None:
    """At every step: no jail, mount, address or lent interface stays, and no command of the stop runs."""
    parts = [USUAL]
    for number, (step, text) in enumerate(STEPS.items()):
        parts.append(f"j{number} {{ {'' if step in ADDRESSED else VNET} {text} }}\n")
    up(box, steps="".join(parts))
    assert box.shell("ifconfig epair9 create", LAB).out == "epair9a\n"
    look = "jls -d name; mount | grep -v ' on /dev \\| on / '; ifconfig -l"
    look += "; ifconfig vtnet0 | grep 'inet6 fd\\|inet 10'; ls -A /j/e/dev"
    for number, step in enumerate(STEPS):
        done = box.shell(f"jail -f /t/steps.conf -c j{number}; echo $?; {look}", LAB)
        *said, code, interfaces = done.out.splitlines()
        assert (code, interfaces) == ("1", "vtnet0 lo0 epair9a epair9b"), f"{step}: {done}"
        assert not {"stop", "poststop", "release"} & set(said), f"{step}: {done}"
        assert done.err.startswith(("jail: ", "ifconfig: ", "mount")), f"{step}: {done}"
        assert (f"j{number}: created" in said) == (step in ("exec.created", "vnet.interface", *list(STEPS)[-3:])), step
    assert box.shell("ifconfig epair9a destroy", LAB).code == 0
    down(box)
