"""service hostid, hostid_save and hostname: observed/e8_hostid_reset.txt typed again, and what else decides."""

from __future__ import annotations

import functools
import re
import uuid

import pytest
from hostfake import DATA, Step
from rchost import RcHost

from vjail.command.rc.hostid import hostid_of, is_valid
from vjail.kernel.core.modules import KernelImage

RECORDING = "observed/e8_hostid_reset.txt"
UUIDGEN = "$(uuidgen)", "70aee8d6-e654-11f1-b272-0fd343b45348"
OF_INTERFACES = ("epair", "bridge", "-rw", "\tether")


def steps() -> list[Step]:
    """The recording's lines; some of its answers end without an exit code."""
    found: list[Step] = []
    for block in (DATA / RECORDING).read_text().split("\n# ")[1:]:
        command, *answer = block.splitlines()
        code = [int(line[6:-1]) for line in answer if line.startswith("[exit ")]
        err = "".join(f"{line[3:]}\n" for line in answer if line.startswith("2> "))
        out = "".join(f"{line}\n" for line in answer if line and not line.startswith(("2> ", "[exit ", *OF_INTERFACES)))
        found.append(Step(command, out, err, code[0] if code else 0))
    return found


def typed(host: RcHost, line: str) -> tuple[str, str, int]:
    """One of a line's commands; those about interfaces do nothing."""
    session, code = host.new_session(), 0
    match line.replace(*UUIDGEN).split():
        case ["service" | "sysctl", *_]:
            code = host.typed(line.replace(*UUIDGEN))
            session = host.session
        case ["rm", path]:
            host.files.unlink(path)
        case ["echo", text, ">", path]:
            host.files.put(path, f"{text}\n")
        case ["cat", path]:
            session.out(host.files.text(path))
    return session.output, session.errors, code


def test_recorded_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The random numbers are made to be those recorded."""
    host = RcHost()
    host.files.put("/etc/hostid", "eb9dd9a8-ccc5-405b-8660-f2b71735a53e\n")
    for step in steps():
        named = re.search(r"Setting hostuuid: (\S+)\.", step.out)
        if named:
            monkeypatch.setattr(uuid, "uuid4", functools.partial(uuid.UUID, named.group(1)))
        answers = [typed(host, line) for line in step.command.split("; ")]
        out, err = "".join(answer[0] for answer in answers), "".join(answer[1] for answer in answers)
        assert (out, err, answers[-1][2]) == (step.out, step.err, step.code), step.command


def test_the_wait_before_a_random_uuid() -> None:
    host = RcHost()
    host.script("hostid", "reset")
    assert host.session.slept == [2]


def test_firmware_s_uuid_is_taken_where_it_is_good() -> None:
    good = "6f6e9f2c-0f2e-4c0f-a9cc-4a5e9b2f3f10"
    host = RcHost(image=KernelImage(environment={"smbios.system.uuid": good}))
    assert host.script("hostid", "reset") == 0
    assert host.session.output == f"Setting hostuuid: {good}.\nSetting hostid: {hostid_of(good)}.\n"
    assert host.session.errors == ""
    assert host.files.text("/etc/hostid") == f"{good}\n"


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("eb9dd9a8-ccc5-405b-8660-f2b71735a53e", True),
        ("11111111-2222-3333-4444-555555555556", True),
        ("EB9DD9A8-ccc5-405b-8660-f2b71735a53e", False),
        ("eb9dd9a8ccc5405b8660f2b71735a53e", False),
        ("eb9dd9a8-ccc5-405b-8660-f2b71735a53e ", False),
        ("00000000-0000-0000-0000-000000000000", False),
        ("12345678-ffff-ffff-ffff-ffffffffffff", False),
        ("11111111-2222-3333-4444-555555555555", False),
        ("03000200-0400-0500-0006-000700080009", False),
        ("", False),
    ],
)
def test_which_uuids_serve(text: str, valid: bool) -> None:
    assert is_valid(text) is valid


def test_saving_keeps_both_files_up_to_date() -> None:
    host = RcHost()
    assert host.script("hostid_save", "start") == 0
    current = "eb9dd9a8-ccc5-405b-8660-f2b71735a53e"
    assert host.files.text("/etc/hostid") == f"{current}\n"
    assert host.files.text("/etc/machine-id") == f"{current.replace('-', '')}\n"


def test_not_enabled() -> None:
    host = RcHost("hostid_enable=NO")
    host.script("hostid", "start")
    assert host.session.output == (
        "Cannot 'start' hostid. Set hostid_enable to YES in /etc/rc.conf or use 'onestart' instead of 'start'.\n"
    )


# --- hostname --------------------------------------------------------------------------------------------------------


def test_the_name_of_a_host() -> None:
    host = RcHost('hostname="lab.example"')
    host.script("hostname", "start")
    assert host.session.output == "Setting hostname: lab.example.\n"
    assert host.machine.jails.jails[0].parameters["host.hostname"] == "lab.example"


def test_the_name_of_a_jail_only_where_it_may_set_it() -> None:
    host = RcHost('hostname="j.example"', jid=3, allow__set_hostname=True)
    host.script("hostname", "start")
    assert host.session.output == "Setting hostname: j.example.\n"
    assert host.machine.jails.jails[3].parameters["host.hostname"] == "j.example"
    host = RcHost('hostname="j.example"', jid=3)
    host.script("hostname", "start")
    assert host.session.output == ""
    assert host.machine.jails.jails[3].parameters["host.hostname"] == ""


def test_no_name_anywhere() -> None:
    host = RcHost(jid=3, allow__set_hostname=True)
    host.script("hostname", "start")
    assert host.session.errors == "/etc/rc.d/hostname: WARNING: $hostname is not set -- see rc.conf(5).\n"
    host = RcHost("ifconfig_em0=DHCP", jid=3, allow__set_hostname=True)
    host.script("hostname", "start")
    assert host.session.errors == ""
