"""What a page is turned into by `block_builder.py`: a list of blocks of text and the boxes around them; and what it remembers of open
elements.
"""

from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(slots=True)
class Boxes:
    """The elements that hold blocks, as columns: the index of the one around each, its bits of `markup_cues.py` with its parents', and
    its own.
    """

    parents: list[int] = field(default_factory=lambda: [-1])
    zones: list[int] = field(default_factory=lambda: [0])
    owns: list[int] = field(default_factory=lambda: [0])


@dataclass(slots=True)
class Block:
    """A piece of text that stands on its own, with what is known about where."""

    kind: str
    """p, h1 ... h6, bold (a theorem's heading), code, table, dt, dd."""
    text: str
    links: int
    """Characters that stand in links."""
    box: int
    marker: str = ""
    """"-" or "3." for the first block of a list item."""
    indent: int = 0
    quote: int = 0
    language: str = ""


@dataclass(slots=True)
class Blocks:
    boxes: Boxes = field(default_factory=Boxes)
    blocks: list[Block] = field(default_factory=list)
    codes: list[str] = field(default_factory=list)
    hidden: int = 0
    """Characters of hidden elements that were left out."""
    largest_hidden: int = 0
    """Those of the largest of them."""


class Cell(NamedTuple):
    """Where a cell's blocks begin, whether it is a head, and its attributes."""

    first: int
    head: bool
    attrs: str


@dataclass(slots=True)
class OpenTable:
    attrs: str
    first: int
    box: int
    rows: list[list[Cell]] = field(default_factory=list)
    nested: bool = False


@dataclass(slots=True)
class OpenList:
    ordered: bool
    number: int
