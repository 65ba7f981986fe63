"""The files of a lab's hosts in a folder, with the steps that put them in force on each FreeBSD host."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path

from vjail.conf.fstab import mount_line
from vjail.conf.jailconf import Configuration, NoFiles, load
from vjail.conf.position import Source
from vjail.lab.exported import Content, replace
from vjail.lab.model import Lab, LabHostSpec
from vjail.release import Release

_README = "README.md"


def export(lab: Lab, directory: Path) -> list[Path]:
    """Write each host's files in place of those of an earlier export of the lab; what was written.

    Raises LabError for a folder that holds anything else; OSError.
    """
    contents: dict[str, Content] = {}
    for spec in lab.hosts.values():
        place = "" if len(lab.hosts) == 1 else f"{spec.name}/"
        contents |= {f"{place}{name}": file.content for name, file in spec.files.items()}
        if spec.tree is not None:
            contents |= {f"{place}files/{name}": content for name, content in _tree(spec.tree).items()}
        contents[f"{place}{_README}"] = _readme(lab, spec).encode()
    replace(directory, lab.origin, contents)
    return [directory / path for path in contents if not (directory / path).is_dir()]


def _tree(tree: Path) -> dict[str, Content]:
    """What is in the tree that is laid over a host."""
    return {str(path.relative_to(tree)): path for path in sorted(tree.rglob("*"))}


def _readme(lab: Lab, spec: LabHostSpec) -> str:
    files = ", ".join(f"`{name}`" for name in spec.files)
    lines = [
        f"# {spec.name}",
        "",
        f"These are the files that vjail made for host {spec.name} of the lab {lab.name}: {files or 'none'}.",
        f"FreeBSD {lab.release} reads them as they are; nothing of vjail is needed on the host. As root there:",
        "",
        *(f"{number}. {step}" for number, step in enumerate(_steps(lab, spec), 1)),
        "",
    ]
    if spec.nics:
        cards = ", ".join(f"`{nic}` (wire {wire})" for nic, wire in spec.nics.items())
        lines += [f"The host's cards are called {cards} in these files; call them as they are called there.", ""]
    met = [f"{wire} ({lab.conditions[wire]})" for wire in dict.fromkeys(spec.nics.values()) if wire in lab.conditions]
    if met:
        lines += [f"What frames meet in the lab on {', '.join(met)} is the lab's: a real wire has its own.", ""]
    return "\n".join(lines)


def _steps(lab: Lab, spec: LabHostSpec) -> Iterator[str]:
    files = spec.files
    if "rc.conf" in files:
        yield "Put the lines of `rc.conf` into `/etc/rc.conf`, beside those that are there."
    if "jail.conf" in files:
        found = _configuration(files["jail.conf"].content, lab.release)
        roots = sorted({root for jail in found.jails if (root := jail.text("path")) is not None})
        bases = sorted(_bases(found))
        if bases:
            yield f"Put a userland into {_paths(bases)}: `tar -xf base.txz -C {bases[0]}`, or `make installworld`."
            points = sorted({point for jail in found.jails for point in _points(jail.texts("mount"))})
            yield f"Make what is mounted upon: `mkdir -p {' '.join(points)}`."
            yield (
                "Give each jail directories of its own beside them: "
                f"`for j in {' '.join(roots)}; do mkdir -p $j/dev $j/tmp $j/var/run $j/var/log $j/root; "
                f"cp -Rp {bases[0]}/etc $j/; done`."
            )
        elif roots:
            yield f"Put a userland into {_paths(roots)}: `tar -xf base.txz -C {roots[0]}`, or `make installworld`."
        if spec.tree is not None:
            yield "Copy what is in `files`: `cp -Rp files/ /`."
        yield "Copy `jail.conf` to `/etc/jail.conf`; where there is one, add its blocks to it."
    if "devfs.rules" in files:
        yield "Add `devfs.rules` to `/etc/devfs.rules`, and `service devfs restart`."
    if "pf.conf" in files:
        yield "Put the rules of `pf.conf` into `/etc/pf.conf`, and `service pf start`."
    if "hosts" in files:
        yield "Add the names in `hosts` to `/etc/hosts`."
    if "hostid" in files:
        yield "Copy `hostid` to `/etc/hostid`, and `service hostid restart`."
    if "rc.conf" in files:
        yield "`service netif restart && service routing restart`, at a console, or reboot."
    if "jail.conf" in files:
        yield "`service jail start`."


def _configuration(content: bytes, release: Release) -> Configuration:
    return load(Source("jail.conf", content), release, NoFiles())


def _bases(found: Configuration) -> set[str]:
    """Directories whose bin is mounted into jails."""
    lines = [line for jail in found.jails for text in jail.texts("mount") if (line := mount_line(text)) is not None]
    return {posixpath.dirname(line.spec) for line in lines if posixpath.basename(line.spec) == "bin"}


def _points(mounts: tuple[str, ...]) -> Iterator[str]:
    for text in mounts:
        line = mount_line(text)
        if line is not None:
            yield line.file


def _paths(paths: list[str]) -> str:
    shown = ", ".join(f"`{path}`" for path in paths[:4])
    return shown if len(paths) <= 4 else f"{shown} and {len(paths) - 4} more"
