"""make demo where this machine makes no namespaces: why, and the same jails in memory, labelled as such."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.real

TOP = Path(__file__).parent.parent.parent
_WITHOUT = (
    "echo 0 > /proc/sys/user/max_net_namespaces; exec setpriv --inh-caps=-all --ambient-caps=-all sh tools/demo.sh"
)


def test_without_namespaces_the_demonstration_is_in_memory(uid: int) -> None:
    words = ("unshare", "--user", "--map-current-user", "--keep-caps", "sh", "-c", _WITHOUT)
    done = subprocess.run(words, cwd=TOP, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    assert "No lab can be brought up here: this machine allows no network namespaces" in done.stdout
    assert "IN MEMORY ONLY" in done.stdout
    assert "4 packets received, 0.0% packet loss" in done.stdout
