"""Labelled steps as rows of a file: our own form, and that of TRL's stepwise supervision.

    {"prompt": messages or text, "response": text, "steps": [{"end": 12, "score": 1.0, "right": 5, "judged": 8}, ...], "score": ..., ...}
    {"prompt": text, "completions": [text of each step], "labels": [true, false]}                          --format trl

`end` is in characters of the response, `right` of `judged` roll-outs from there were right. The score is hard (1 if any was right) or soft
(the share that was), Math-Shepherd's two estimates (arXiv:2312.08935, section 3.3). The last step's is the response's own verdict.
"""

from collections.abc import Sequence
from typing import Any, Literal

from recipes.labelling.step_states import Cut, Estimate
from recipes.selection.training_text import facts_of, prompt_of
from verifiers.steps.step_text import texts

Labels = Literal["hard", "soft"]


def score_of(estimate: Estimate, labels: Labels) -> float:
    if labels == "hard" or not estimate.judged:
        return float(estimate.right > 0)
    return estimate.right / estimate.judged


def labelled_row(cut: Cut, estimates: Sequence[Estimate], labels: Labels) -> dict[str, Any]:
    """A row in our own form."""
    steps = [
        {"end": end, "score": score_of(estimate, labels), "right": estimate.right, "judged": estimate.judged}
        for end, estimate in zip(cut.ends, estimates, strict=True)
    ]
    response = cut.response
    return {"prompt": prompt_of(response), "response": response.text, "steps": steps, "score": response.score, **facts_of(response)}


def stepwise_row(cut: Cut, estimates: Sequence[Estimate]) -> dict[str, Any]:
    """A row as TRL's PRMTrainer reads it, of hard labels. Its steps are without the space around them: it puts its own between them."""
    prompt = prompt_of(cut.response)
    return {
        "prompt": prompt if isinstance(prompt, str) else "\n\n".join(message["content"] for message in prompt),
        "completions": [text.strip() for text in texts(cut.response.text, cut.ends)],
        "labels": [estimate.right > 0 for estimate in estimates],
    }
