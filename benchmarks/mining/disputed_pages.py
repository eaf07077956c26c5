"""Labelled pages whose label is disputed, with the reason. Bars are judged with all pages; figures without these stand beside them."""

from pathlib import PurePosixPath

STUB = "The node you are looking for is at"
_WHY = f'a redirect of one line ("{STUB} ..."): nine words, no mathematics, labelled math_plain'


def why_disputed(source: str, path: str, text: str) -> str | None:
    """The reason, for the pages XREF... of octave-doc; each must also be what the reason says."""
    name = PurePosixPath(path).name.rpartition("octave.html_")[2]  # behind the path that its source gives to all
    return _WHY if source == "octave-doc" and name.startswith("XREF") and STUB in " ".join(text.split()) else None
