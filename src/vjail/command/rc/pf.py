"""/etc/rc.d/pf: hands /etc/pf.conf to pfctl(8). Sources: libexec/rc/rc.d/pf of 13.2, spec host-files §1."""

from __future__ import annotations

from collections.abc import Sequence

from vjail.command.rc.subr import Keyword, Rc, Script
from vjail.session import Output


async def start(rc: Rc, words: Sequence[str]) -> int:
    """Load the rules, or the fallback rules, and switch pf on."""
    rules = rc.conf.get("pf_rules")
    if not rc.is_readable(rules):
        rc.warn(f"{rules} is not readable.")
        return 1
    if not _has_pf(rc) and await rc.call("/sbin/kldload", "pf") != 0:
        rc.warn("Unable to load kernel module pf")
        return 1
    rc.message("Enabling pf")
    await _pfctl(rc, "-F", "all", output=Output.NULL)
    if await _pfctl(rc, "-f", rules, *rc.conf.words("pf_flags")) != 0:
        await _fall_back(rc, rules)
    await _pfctl(rc, "-eq", output=Output.NULL)
    rc.message(".\n")
    return 0


async def stop(rc: Rc, words: Sequence[str]) -> int:
    """Switch pf off."""
    if _has_pf(rc):
        rc.out("Disabling pf")
        await _pfctl(rc, "-dq")
        rc.out(".\n")
    return 0


async def check(rc: Rc, words: Sequence[str]) -> int:
    """Read the rules without loading them."""
    rc.out("Checking pf rules.\n")
    return await _pfctl(rc, "-n", "-f", rc.conf.get("pf_rules"), *rc.conf.words("pf_flags"))


async def reload(rc: Rc, words: Sequence[str]) -> int:
    """Load the rules anew where they are good."""
    rc.out("Reloading pf rules.\n")
    return await resync(rc, words)


async def resync(rc: Rc, words: Sequence[str]) -> int:
    """The same without a word."""
    rules = ("-f", rc.conf.get("pf_rules"), *rc.conf.words("pf_flags"))
    if await _pfctl(rc, "-n", *rules) != 0:
        return 1
    return await _pfctl(rc, *rules)


async def status(rc: Rc, words: Sequence[str]) -> int:
    """What pfctl says of pf."""
    if not _has_pf(rc):
        rc.out("pf.ko is not loaded\n")
        return 1
    await _pfctl(rc, "-s", "info")
    return await _pfctl(rc, "-s", "Running", output=Output.NULL)


async def _fall_back(rc: Rc, rules: str) -> None:
    rc.warn(f"Unable to load {rules}.")
    path = rc.conf.get("pf_fallback_rules_file")
    if rc.yes("pf_fallback_rules_enable") and rc.is_readable(path):
        rc.warn(f"Loading fallback rules file: {path}")
        await _pfctl(rc, "-f", path, *rc.conf.words("pf_flags"))


def _has_pf(rc: Rc) -> bool:
    return any(module == "pf" for file in rc.session.system.kernel_files() for _, module in file.modules)


async def _pfctl(rc: Rc, *words: str, output: Output = Output.SESSION) -> int:
    return await rc.run(rc.conf.get("pf_program", "/sbin/pfctl"), *words, output=output)


PF = Script(
    "pf",
    "Packet filter",
    {
        "start": start,
        "stop": stop,
        "check": check,
        "reload": reload,
        "resync": resync,
        "status": status,
    },
    rcvar="pf_enable",
    keywords=frozenset({Keyword.NOJAILVNET}),
)
