"""/etc/rc.d/devfs: reads the files of devfs.rules(5) into the kernel, line by line as `devfs rule -s NUM LINE`.

Sources: libexec/rc/rc.d/devfs and rc.subr of 13.2, spec host-files §3, observed/f_devfs.txt.
"""

from __future__ import annotations

from collections.abc import Sequence

from vjail.command.rc.subr import Keyword, Rc, Script, nothing
from vjail.conf.devfs_rules import BadHeader, Header, RuleLine, parse
from vjail.conf.position import Source
from vjail.conf.sh import ShellSyntaxError
from vjail.conf.sh.plain import split
from vjail.kernel.errno import KernelError

_DEVFS = "/sbin/devfs"


async def start(rc: Rc, words: Sequence[str]) -> int:
    """Load the sets, then use those that variables name on /dev and elsewhere."""
    system_set = rc.conf.get("devfs_system_ruleset")
    others = rc.conf.words("devfs_set_rulesets")
    if not (system_set or others or rc.yes("devfs_load_rulesets")):
        return 0
    numbers = await _load(rc)
    wanted = [("/dev", system_set)] if system_set else []
    wanted += [(mount, name) for mount, _, name in (entry.partition("=") for entry in others)]
    for mount, name in wanted:
        await _use(rc, mount, numbers.get(name))
    return 0


async def _load(rc: Rc) -> dict[str, str]:
    """Read the files in order; a bad one ends it. The numbers of the sets by name."""
    numbers: dict[str, str] = {}
    for path in rc.conf.words("devfs_rulesets"):
        try:
            data = rc.session.files.read(path)
        except KernelError:
            continue
        if not await _load_file(rc, Source(path, data), numbers):
            rc.warn(f"devfs_init_rulesets: could not read rules from {path}")
            break
    return numbers


async def _load_file(rc: Rc, source: Source, numbers: dict[str, str]) -> bool:
    ruleset: list[str] = []
    for line in parse(source).lines:
        match line:
            case BadHeader(complaint):
                rc.warn(f"devfs_rulesets_from_file: {complaint}")
                return False
            case Header(name, number):
                numbers[name] = str(number)
                ruleset = [str(number)]
                code = await rc.call(_DEVFS, "rule", "-s", *ruleset, "delset")
            case RuleLine(text, span):
                try:
                    words = split(text, {**rc.conf.values, **numbers})
                except ShellSyntaxError as error:
                    rc.session.err(f"{rc.program}: {span}: {error.reason}\n")
                    return False
                code = await rc.call(_DEVFS, "rule", "-s", *ruleset, *words)
        if code != 0:
            return False
    return True


async def _use(rc: Rc, mount: str, number: str | None) -> None:
    """devfs_set_ruleset and devfs_apply_ruleset."""
    if number is None:
        rc.warn("devfs_set_ruleset: you must specify a ruleset number")
        rc.warn("devfs_apply_ruleset: you must specify a ruleset")
        return
    if await rc.call(_DEVFS, "-m", mount, "ruleset", number) != 0:
        rc.warn(f"devfs_set_ruleset: unable to set ruleset {number} to {mount}")
    if await rc.call(_DEVFS, "-m", mount, "rule", "-s", number, "applyset") != 0:
        rc.warn(f"devfs_apply_ruleset: unable to apply ruleset {number} to {mount}")


DEVFS = Script("devfs", "Device filesystem", {"start": start, "stop": nothing}, keywords=frozenset({Keyword.NOJAIL}))
