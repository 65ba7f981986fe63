"""Modules of the core: what loader.conf loads, the journal, jails."""

from __future__ import annotations

import pytest
from hostfake import Machine
from test_mounts import Memory

from vjail.kernel.core.modules import KernelImage
from vjail.kernel.core.part import Caller
from vjail.kernel.errno import Errno, KernelError
from vjail.kernel.operations import LoadModule, UnloadModule

HOST = Caller(0, 0)


def test_loaded_by_the_loader() -> None:
    host = Machine(image=KernelImage(loadable={"if_epair": 4096}, loaded=("if_epair",), compiled_in=()))
    assert host.modules.loaded(HOST) == ["if_epair.ko"]
    assert host.modules.has("if_epair")


def test_another_process_takes_over() -> None:
    journal = Memory()
    first = Machine(journal=journal)
    for name in ("if_gre", "if_gif", "ipfw"):
        first.apply(HOST, LoadModule(name))
    first.apply(HOST, UnloadModule("if_gif"))
    second = Machine(journal=journal)
    assert second.modules.files(HOST) == first.modules.files(HOST)
    second.apply(HOST, LoadModule("if_gif"))
    assert second.modules.files(HOST)[-1].id == 5


@pytest.mark.parametrize(
    ("operation", "jid", "errno"),
    [
        (LoadModule("if_gre"), 1, Errno.EPERM),
        (UnloadModule("if_gre"), 1, Errno.EPERM),
        (LoadModule("/boot/kernel/if_epair.ko"), 0, Errno.EEXIST),
        (LoadModule("nosuch"), 0, Errno.ENOENT),
        (UnloadModule("if_gre"), 0, Errno.ENOENT),
        (UnloadModule("kernel"), 0, Errno.EBUSY),
    ],
)
def test_refusals(operation: LoadModule | UnloadModule, jid: int, errno: Errno) -> None:
    with pytest.raises(KernelError) as caught:
        Machine().apply(Caller(jid, 0), operation)
    assert caught.value.errno is errno
