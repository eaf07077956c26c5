"""Verdicts of stored rollouts explained: judged once more by verifiers that can tell, as many as were asked for.

It runs what the run's rewards name, code of a user's own too, so nothing is explained unless it is asked for.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recipes.looking.explanation import Explainer
from verifiers.problem import make_problem
from verifiers.verdict import Status, Verdict


@dataclass
class Explanations:
    """How many rollouts are still to be explained, and who explains."""

    wanted: int = 0
    explainer: Explainer | None = None

    def of(self, table: Any) -> Callable[[int], list[str] | None]:
        """A function from a row of the table to its lines; None for one that is not explained."""
        if not self.explainer or self.wanted <= 0 or "problem_row" not in table.schema.names:
            return lambda row: None
        explainer = self.explainer

        def explain(row: int) -> list[str] | None:
            if self.wanted <= 0:
                return None
            self.wanted -= 1
            found = {name: table.column(name)[row].as_py() for name in ("problem_row", "response", "score", "status", "detail", "parts")}
            return explained_lines(explainer, found)

        return explain


def explaining(count: int, run: Path, deadline: float) -> AbstractContextManager[Explainer | None]:
    """Who explains the verdicts of a run, by the rewards of its options or else its problems' own."""
    return Explainer(rewards_of(run), deadline=deadline) if count else nullcontext()


def rewards_of(run: Path) -> Sequence[str]:
    try:
        options = json.loads((run / "config.json").read_text(encoding="utf-8"))["options"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()
    found = options.get("reward") if isinstance(options, dict) else None
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else ()


def explained_lines(explainer: Explainer, row: Mapping[str, Any]) -> list[str] | None:
    """Of a row of a store with its `problem_row`; None for one that no run writes."""
    try:
        told = json.loads(row["problem_row"])
        problem = make_problem(told["prompt"], told["answer"], verifier=told["verifier"], meta=told["meta"])
        verdict = Verdict(row["score"], Status(row["status"]), row["detail"] or "", dict(row["parts"] or ()))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return explainer.lines(problem, row["response"] or "", verdict)
