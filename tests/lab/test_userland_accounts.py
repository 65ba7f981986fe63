"""Users and groups of a tree."""

from vjail.lab.userland.accounts import GROUPS, USERS, Accounts

PASSWD = """\
root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
sshd:x:104:65534::/run/sshd:/usr/sbin/nologin
frr:x:110:115:Frr routing suite,,,:/nonexistent:/usr/sbin/nologin
alice:x:1000:1000:Alice:/home/alice:/bin/bash
+nis::::::
broken:x:7
"""
GROUP = """\
root:x:0:
frrvty:x:114:frr,alice
frr:x:115:
adm:x:4:syslog,alice
users:x:100:
alice:x:1000:
"""


def test_freebsds_come_first_and_keep_their_numbers():
    accounts = Accounts.of(PASSWD, GROUP)
    assert accounts.users[: len(USERS)] == USERS
    assert accounts.groups[: len(GROUPS)] == GROUPS
    lines = accounts.passwd().splitlines()
    assert lines[0] == "root:*:0:0:Charlie &:/root:/bin/sh"
    assert "operator:*:2:5:System &:/:/usr/sbin/nologin" in lines
    assert "sshd:*:22:22:Secure Shell Daemon:/var/empty:/usr/sbin/nologin" in lines
    assert "wheel:*:0:root\n" in accounts.group()


def test_the_machines_daemons_are_there_and_its_people_are_not():
    accounts = Accounts.of(PASSWD, GROUP)
    assert accounts.passwd().splitlines()[len(USERS) :] == [
        "frr:*:110:115:Frr routing suite,,,:/nonexistent:/usr/sbin/nologin"
    ]
    assert accounts.group().splitlines()[len(GROUPS) :] == [
        "root:*:0:",
        "frrvty:*:114:frr",
        "frr:*:115:",
        "adm:*:4:",
        "users:*:100:",
    ]


def test_nobody_has_a_password():
    accounts = Accounts.of(PASSWD, GROUP)
    for text, fields in ((accounts.passwd(), 7), (accounts.master_passwd(), 10), (accounts.shadow(), 9)):
        for line in text.splitlines():
            assert line.split(":")[1] == "*"
            assert len(line.split(":")) == fields
