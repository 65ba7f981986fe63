"""Where the files of a lab host and of its jails come from.

A `Userland` makes them from a `Writer`'s `Source` (this machine, or another's /usr) and the user's own files:
`provide_host` the host's tree, `needs` what its jails take for granted, `provide` that. Mounts are made through a
`Mounter`; everything else is plain file operations that never leave the tree. makebase.py makes a base in an ordinary
directory, also from a tarball or an OCI image. `loader_link` is for a jail's root at the moment it becomes one.
"""

from vjail.lab.userland.errors import UserlandError
from vjail.lab.userland.loader import LoaderLink, loader_link
from vjail.lab.userland.mounter import KernelMounter, Mounter
from vjail.lab.userland.natives import Natives
from vjail.lab.userland.needs import Directory, JailFiles, Obstacle, Plan, Root, needs
from vjail.lab.userland.provide import Extent, Provided, Userland
from vjail.lab.userland.skeleton import Part
from vjail.lab.userland.source import Source
from vjail.lab.userland.tree import Kind, Tree
from vjail.lab.userland.write import Writer

__all__ = [
    "Directory",
    "Extent",
    "JailFiles",
    "KernelMounter",
    "Kind",
    "LoaderLink",
    "Mounter",
    "Natives",
    "Obstacle",
    "Part",
    "Plan",
    "Provided",
    "Root",
    "Source",
    "Tree",
    "Userland",
    "UserlandError",
    "Writer",
    "loader_link",
    "needs",
]
