"""Which scripts a boot runs, and in which order: those answered here and what else lies in the rc.d directories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vjail.command.rc import table
from vjail.command.rc.order import Node, ordered, read_header
from vjail.command.rc.subr import ENVIRONMENT, Keyword, Script
from vjail.conf.rcconf import RcConf
from vjail.kernel.errno import KernelError
from vjail.session import FileKind, Files, Process, Session, StartError

RC_D = "/etc/rc.d"


@dataclass(frozen=True, slots=True)
class Planned:
    """One script: `script` where it is answered here, else None and `text` is what the file holds."""

    path: str
    keywords: frozenset[str]
    script: Script | None
    text: str = ""


def plan(session: Session, conf: RcConf) -> Sequence[Planned]:
    """Every script there is, in boot order; who leaves which out asks the keywords."""
    known: dict[str, Planned] = {}
    nodes: list[Node] = []
    previous: tuple[str, ...] = ()
    for name in table.boot_order():
        path = f"{RC_D}/{name}"
        nodes.append(Node(path, (name,), previous))
        previous = (name,)
        script = table.script(name, session.system.release)
        if script is not None:
            known[path] = Planned(path, frozenset(keyword.value for keyword in script.keywords), script)
    for directory in (RC_D, *conf.words("local_startup")):
        for path, text in _others(session.files, directory):
            header = read_header(path, text)
            nodes.append(header)
            known[path] = Planned(path, frozenset(header.keywords), None, text)
    return [known[node.path] for node in ordered(nodes) if node.path in known]


def left_out(session: Session) -> frozenset[str]:
    """The keywords whose scripts are not run where the session is."""
    skipped = {Keyword.NOSTART.value, "firstboot"}
    if session.system.jid:
        skipped.add(Keyword.NOJAIL.value)
        if session.system.sysctl("security.jail.vnet")[0][1] != "1":
            skipped.add(Keyword.NOJAILVNET.value)
    return frozenset(skipped)


async def start_other(session: Session, path: str, words: Sequence[str]) -> int:
    """Run a script that is not answered here with sh(1); its exit code."""
    process = Process(("/bin/sh", path, *words), environ=ENVIRONMENT, cwd="/")
    try:
        running = await session.start(process)
    except StartError as error:
        session.err(f"{path}: {error.text}\n")
        return 126
    return (await running.wait()).code


def _others(files: Files, directory: str) -> Iterator[tuple[str, str]]:
    """The executable scripts of a directory that are not answered here, and their text."""
    try:
        names = files.list(directory)
    except KernelError:
        return
    own = set(table.boot_order()) if directory == RC_D else set()
    for name in names:
        path = f"{directory}/{name}"
        if name in own or name.endswith((".sample", ".pkgsave", ".bak", ".orig", ".OLD", ",v", "~", "#")):
            continue
        try:
            if files.kind(path) is not FileKind.FILE or not files.mode(path) & 0o111:
                continue
            text = files.read(path).decode(errors="replace")
        except KernelError:
            continue
        if directory == RC_D or "# PROVIDE:" in text:
            yield path, text
