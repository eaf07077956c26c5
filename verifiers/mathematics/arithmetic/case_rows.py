"""The rows of a case distinction: the call "cases" has three arguments for each, its value, a relation, and a difference of two sides.

A row holds where its difference has a sign that its relation allows; the first that holds gives the value. A relation is stored as a
number, since arguments are expressions. > and >= are written with the sides the other way round.
"""

from fractions import Fraction

RELATION_NUMBER = {"<": 0, "\\le": 1, "=": 2, "\\ne": 4}
OTHERWISE = 3
_SIGNS = {0: (-1,), 1: (-1, 0), 2: (0,), OTHERWISE: (-1, 0, 1), 4: (-1, 1)}


def row_holds(relation: Fraction | None, sign: int) -> bool:
    """Whether a row of this relation holds where its difference is negative (-1), zero (0) or positive (1)."""
    return relation is not None and sign in _SIGNS.get(int(relation), ())
