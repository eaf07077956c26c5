"""What a step leaves of its tokens agrees with what is computed anew, however the update was cut."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recipes.setup.arithmetic import make_model, make_problems, make_tokenizer
from rl.evaluation.held_out import held_out_evaluation
from rl.learning.policy import Policy
from rl.learning.schedule import Schedule
from rl.loop.group_batch import batch_of_groups
from rl.loop.token_record import token_record, with_places
from rl.loop.train import Loop, train
from rl.objectives.algorithms import named
from rl.objectives.batch import split
from rl.runs.run_folder import RunFolder, read_lines
from rl.runs.tracking import Tracker
from rollout.chat import Chat
from rollout.engine import Sampling
from rollout.engines.hf_engine import HFEngine
from rollout.player import Player
from rollout.store import SCHEMA
from verifiers.verdict import Verdict, right, wrong

STEPS = 2
EASY = make_problems(4, seed=3, digits=1)[0].id


def verify(pairs: Iterable[tuple[Any, str]]) -> list[Verdict]:
    """Of one problem all are right, so that its group teaches nothing."""
    return [right() if problem.id == EASY or sum(map(ord, response)) % 2 == 0 else wrong() for problem, response in pairs]


def trained(path: Path, *, store_tokens: bool = True) -> tuple[RunFolder, Policy, list[Any]]:
    chat, problems = Chat(make_tokenizer()), make_problems(4, seed=3, digits=1)
    torch.manual_seed(0)
    policy = Policy(make_model(len(chat.tokenizer), hidden=16, layers=1), tokens_per_micro_batch=64)
    player = Player(HFEngine(pad_id=chat.pad_id), chat, Sampling(6, 3, stop_ids=chat.stop_ids), verify)
    loop = Loop(steps=STEPS, problems_per_step=4, lr=Schedule(0.0, STEPS), updates_per_rollout=2, seed=5, store_tokens=store_tokens)
    run = RunFolder.create(path, {"options": {}})
    tracker = Tracker(run.metrics_path, steps=STEPS)
    tracker.console.quiet = True
    with tracker:
        train(
            loop=loop, policy=policy, player=player, problems=problems, algorithm=named("grpo", max_completion_length=6), run=run,
            tracker=tracker, evaluate=held_out_evaluation({"": problems[:2], "hard": problems[2:]}, player, run.held_out, model="tiny"),
        )  # fmt: skip
    return run, policy, problems


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, Policy, list[Any]]:
    return trained(tmp_path_factory.mktemp("tokens") / "run")


def test_a_step_keeps_what_its_update_saw_of_each_token(run: tuple[RunFolder, Policy, list[Any]]) -> None:
    folder, policy, problems = run
    stored = folder.rollouts.read(1, {problem.id: problem for problem in problems})
    assert stored
    groups = stored[0]
    batch = batch_of_groups(groups, temperature=1.0)
    looked = policy.look(batch, ("logp", "entropy"))  # the learning rate is 0, so that nothing moved
    own = batch.completion.numpy()
    lengths = [len(completion.tokens) for group in groups for completion in group.completions]
    found = folder.tokens.read(1, lengths)
    assert found.keys() == {"advantage", "trains", "entropy", "log_ratio"}
    assert np.array_equal(found["trains"].astype(bool), batch.mask.numpy()[own])
    taught = found["advantage"] != 0
    assert taught.any()
    assert not taught.all(), "a group that teaches nothing is there too"
    ratio = (looked["logp"] - batch.column("sampler_logp")).numpy()[own]
    np.testing.assert_allclose(found["log_ratio"][taught], ratio[taught], atol=2e-6)
    np.testing.assert_allclose(found["entropy"][taught], looked["entropy"].numpy()[own][taught], rtol=2**-10)
    assert np.isnan(found["entropy"][~taught]).all(), "nothing was computed for groups that teach nothing"
    per_row = [scores for group in groups for scores in _zscores([verdict.score or 0.0 for verdict in group.verdicts])]
    np.testing.assert_allclose(found["advantage"], np.repeat(per_row, lengths), rtol=2**-9)


def _zscores(scores: list[float]) -> list[float]:
    spread = float(np.std(scores, ddof=1))
    return [(score - float(np.mean(scores))) / (spread + 1e-4) for score in scores]


def test_the_responses_to_held_out_problems_are_kept(run: tuple[RunFolder, Policy, list[Any]]) -> None:
    folder, _, problems = run
    known = {problem.id: problem for problem in problems}
    rows = {row["step"]: row for row in read_lines(folder.metrics_path)}
    for name, where in (("", "eval/"), ("hard", "eval/hard/")):
        for step in (0, STEPS):
            stored = folder.held_out(name).read(step, known)
            assert stored
            verdicts = [verdict.score for group in stored[0] for verdict in group.verdicts]
            assert np.mean([score == 1.0 for score in verdicts]) == rows[step][f"{where}accuracy"]
            assert len(verdicts) == rows[step][f"{where}total"] == 2


def test_a_run_that_keeps_none_learns_the_same(run: tuple[RunFolder, Policy, list[Any]], tmp_path: Path) -> None:
    other, _, _ = trained(tmp_path / "run", store_tokens=False)
    assert not other.tokens.folder.exists()
    assert _numbers(other) == _numbers(run[0])


def _numbers(folder: RunFolder) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if not key.startswith(("time/", "speed/", "sync/"))}
            for row in read_lines(folder.metrics_path)]  # fmt: skip


def test_the_last_pass_over_a_token_counts(run: tuple[RunFolder, Policy, list[Any]]) -> None:
    folder, policy, problems = run
    stored = folder.rollouts.read(2, {problem.id: problem for problem in problems})
    assert stored
    batch = with_places(batch_of_groups(stored[0], temperature=1.0))
    batch = batch.with_columns({"advantage": torch.ones(len(batch.tokens))})
    objective = named("grpo", max_completion_length=6).objective
    parts = list(split(batch, 2, 3)) * 2
    steps = [policy.update(part, objective, lr=0.0) for part in parts]
    for stats in steps[2:]:
        for _, terms in stats.seen:
            terms["logp"] += 1.0
    first, second = (token_record(batch, each)[1]["log_ratio"] for each in (steps[:2], steps))
    np.testing.assert_allclose(second, first + 1.0, atol=1e-5)


def test_files_of_other_completions_are_not_taken_for_these(run: tuple[RunFolder, Policy, list[Any]], tmp_path: Path) -> None:
    folder = run[0]
    assert folder.tokens.read(1, [3, 3]) == {}
    assert folder.tokens.read(99, []) == {}
    assert "entropy" not in SCHEMA.names, "the rollouts stay what a run is replayed from"
