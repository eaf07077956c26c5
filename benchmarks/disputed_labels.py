r"""Rows of Math-Verify's own tests whose label is disputed, each with the reason; they are left out of the count."""

_ROWS: dict[str, list[tuple[str, str]]] = {
    "a comma is a decimal point in some countries and separates two answers in others": [
        ("1000.99", "1000,99"),
        ("1,22", "1.22"),
        ("0,111", "0.111"),
    ],
    "white space inside the dollar signs does not make a right answer wrong": [
        ("$9$", "Answer $ \n 9 \n $"),
        ("$9$", "Answer \\( \n 9 \n \\)"),
    ],
    "a chain with a false equality in it (7 = 11; half a dollar = 10/9; 1 = 0) states nothing": [
        ("$10/9$", "Answer $ \\frac{1}{2} \\$ = \\frac{10}{9} $"),
        ("$1 = \\zzz = x = 0$", "$0$"),
        ("$x = 11$", "$x = 5+5+1 = 7 =11$"),
        ("$x = 1/3$", "$x = 5+5+1 = 1/3 \\approx 11$"),
        ("$1/3$", "$x=1/3\\approx1.3$"),
        ("$z = 1 + 1 = 2$", "$z = 3+3 = 2$"),
    ],
    "the items are not the same multiset: 1,1,2 is not 1,2": [
        (
            "$(37,3,3,13),(17,3,3,7),(3,37,3,13),(3,17,3,7),(3,3,2,3)$",
            "$\\boxed{(3, 37, 3, 13), (3, 17, 3, 7), (3, 3, 2, 3), (3,17,3,7), (17,3,3,7), (37,3,3,13)}$",
        ),
    ],
    "a pair in round brackets is not a set": [("$(1,3)$", "${1,3}$")],
    "the sides would not be treated alike: x in [-2,7] is -2 <= x <= 7 whichever is the gold": [
        ("$x \\in [-2,7]$", "$-2 \\\\le x \\\\le 7$")
    ],
    "f(x) and f(y) are different values": [("$f(x)$", "$f(y)$")],
    "1 + 1/e is not 1 - 1/e": [("$1 - \\frac{1}{\\mathrm{e}}$", "$1 + \\frac{1}{\\mathrm{e}}$")],
    "the box is the answer, and a phrase behind it that says otherwise is none (VERIFIERS.md, failure 22)": [
        ("$10455$", "... Final Answer: The final answer is $10,455$. I hope it is correct.")
    ],
    "13 under \\text is 13, also where a string escape made a tab of its \\t": [("$\text{13}$", "$13$")],
}
DISPUTED: dict[tuple[str, str], str] = {pair: why for why, pairs in _ROWS.items() for pair in pairs}


def why_disputed(gold: str, pred: str) -> str | None:
    """The reason, if this row is listed; of a long response only the end is, behind three dots."""
    for (listed_gold, listed), why in DISPUTED.items():
        if gold == listed_gold and (pred == listed or (listed.startswith("...") and pred.endswith(listed[3:]))):
            return why
    return None
