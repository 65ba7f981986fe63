"""The sandbox sees what is left in it: every other real test stands on that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sandbox import Sandbox, interpreter

pytestmark = pytest.mark.real


@contextmanager
def left(box: Sandbox, what: str, *words: str) -> Iterator[None]:
    """What the words leave is found, under `what`; the block takes it away again."""
    done = box.run(*words)
    assert done.code == 0, done
    with pytest.raises(AssertionError, match=f"^{what}: left "):
        box.assert_clean(patience=0.1)
    yield
    box.assert_clean()


@pytest.mark.root
@pytest.mark.parametrize("uid", [0])
def test_what_root_leaves_is_seen(box: Sandbox) -> None:
    with left(box, "mounts", "mount", "-t", "tmpfs", "left", "/mnt"):
        assert box.run("sh", "-c", "umount /mnt; rm -rf /run/mount").code == 0
    with left(box, "links", "ip", "link", "add", "left0", "type", "veth", "peer", "left1"):
        assert box.run("ip", "link", "delete", "left0").code == 0
    # A namespace that only a file holds is one of a mount; one that a process holds is seen by itself.
    with left(box, "processes", "sh", "-c", "unshare --net sleep 1000 >/dev/null 2>&1 &"):
        assert box.before is not None
        assert len(box.census().namespaces - box.before.namespaces) == 1
        assert box.run("pkill", "-9", "sleep").code == 0
    with left(box, "mounts", "sh", "-c", ">/run/pin; unshare --net=/run/pin true"):
        assert box.run("sh", "-c", "umount /run/pin; rm -r /run/pin /run/mount").code == 0


def test_what_anybody_leaves_is_seen(box: Sandbox) -> None:
    with left(box, "processes", "sh", "-c", "sleep 1000 >/dev/null 2>&1 &"):
        assert box.run("pkill", "-9", "sleep").code == 0
    with left(box, "processes", "sh", "-c", "unshare --user --pid --fork sleep 1000 >/dev/null 2>&1 &"):
        assert box.run("pkill", "-9", "sleep").code == 0
    for folder in ("/tmp", "/var/tmp", "/dev/shm", "/run"):
        with left(box, "files", "mkdir", "-p", f"{folder}/left"):
            assert box.run("rmdir", f"{folder}/left").code == 0
    bound = "import os, socket, time; s = socket.socket(socket.AF_UNIX); s.bind('\\0left'); os.fork() and os._exit(0)"
    quiet = "os.close(1); os.close(2); time.sleep(1000)"
    with left(box, "processes", interpreter(), "-c", f"{bound}; {quiet}"):
        assert "@left" in box.census().sockets
        assert box.run("pkill", "-f", "time.sleep").code == 0


def test_what_goes_is_seen(box: Sandbox) -> None:
    """Not only what is left: what was there and is no more."""
    assert box.run("mkdir", "/tmp/there").code == 0
    box.before = box.census()
    assert box.run("rmdir", "/tmp/there").code == 0
    with pytest.raises(AssertionError, match=r"^files: left \[\], gone \['tmp/there'\]"):
        box.assert_clean(patience=0.1)
    box.before = box.census()
