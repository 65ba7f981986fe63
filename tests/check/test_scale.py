"""A thousand jails: the time grows with their number, no faster."""

from __future__ import annotations

import time
from pathlib import Path

from vjail.check import Severity, find, read
from vjail.lab import folder

COMMON = 'exec.clean;\nmount.devfs;\npath = "/jails/$name";\nvnet;\npersist;\n'
JAIL = """{name} {{
  vnet.interface = "epair{number}b";
  exec.prestart = "ifconfig bridge{group} >/dev/null 2>&1 || ifconfig bridge{group} create up";
  exec.prestart += "ifconfig epair{number} create", "ifconfig epair{number}a up";
  exec.prestart += "ifconfig bridge{group} addm epair{number}a";
  exec.start = "ifconfig lo0 127.0.0.1/8 up", "ifconfig epair{number}b inet 10.{high}.{low}.{host}/24 up";
  exec.poststop = "ifconfig bridge{group} deletem epair{number}a", "ifconfig epair{number}a destroy";
}}
"""
SIZE = 8


def seconds(path: Path, count: int) -> float:
    """Processor time of a whole check of so many jails, in groups of SIZE that share a bridge."""
    path.mkdir()
    jails = [
        JAIL.format(
            name=f"j{number}",
            number=number,
            group=number // SIZE + 1,
            high=number // SIZE // 250,
            low=number // SIZE % 250,
            host=number % SIZE + 1,
        )
        for number in range(count)
    ]
    (path / "jail.conf").write_text(COMMON + "".join(jails))
    (path / "rc.conf").write_text('ifconfig_em0="up"\n')
    lab = folder.load(path)
    begin = time.process_time()
    found = find(read(lab, lab.release))
    taken = time.process_time() - begin
    assert not [finding for finding in found if finding.rule.severity is Severity.ERROR]
    assert len({finding.span for finding in found if finding.rule.code == "VJ306"}) == count
    return taken


def test_a_thousand_jails_take_no_more_than_ten_times_a_hundred(tmp_path: Path) -> None:
    few = seconds(tmp_path / "few", 96)
    many = seconds(tmp_path / "many", 960)
    assert many / few < 12, f"{few:.1f} s for 96 jails, {many:.1f} s for 960"
