"""Descriptors of any number can be waited for: a lab of many hosts has more than select(2) takes."""

from __future__ import annotations

import fcntl
import os
import resource

import pytest

from vjail.kernel.linux.syscalls import is_ready


@pytest.mark.parametrize("lowest", [3, 1500])
def test_a_descriptor_of_any_number_is_waited_for(lowest: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft <= lowest:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, lowest + 100), hard))
    reading, writing = os.pipe()
    fd = fcntl.fcntl(reading, fcntl.F_DUPFD_CLOEXEC, lowest)
    try:
        assert not is_ready(fd)
        assert not is_ready(fd, 0.01)
        os.write(writing, b"x")
        assert is_ready(fd)
        assert is_ready(fd, 5)
    finally:
        for each in (fd, reading, writing):
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
