"""Pictures of labs: what is seen of one -> boxes and nets (gather) -> folded if large (fold) -> a format's text.

Mermaid, Graphviz and plain text are made of the boxes and nets; SVG and draw.io have places and lines (layout). Pure:
the same lab gives the same bytes. Nothing in here knows how a lab is brought up.
"""

from vjail.view.picture.fold import folded
from vjail.view.picture.formats import Format, rendered
from vjail.view.picture.gather import Marks, gather

__all__ = ["Format", "Marks", "folded", "gather", "rendered"]
