"""RAFT where no answer of a step is right: nothing is learnt, nothing is broken, and it is counted."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch

import reckon
from recipes.setup import arithmetic

PROBLEMS = [{"prompt": f"{n}+1="} for n in range(6)]


@pytest.fixture
def made(one_thread: None) -> dict[str, Any]:
    tokenizer = arithmetic.make_tokenizer()
    torch.manual_seed(0)
    return {"tokenizer": tokenizer, "model": arithmetic.make_model(len(tokenizer), hidden=16, layers=1)}


@pytest.mark.parametrize("kl", [None, reckon.KL(0.1)])
def test_a_step_without_a_right_answer_leaves_the_policy_as_it_is(kl: Any, made: dict[str, Any], tmp_path: Path) -> None:
    asked = [0]

    def reward(problem: Any, response: str) -> bool:
        """Right are only some of the second step's: a step asks for three problems with four answers."""
        asked[0] += 1
        return 12 < asked[0] <= 24 and asked[0] % 3 == 0

    before = copy.deepcopy(made["model"].state_dict())
    states: list[dict[str, Any]] = []
    options: dict[str, Any] = {
        "problems": PROBLEMS, "reward": reward, "engine": reckon.HF(), "problems_per_step": 3, "completions_per_problem": 4,
        "max_completion_length": 5, "lr": 1e-2, "warmup": 0, "system_prompt": "", "algorithm": reckon.RAFT(), "tune": reckon.Full(),
        "kl": kl, "checkpoint_every": 1,
    }  # fmt: skip
    run = reckon.grpo(**made, **options, run=tmp_path / "run", steps=1)
    states.append(copy.deepcopy(run.model.state_dict()))
    run = reckon.grpo(**made, problems=PROBLEMS, reward=reward, resume=tmp_path / "run", steps=3)
    _, first, second, third = run.metrics
    for row in (first, third):
        assert (row["verdicts/right"], row["groups_all_wrong"], row["updates"], row["skipped_updates"]) == (0, 1.0, 0, 0)
        assert (row["loss"], row["grad_norm"], row["effective_batch"], row["trained_sequences"]) == (0, 0, 0, 0)
    assert second["verdicts/right"] == second["effective_batch"] == 4
    assert second["updates"] == 1
    assert second["grad_norm"] > 0
    for row in run.metrics:
        assert all(math.isfinite(value) for value in row.values())
    assert all(torch.equal(tensor, states[0][name]) for name, tensor in before.items())
    assert not torch.equal(run.model.state_dict()["lm_head.weight"], before["lm_head.weight"])
