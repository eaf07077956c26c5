"""KL of stored samples to a start: against log-softmax by hand, and the standard error over problems."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rl.learning.policy import Policy
from rl.loop.drift import drift
from rollout.engine import Completion
from rollout.player import Group
from rollout.store import RolloutStore, Source
from verifiers.input_error import InputError
from verifiers.problem import make_problem
from verifiers.verdict import Status, Verdict

TEMPERATURE = 0.7


def logps(model: Any, prompt: list[int], tokens: list[int]) -> list[float]:
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *tokens]])).logits[0].double() / TEMPERATURE
    every = logits.log_softmax(-1)
    return [every[len(prompt) - 1 + n, token].item() for n, token in enumerate(tokens)]


def test_of_two_problems(make_qwen2: Callable[..., Any], tmp_path: Path) -> None:
    policy, start = make_qwen2(0), make_qwen2(1)
    said = [[(5, 6, 7), (8, 9, 3)], [(4, 4), (2,)]]
    scores: list[list[float | None]] = [[1.0, 0.0], [0.5, None]]  # the last has no verdict
    groups, kl, difference = [], [], []
    for n, texts in enumerate(said):
        prompt, completions, verdicts, own = [n + 2, 3], [], [], []
        for text, score in zip(texts, scores[n], strict=True):
            tokens = list(text)
            given = logps(policy, prompt, tokens)
            sampled = [place != 1 or n for place in range(len(tokens))]  # a tool's token in the first group
            completions.append(Completion(tokens, given, [bool(each) for each in sampled], "stop", 0))
            verdicts.append(Verdict(score, Status.TIMEOUT if score is None else Status.RIGHT if score == 1 else Status.WRONG))
            gaps = [b - a for a, b, took in zip(given, logps(start, prompt, tokens), sampled, strict=True) if took]
            if score is not None:
                own.append((sum(math.exp(gap) - gap - 1 for gap in gaps), -sum(gaps)))
        kl.append(sum(each for each, _ in own) / len(own))
        difference.append(sum(each for _, each in own) / len(own))
        groups.append(Group(make_problem(str(n), ""), prompt, tuple(completions), ("",) * 2, tuple(verdicts)))
    RolloutStore(tmp_path, Source("m", "", False, TEMPERATURE)).write(1, groups, cursor=0)
    found = drift(tmp_path, Policy(start, device="cpu"))
    assert found.kl == pytest.approx(sum(kl) / 2, abs=1e-5)
    assert found.kl_error == pytest.approx(abs(kl[0] - kl[1]) / 2, abs=1e-5)  # sqrt(((d/2)^2 * 2 / 1) / 2) = d / 2
    assert found.kl_difference == pytest.approx(sum(difference) / 2, abs=1e-5)
    assert (found.reward, found.accuracy, found.completions) == (pytest.approx(0.5), pytest.approx(1 / 3), 3)
    assert found.length == pytest.approx((2 + 2 + 2) / 3)
    itself = drift(tmp_path, Policy(policy, device="cpu"))
    assert itself.kl == pytest.approx(0, abs=1e-9)


def test_nothing_to_measure_is_said(tmp_path: Path, tiny_qwen2: Any) -> None:
    with pytest.raises(InputError, match="holds no completion with a verdict"):
        drift(tmp_path, Policy(tiny_qwen2, device="cpu"))
