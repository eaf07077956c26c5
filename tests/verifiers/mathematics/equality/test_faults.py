"""Answers that were once judged wrongly: what is false is refused, and nearly all that is true is taken."""

import json
from pathlib import Path

from verifiers.mathematics.equality.math_answer import verify
from verifiers.problem import make_problem


def test_answers_that_were_judged_wrongly(data_dir: Path):
    rows = [json.loads(line) for line in (data_dir / "faults" / "answers.jsonl").read_text(encoding="utf-8").strip().split("\n")]
    taken = {True: 0, False: 0}
    for row in rows:
        response = row["pred"] if row["as"] == "response" else rf"\boxed{{{row['pred']}}}"
        taken[row["label"]] += verify(make_problem("?", str(row["gold"])), response).score == 1.0
    assert taken[False] == 0
    assert taken[True] >= 0.95 * sum(row["label"] for row in rows)
