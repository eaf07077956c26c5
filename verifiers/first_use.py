"""Regular expressions that are compiled when they are first used: importing a verifier stays quick, and most answers need few of them."""

import re
from typing import Any, cast


class _Pattern:
    """Has the methods of the compiled pattern; each is looked up once."""

    def __init__(self, source: str) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        method = getattr(re.compile(self._source), name)
        setattr(self, name, method)
        return method


def compiled(source: str) -> re.Pattern[str]:
    """`re.compile(source)`, put off until one of its methods is asked for; flags stand in the source, as (?i).

    Not for `re.sub` and its like, which ask what kind of object they are given.
    """
    return cast("re.Pattern[str]", _Pattern(source))
