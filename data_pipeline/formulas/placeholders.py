"""The characters that stand for a formula, or for code, in text that is still worked on.

A formula is its index between `OPEN` and `CLOSE`, code its index between `CODE_OPEN` and `CODE_CLOSE`: characters of the private use area,
which are taken out of every page before anything else happens to it, so that none can come from there.
"""

import re

OPEN, CLOSE = "\ue000", "\ue001"
CODE_OPEN, CODE_CLOSE = "\ue002", "\ue003"
RESERVED = (OPEN, CLOSE, CODE_OPEN, CODE_CLOSE)
PLACEHOLDER = re.compile(f"{OPEN}([0-9]{{1,9}}){CLOSE}")
CODE_PLACEHOLDER = re.compile(f"{CODE_OPEN}([0-9]+){CODE_CLOSE}")


def placeholder(index: int) -> str:
    return f"{OPEN}{index}{CLOSE}"


def code_placeholder(index: int) -> str:
    return f"{CODE_OPEN}{index}{CODE_CLOSE}"
