"""The formats a picture is written in."""

from __future__ import annotations

import enum
from pathlib import PurePath

from vjail.view.picture.dot import as_dot
from vjail.view.picture.drawio import as_drawio
from vjail.view.picture.layout import layout
from vjail.view.picture.mermaid import as_mermaid
from vjail.view.picture.model import Picture
from vjail.view.picture.plain import as_text
from vjail.view.picture.svg import as_svg


class Format(enum.Enum):
    """What a picture may be written as; the value is its name."""

    SVG = "svg"
    MERMAID = "mermaid"
    DOT = "dot"
    DRAWIO = "drawio"
    TEXT = "text"

    @classmethod
    def of_name(cls, file: str) -> Format | None:
        """What a file of that name holds; None where it does not say."""
        return _ENDINGS.get(PurePath(file).suffix.lower())


_ENDINGS = {
    ".svg": Format.SVG,
    ".mmd": Format.MERMAID,
    ".mermaid": Format.MERMAID,
    ".dot": Format.DOT,
    ".gv": Format.DOT,
    ".drawio": Format.DRAWIO,
    ".txt": Format.TEXT,
}


def rendered(picture: Picture, form: Format) -> str:
    """A picture as text."""
    match form:
        case Format.SVG:
            return as_svg(picture, layout(picture))
        case Format.DRAWIO:
            return as_drawio(picture, layout(picture))
        case Format.MERMAID:
            return as_mermaid(picture)
        case Format.DOT:
            return as_dot(picture)
        case Format.TEXT:
            return as_text(picture)
