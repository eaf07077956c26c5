"""One file of input and what is made of it: the shape that every step of one file has, wherever it runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class FileWork:
    """A task gets one, writes its outputs, whole, named by `key`, under `out`, and returns counts that are JSON."""

    key: str
    """Stem of the outputs' names."""
    source: str
    """Path or address of the input file."""
    out: str
    """Folder, or fsspec place, of the outputs."""
    config: str
    """Hash of everything that decides the outputs."""
    options: Mapping[str, Any]
    """JSON values."""


Tell = Callable[[Mapping[str, Any]], None]
"""Progress of one file, as often as the task likes."""
