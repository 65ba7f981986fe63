"""OCI image layouts: which layers make the root file system of the image for this machine, each checked.

Source: the OCI image specification 1.1 (image-layout.md, image-index.md, manifest.md, descriptor.md), and the media
types of Docker that say the same. What an image would run is not looked at: a base is files.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
import re
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any

from vjail.lab.userland.errors import UserlandError

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
_DIGEST = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})")
_DOCUMENT = 16 << 20
"""Bytes of an index, manifest or configuration beyond which it is not read."""
_BLOCK = 1 << 20
_IN_A_TAR = re.compile(r"(\./)?(oci-layout|index\.json|blobs/[a-z0-9]+/[0-9a-f]+)")
_BESIDE = ("manifest.json", "repositories")
"""What `docker save` puts beside a layout."""

Document = Mapping[str, Any]


def is_layout(path: str) -> bool:
    """Whether the directory `path` is an image layout."""
    return all(os.path.isfile(posixpath.join(path, name)) for name in ("oci-layout", "index.json"))


def unpack_layout(path: str, to: str) -> bool:
    """Put the image layout that the tar archive `path` holds into the directory `to`; False where it holds none.

    Raises tarfile.TarError and the errors of compression where it cannot be read.
    """
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isdir() or member.name.removeprefix("./") in _BESIDE:
                continue
            match = _IN_A_TAR.fullmatch(member.name)
            if match is None or not member.isreg():
                return False
            target = posixpath.join(to, match[2])
            os.makedirs(posixpath.dirname(target), exist_ok=True)
            content = archive.extractfile(member)
            assert content is not None
            with open(target, "wb") as file:
                while block := content.read(_BLOCK):
                    file.write(block)
    return is_layout(to)


def layers(layout: str, machine: str) -> list[str]:
    """The layers of the image for `machine` (as uname(2) calls it), lowest first: paths of tar archives.

    Every file that counts is compared with its digest. Raises UserlandError.
    """
    return _Layout(layout, machine).layers()


class _Layout:
    def __init__(self, path: str, machine: str) -> None:
        self._path = path
        self._architecture = _ARCHITECTURES.get(machine, machine)

    def layers(self) -> list[str]:
        index = self._read(posixpath.join(self._path, "index.json"))
        manifests = list({str(d.get("digest")): d for d in self._images(index, 0)}.values())
        if not manifests:
            raise UserlandError(self._path, f"holds no image for {self._architecture}", "fetch it for this machine")
        if len(manifests) > 1:
            names = ", ".join(_name(descriptor) for descriptor in manifests)
            raise UserlandError(self._path, f"holds several images ({names})", "give a layout that holds one")
        manifest = self._read(self._blob(manifests[0]))
        found = manifest.get("layers")
        if not isinstance(found, list):
            raise UserlandError(self._path, "its manifest names no layers")
        return [self._blob(layer) for layer in found]

    def _images(self, index: Document, depth: int) -> Iterator[Document]:
        """The descriptors of manifests for this machine, in nested indexes too."""
        found = index.get("manifests")
        for descriptor in found if isinstance(found, list) and depth < 8 else ():
            platform = descriptor.get("platform")
            if platform is not None and not self._fits(platform):
                continue
            if descriptor.get("mediaType") in _INDEXES:
                yield from self._images(self._read(self._blob(descriptor)), depth + 1)
            elif platform is not None or self._fits(self._configuration(descriptor)):
                yield descriptor

    def _configuration(self, descriptor: Document) -> Document:
        """An image's own word on what it is for, where no index says so."""
        manifest = self._read(self._blob(descriptor))
        config = manifest.get("config")
        return self._read(self._blob(config)) if isinstance(config, dict) else {}

    def _fits(self, platform: Document) -> bool:
        return platform.get("architecture") == self._architecture and platform.get("os") == "linux"

    def _blob(self, descriptor: Document) -> str:
        """The path of what a descriptor describes, found to be just that."""
        match = _DIGEST.fullmatch(str(descriptor.get("digest")))
        if match is None:
            raise UserlandError(self._path, f"{descriptor.get('digest')!r} is no digest that is known here")
        algorithm, digest = match[1] or match[3], match[2] or match[4]
        path = posixpath.join(self._path, "blobs", algorithm, digest)
        again = "the layout is incomplete or damaged: fetch it again"
        if not os.path.isfile(path):
            raise UserlandError(path, "is missing", again)
        if os.path.getsize(path) != descriptor.get("size") or _digest(path, algorithm) != digest:
            raise UserlandError(path, "is not what its name says", again)
        return path

    def _read(self, path: str) -> Document:
        try:
            with open(path, "rb") as file:
                content = file.read(_DOCUMENT)
            document = json.loads(content)
        except OSError as error:
            raise UserlandError(path, os.strerror(error.errno or 0)) from error
        except ValueError as error:
            raise UserlandError(path, f"is no JSON ({error})") from error
        if not isinstance(document, dict):
            raise UserlandError(path, "is no JSON object")
        return document


def _digest(path: str, algorithm: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def _name(descriptor: Document) -> str:
    annotations = descriptor.get("annotations")
    name = annotations.get("org.opencontainers.image.ref.name") if isinstance(annotations, dict) else None
    return str(name or descriptor.get("digest"))
