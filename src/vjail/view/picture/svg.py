"""A drawing as SVG: text as text, colours for light and dark, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from vjail.view.picture.drawing import Drawing, Line, Shape, Text, width
from vjail.view.picture.model import BoxKind, NetKind, Picture

LIGHT = ("#0b62c4", "#b3400a", "#14794a", "#8a2fb0", "#a3124f", "#0d6f78", "#7a5a00", "#4b4fc9")
DARK = ("#6cb2ff", "#ff9d66", "#5fd39a", "#d79bf2", "#ff86b3", "#5fd0db", "#e0bd4f", "#a3a7ff")
"""The colours of VLANs, in the order of their tags."""

_CLASSES = {
    BoxKind.JAIL: "jail",
    BoxKind.SHARED: "shared",
    BoxKind.STOPPED: "stopped",
    BoxKind.HOST: "stack",
    BoxKind.PATCH: "patch",
    BoxKind.CARD: "card",
    NetKind.BRIDGE: "bridge",
    NetKind.WIRE: "wire",
    NetKind.LINK: "link",
    None: "host",
}
_STYLE = """\
svg{--bg:#fff;--fg:#1c2733;--soft:#5b6b7b;--edge:#9aa9b8;--host:#f4f7fa;--jail:#fff;--line:#52636f;--bar:#dbe7f3;\
--baredge:#5f87ad;--card:#e9edf1;--wire:#e8e2d4;--wireedge:#a3937a;--nat:#b3400a;--halo:#f4f7fa}
@media (prefers-color-scheme:dark){svg{--bg:#10161d;--fg:#e4ebf2;--soft:#9fb0c0;--edge:#566878;--host:#18212b;\
--jail:#222e3a;--line:#9db0c1;--bar:#24405c;--baredge:#6c9bc8;--card:#2b3743;--wire:#3a3428;--wireedge:#a08e6c;\
--nat:#ff9d66;--halo:#18212b}}
text{fill:var(--fg);font-family:system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif}
.mono,.bar-text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
.lab{font-size:20px;font-weight:600}.host-name{font-size:16px;font-weight:600}.title{font-size:13px;font-weight:600}
.mono,.note{font-size:11px}.bar-text{font-size:12px}.note{fill:var(--soft)}
.m{text-anchor:middle}.halo{paint-order:stroke;stroke:var(--halo);stroke-width:3px}
.bg{fill:var(--bg)}.host{fill:var(--host);stroke:var(--edge)}.jail{fill:var(--jail);stroke:var(--line)}
.shared,.stopped{fill:var(--jail);stroke:var(--edge);stroke-dasharray:5 3}.stopped{opacity:.7}
.stack,.patch,.card{fill:var(--card);stroke:var(--edge)}.bridge{fill:var(--bar);stroke:var(--baredge)}
.wire{fill:var(--wire);stroke:var(--wireedge)}.off{stroke-dasharray:4 4}
.l{fill:none;stroke:var(--line);stroke-width:1.5}.many{stroke-width:3}.thick{stroke:var(--baredge);stroke-width:6}
.wide{stroke:var(--wireedge)}.routed{stroke:var(--nat);stroke-dasharray:6 4}.cut{stroke-dasharray:2 5}
.dot{fill:var(--line)}.pill{fill:var(--nat)}.on-pill{fill:var(--bg);font-weight:700}
"""


def as_svg(picture: Picture, drawing: Drawing) -> str:
    """The drawing as a file."""
    tags = {tag: number % len(LIGHT) for number, tag in enumerate(picture.tags)}
    return "".join(f"{line}\n" for line in _file(picture, drawing, tags))


def _file(picture: Picture, drawing: Drawing, tags: dict[int, int]) -> Iterator[str]:
    wide, high = _n(drawing.width), _n(drawing.height)
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" '
        'role="img" aria-labelledby="title desc">'
    )
    yield f'<title id="title">{escape(picture.name)}</title>'
    yield f'<desc id="desc">{escape(_described(picture))}</desc>'
    yield f"<style>\n{_STYLE}{_tag_style(sorted(set(tags.values())))}</style>"
    yield f'<rect class="bg" width="{wide}" height="{high}"/>'
    bars = [shape for shape in drawing.shapes if isinstance(shape.kind, NetKind)]
    yield from (line for shape in drawing.shapes if shape.kind is None for line in _shape(shape, tags))
    yield from (_line(line, tags) for line in drawing.lines)
    yield from (line for shape in bars for line in _shape(shape, tags))
    for shape in drawing.shapes:
        if isinstance(shape.kind, BoxKind):
            yield from _shape(shape, tags)
    yield from _dots(drawing.lines, tags)
    yield from (line for text in drawing.texts for line in _text(text))
    yield "</svg>"


def _described(picture: Picture) -> str:
    parts = [picture.summary()]
    for host in picture.hosts:
        names = [f"{box.title} ({box.count})" if box.count > 1 else box.title for box in host.boxes]
        bridges = [net.title for net in host.nets if net.kind is NetKind.BRIDGE]
        parts.append(f"{host.name}: {', '.join((*names, *bridges)) or 'no jails'}")
    return ". ".join(parts) + "."


def _tag_style(numbers: Sequence[int]) -> str:
    if not numbers:
        return ""
    light = "".join(f".t{number}{{--tag:{LIGHT[number]}}}" for number in numbers)
    dark = "".join(f".t{number}{{--tag:{DARK[number]}}}" for number in numbers)
    return (
        f"{light}\n@media (prefers-color-scheme:dark){{{dark}}}\n"
        ".tag.l,.tag.bridge{stroke:var(--tag)}.tag.l{stroke-width:2.5}.tag.bridge{stroke-width:2}.tag.dot{fill:var(--tag)}\n"
    )


def _shape(shape: Shape, tags: dict[int, int]) -> Iterator[str]:
    classes = [_CLASSES[shape.kind], *_tag_classes(shape.tag, tags), *(["off"] if shape.cut else [])]
    radius = 10 if shape.kind is None else 5
    size = f'width="{_n(shape.width)}" height="{_n(shape.height)}" rx="{radius}"'
    for back in (6, 3) if shape.count > 1 else ():
        yield f'<rect class="{classes[0]}" x="{_n(shape.x + back)}" y="{_n(shape.y - back)}" {size}/>'
    yield f'<rect class="{" ".join(classes)}" x="{_n(shape.x)}" y="{_n(shape.y)}" {size}/>'


def _line(line: Line, tags: dict[int, int]) -> str:
    classes = ["l", *_tag_classes(line.tag, tags)]
    named = (("many", line.many), ("thick", line.thick), ("routed", line.routed), ("cut", line.cut))
    classes += [name for name, given in named if given]
    first, *rest = line.points
    path = f"M{_n(first[0])} {_n(first[1])}" + "".join(f"L{_n(x)} {_n(y)}" for x, y in rest)
    return f'<path class="{" ".join(classes)}" d="{path}"/>'


def _dots(lines: Sequence[Line], tags: dict[int, int]) -> Iterator[str]:
    for line in lines:
        if line.dot:
            x, y = line.points[-1]
            classes = " ".join(("dot", *_tag_classes(line.tag, tags)))
            yield f'<circle class="{classes}" cx="{_n(x)}" cy="{_n(y)}" r="3"/>'


def _text(text: Text) -> Iterator[str]:
    name = text.style.value[0]
    classes = [str(name), *(["m"] if text.middle else []), *(["on-pill"] if text.pill else [])]
    if text.style.name == "MONO" and not text.middle:
        classes.append("halo")
    if text.pill:
        wide = width(text.text, text.style) + 12
        place = f'x="{_n(text.x - wide / 2)}" y="{_n(text.y - 11)}"'
        yield f'<rect class="pill" {place} width="{_n(wide)}" height="15" rx="7"/>'
    yield f'<text class="{" ".join(classes)}" x="{_n(text.x)}" y="{_n(text.y)}">{escape(text.text, quote=False)}</text>'


def _tag_classes(tag: int | None, tags: dict[int, int]) -> list[str]:
    return ["tag", f"t{tags[tag]}"] if tag is not None else []


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
