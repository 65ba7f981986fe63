"""What a FreeBSD host has and a model has not is granted: no mistake is made of it, and what is known stays known."""

from __future__ import annotations

from pathlib import Path

import pytest

from vjail.check import find, read
from vjail.lab import folder
from vjail.release import Release

HEAD = 'exec.clean; path = "/j/$name"; persist; ip4 = inherit;\n'


def codes(path: Path, body: str, release: int = 13) -> set[str]:
    (path / "jail.conf").write_text(f"{HEAD}a {{ {body} }}\n")
    (path / "rc.conf").write_text('ifconfig_em0="up"\n')
    return {finding.rule.code for finding in find(read(folder.load(path), Release(release)))}


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("exec.prestart = 'sysctl net.inet.tcp.blackhole=2';", set()),
        ("exec.prestart = 'sysctl -q net.inet.tcp.blackhole=2 net.inet.ip.forwarding=1';", set()),
        ("exec.prestart = 'sysctl net.inet.ip.forwarding=x';", {"VJ301"}),
        ("exec.prestart = 'sysctl net.inet.tcp.blackhole';", {"VJ307"}),
        ("exec.prestart = 'kldload -n if_wg';", set()),
        ("exec.prestart = 'kldload if_wg';", {"VJ304"}),
        ("exec.prestart = 'ifconfig wg0 create'; exec.poststop = 'ifconfig wg0 destroy';", {"VJ307"}),
        ("exec.prestart = 'ifconfig nosuch0 create'; exec.poststop = 'ifconfig nosuch0 destroy';", {"VJ301"}),
        ("exec.fib = 1; exec.start = 'true';", set()),
        ("exec.prestart = 'route add -fib 1 default 10.0.0.1';", {"VJ307"}),
    ],
)
def test_what_is_granted(tmp_path: Path, body: str, found: set[str]) -> None:
    assert codes(tmp_path, body) == found
