"""Labelled pages whose label is disputed, with the reason. Bars are judged with all pages; figures without these stand beside them."""

from pathlib import PurePosixPath

_REASONS = {
    (
        "octave-doc",
        "XREF",
    ): 'a redirect of one line ("The node you are looking for is at ..."): nine words, no mathematics, labelled math_plain',
}
"""By source and how the name of the page begins, behind the path that its source gives to all."""
_TEXT = "The node you are looking for is at"


def why_disputed(source: str, path: str, text: str) -> str | None:
    """The reason, if the page is listed; it must also be what the reason says."""
    name = PurePosixPath(path).name.rpartition("octave.html_")[2]
    for (listed, start), reason in _REASONS.items():
        if source == listed and name.startswith(start) and _TEXT in " ".join(text.split()):
            return reason
    return None
