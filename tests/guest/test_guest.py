"""The tests of vlans, laggs and slow wires on a stock Debian kernel, which has 8021q, bonding and netem.

They are the same tests, in an emulated machine. Without KVM a guest is some ten times slower than this machine, so it
runs beside the other tests (tools/test.sh).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest
from machine import run, why_not

pytestmark = pytest.mark.guest

_TESTS = "tests/real/test_vlans.py tests/real/test_lagg.py tests/real/test_wire_conditions.py"
_CHOSEN = "root and not conditions_change and not another_wire or rc_conf_makes"
"""As root all, but of wires one, which tells netem's work; as a user one, which tells whether frames pass at all."""
_ENVIRONMENT = "PYTHONPATH=/project/src:/project/python PYTHONDONTWRITEBYTECODE=1"
_TIMEOUT = 900
"""Seconds; a machine that has much else to do is slow."""


def test_vlans_laggs_and_slow_wires_on_a_stock_debian_kernel(summary: Callable[[str], None]) -> None:
    if reason := why_not():
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    pytest_there = f"python3 -m pytest -p no:cacheprovider --durations=10 {_TESTS} -k '{_CHOSEN}'"
    ended = run(["/bin/sh", "-c", f"cd /project; export {_ENVIRONMENT}; {pytest_there}"], timeout=_TIMEOUT)
    assert ended.code == 0, ended.said
    passed = sum(int(count) for count in re.findall(r"(\d+) passed", ended.said))
    skipped = re.findall(r"^SKIPPED .*?: (?!there is a way)(.*)$", ended.said, re.MULTILINE)
    assert skipped == [], ended.said
    assert passed >= 15, ended.said
    kernel = re.search(r"^guest: (Linux \S+), (\S+ s) after", ended.said, re.MULTILINE)
    whole = re.search(r"^guest: exit 0 after (\S+ s)$", ended.said, re.MULTILINE)
    assert kernel is not None
    assert whole is not None
    summary(
        f"on {kernel[1]} in a guest: {passed} tests passed, {kernel[2]} after its start it ran, off after {whole[1]}"
    )
