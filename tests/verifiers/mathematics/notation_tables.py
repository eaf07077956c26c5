"""Tables of expressions for tests: a pair a line, `one ~ other`, under a comment that names their kind."""

import pytest


def pairs(table: str) -> list[object]:
    """The lines, each named by the comment above it."""
    found, kind = [], ""
    for line in table.strip().splitlines():
        if line.startswith("# "):
            kind = line[2:].replace(" ", "_")
        else:
            found.append(pytest.param(*line.split(" ~ "), id=f"{kind}-{line}"))
    return found
