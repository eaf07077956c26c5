"""Answers that were once judged wrongly: what is false is refused, and all that is true is taken but for a few, each with its reason."""

import json
from pathlib import Path

from verifiers.mathematics.equality.math_answer import verify
from verifiers.problem import make_problem

REFUSED = {
    r"(a, b, c) \text{ such that } (a - b, b - c, c - a) \text{ is } (1, 1, -2), (-2, 1, 1), \text{ or } (1, -2, 1)":
        "a set described in words, against another description of it: neither is read",
    "A": "the gold is a letter and a sentence, 'A Peter Celina bum', in which nothing says that the letter alone is the answer",
    "7/3x+x=15": "7/3x is 7/(3x) to some and (7/3)x to others, and the equation has another solution then",
    "a*(1+sqrt(2))=b": "the gold says a = b (√2 - 1) / 3, which is a third of that: the label is wrong",
    r"\,R\text{ is the unique positive root of }2R^{3}-17R-15=0" "\n" r"\;(\;R\approx 3.284\;)":
        "a number described by an equation, which is no value; its decimal is said to be approximate",
    "No explicit final. But here's some text 2 and 10": "it says itself that it has no final answer, and names two numbers",
    r"3 1\frac{1}{2}": "three, and one and a half: no way to write 9/2 that could not be a slip",
}  # fmt: skip
"""By answer: labelled right, and refused on purpose."""


def test_answers_that_were_judged_wrongly(data_dir: Path):
    rows = [json.loads(line) for line in (data_dir / "faults" / "answers.jsonl").read_text(encoding="utf-8").strip().split("\n")]
    assert len(rows) >= 182
    taken, refused = {True: 0, False: 0}, []
    for row in rows:
        response = row["pred"] if row["as"] == "response" else rf"\boxed{{{row['pred']}}}"
        if verify(make_problem("?", str(row["gold"])), response).score == 1.0:
            taken[row["label"]] += 1
        elif row["label"]:
            refused.append(row["pred"])
    assert taken[False] == 0
    assert taken[True] >= 0.95 * sum(row["label"] for row in rows)
    assert set(refused) <= REFUSED.keys(), "refused without a reason"
