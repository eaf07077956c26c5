"""Ctrl-C and SIGTERM anywhere: within seconds, with what can be kept; and the lines that a wait is filled with."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from rl.runs.run_folder import Position, RunFolder, read_lines
from rollout.interruption import Interrupted, interruptible, raise_if_interrupted, stage, uninterrupted
from rollout.progress import Progress, Screen, clock_time, shown_on, watched
from verifiers.problem import Problem
from verifiers.verdict import Verdict, right, wrong

STEPS = 3


def ctrl_c_and_wait(number: int = signal.SIGINT) -> None:
    """As a user in the middle of something that takes for ever."""
    os.kill(os.getpid(), number)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(0.01)
    raise AssertionError("nobody was interrupted")


def verify(pairs: Iterable[tuple[Problem, str]]) -> list[Verdict]:
    """Every second one is right, so that every group teaches something."""
    return [right() if number % 2 else wrong() for number, _ in enumerate(pairs)]


@pytest.fixture
def live(one_thread: None, tokenizer: Any, tmp_path: Path) -> Callable[..., Any]:
    """(evaluate, wrap, disturb) -> (position, what was said, folder, policy), of a run that is begun or continued."""
    import torch

    from recipes.setup.arithmetic import make_model, make_problems
    from rl.learning.policy import Policy
    from rl.learning.schedule import Schedule
    from rl.loop.train import Loop, train
    from rl.objectives.algorithms import named
    from rl.runs.tracking import Tracker
    from rollout.chat import Chat
    from rollout.engine import Sampling
    from rollout.engines.hf_engine import HFEngine
    from rollout.player import Player

    def run(
        name: str = "run", *, evaluate: Any = None, engine: Callable[[Any], Any] = lambda engine: engine, disturb: Any = None,
        updates: int = 1,
    ) -> Any:  # fmt: skip
        path = tmp_path / name
        folder = RunFolder.open(path)[0] if path.exists() else RunFolder.create(path, {"options": {}})
        torch.manual_seed(0)
        chat = Chat(tokenizer)
        policy = Policy(make_model(len(tokenizer), hidden=16, layers=1), tokens_per_micro_batch=64)
        if disturb:
            disturb(policy)
        tracker = Tracker(folder.metrics_path, steps=STEPS)
        tracker.console.quiet = True
        said: list[str] = []
        tracker.say = said.append  # type: ignore[method-assign]
        loop = Loop(steps=STEPS, problems_per_step=3, lr=Schedule(1e-2, STEPS), updates_per_rollout=updates, seed=5)
        problems = make_problems(9, seed=3, digits=1)
        player = Player(engine(HFEngine(pad_id=chat.pad_id)), chat, Sampling(6, 4, stop_ids=chat.stop_ids), verify)
        with tracker:
            position = train(
                loop=loop, policy=policy, player=player, problems=problems, algorithm=named("grpo", max_completion_length=6),
                run=folder, tracker=tracker, evaluate=evaluate or (lambda step: {}),
            )  # fmt: skip
        return position, said, folder, policy

    return run


class AtStep:
    """An engine that is interrupted in its n-th call of `generate`."""

    def __init__(self, engine: Any, call: int):
        self.engine, self.call, self.calls = engine, call, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def generate(self, *arguments: Any) -> Any:
        self.calls += 1
        if self.calls == self.call:
            ctrl_c_and_wait()
        return self.engine.generate(*arguments)


def same_weights(one: Any, other: Any) -> bool:
    return all((a == b).all() for a, b in zip(one.model.parameters(), other.model.parameters(), strict=True))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_in_the_evaluation_before_the_first_step(live: Callable[..., Any], number: int) -> None:
    position, said, folder, _ = live(evaluate=lambda step: ctrl_c_and_wait(number))
    assert position == Position()
    assert said == ["interrupted in the evaluation before the first step: nothing was learnt yet, so only the run's options are kept"]
    assert not list(folder.checkpoints.glob("step-*"))
    assert live()[0].step == STEPS, "the run can be continued"


def test_ctrl_c_in_sampling_keeps_the_last_step_and_goes_on_as_if_undisturbed(live: Callable[..., Any]) -> None:
    position, said, folder, _ = live(engine=lambda engine: AtStep(engine, 3))
    assert position.step == 2
    assert said[-1].startswith("interrupted in the sampling of step 3: kept is all up to the end of step 2, with a checkpoint")
    assert (folder.checkpoints / "step-000002" / "position.json").exists()
    assert [row["step"] for row in read_lines(folder.metrics_path)] == [0, 1, 2]
    position, _, _, resumed = live()
    assert position.step == STEPS
    assert same_weights(resumed, live("undisturbed")[3])


@pytest.mark.parametrize(
    ("updates", "kept"), [(1, "kept is all up to the end of step 1"), (2, "the checkpoint of step 0 and the rollouts")]
)
def test_ctrl_c_in_an_update_keeps_a_whole_policy(live: Callable[..., Any], updates: int, kept: str) -> None:
    """In the backward pass of step 2; with two updates a step the first of them is done by then."""

    def disturb(policy: Any) -> None:
        original = policy._loss

        def loss(*arguments: Any) -> Any:
            value = original(*arguments)
            if policy.version == 2 * updates - 1:
                value.register_hook(lambda gradient: ctrl_c_and_wait())
            return value

        policy._loss = loss

    position, said, _, _ = live(disturb=disturb, updates=updates)
    assert position.step == 1
    assert said[-1].startswith("interrupted in the update of step 2: ")
    assert kept in said[-1]
    position, _, _, resumed = live(updates=updates)
    assert position.step == STEPS
    assert same_weights(resumed, live("undisturbed", updates=updates)[3])


def test_a_layer_lets_the_backward_pass_be_interrupted(one_thread: None, tokenizer: Any) -> None:
    import torch

    from recipes.setup.arithmetic import make_model
    from rl.learning.policy import Policy

    policy = Policy(make_model(len(tokenizer), hidden=16, layers=2))
    logits = policy.model(torch.zeros(1, 3, dtype=torch.long)).logits.sum()
    logits.backward()  # nobody asked: nothing happens
    logits = policy.model(torch.zeros(1, 3, dtype=torch.long)).logits.sum()
    state: list[BaseException] = []
    with interruptible():
        with contextlib.suppress(Interrupted):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(60)
        thread = threading.Thread(target=lambda: _caught(logits.backward, state))  # `check` of another thread always raises
        thread.start()
        thread.join(60)
    assert isinstance(state[0], Interrupted)


def _caught(call: Callable[[], Any], into: list[BaseException]) -> None:
    try:
        call()
    except BaseException as error:  # noqa: BLE001  # handed to the test
        into.append(error)


@pytest.mark.parametrize("rows", [1, 5])
def test_ctrl_c_between_two_tokens_of_transformers_generate(
    one_thread: None, tokenizer: Any, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interruption comes with the third token of a hundred, and the model is left as it was."""
    from recipes.setup.arithmetic import make_model
    from rollout.engine import PolicyWeights, Sampling
    from rollout.engines.hf_engine import HFEngine

    model = make_model(len(tokenizer), hidden=16, layers=1)
    model.train()
    defaults = model.generation_config
    engine = HFEngine(pad_id=0)
    engine.load_policy(PolicyWeights(model), 0)

    tell = Progress.sampled

    def sampled(progress: Progress, tokens: int, ended: int, share: float) -> None:
        tell(progress, tokens, ended, share)
        if progress.tokens == 3 * rows:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Progress, "sampled", sampled)
    with interruptible(), watched("sampling", rows, after=60.0) as progress, pytest.raises(Interrupted):
        engine.generate([[5, 6]] * rows, Sampling(60))
    assert progress.tokens <= 4 * rows
    assert model.training
    assert model.generation_config is defaults


def test_what_is_whole_is_done_before_the_interruption_is_heard() -> None:
    done = []

    def work() -> None:
        with uninterrupted():
            with uninterrupted():
                os.kill(os.getpid(), signal.SIGINT)
                done.append(1)
            done.append(2)
        done.append(3)

    with interruptible():
        with pytest.raises(Interrupted):
            work()
        assert done == [1, 2]
        with pytest.raises(Interrupted):
            raise_if_interrupted()
    raise_if_interrupted()


def test_an_interruption_says_what_it_interrupted_and_what_is_kept() -> None:
    def load() -> None:
        with stage("loading the model", "nothing was written yet"):
            ctrl_c_and_wait()

    with interruptible(), pytest.raises(Interrupted, match=r"^loading the model; nothing was written yet$"):
        load()


def test_progress_has_a_rate_and_the_time_left() -> None:
    ago = time.monotonic() - 60
    progress = Progress("evaluating 50 held-out problems, up to 1,024 tokens each", 50, began=ago)
    assert str(progress) == "evaluating 50 held-out problems, up to 1,024 tokens each: 0/50"
    progress.finished(12)
    assert str(progress) == "evaluating 50 held-out problems, up to 1,024 tokens each: 12/50, 3:10 left"  # 60 s / 12 x 38
    counted = Progress("sampling", 8, began=ago)
    counted.begin_call()
    counted.sampled(600, 2, 0.25)
    assert str(counted) == "sampling: 2/8, 3:00 left at most, 10 tokens/s"
    several = Progress("sampling", 8, began=ago, calls=2)
    several.begin_call()
    several.sampled(600, 1, 0.5)  # half of the first of two calls
    assert str(several) == "sampling: 1/8, 3:00 left at most, 10 tokens/s"
    several.finished(4)
    several.begin_call()
    several.sampled(600, 1, 0.5)
    assert str(several) == "sampling: 5/8, 0:20 left at most, 20 tokens/s"
    turns = Progress("sampling", 8, began=ago, in_turns=True)
    turns.sampled(600, 8, 0.9)
    assert str(turns) == "sampling: 0/8, 10 tokens/s"
    assert str(Progress("loading m", 0, began=ago)) == "loading m (1:00 so far)"
    assert clock_time(7390) == "2:03:10"


def test_a_wait_without_a_terminal_is_filled_with_lines(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    heard = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        heard.set()

    with shown_on(Screen(say)), watched("evaluating", 3, after=0.01) as progress:
        progress.finished(1)
        assert heard.wait(60)
    assert said[0].startswith("evaluating: ")
    with shown_on(Screen(said.append, live=True)) as _, watched("evaluating", 3, after=0.0):
        pass
    assert len(said) == 1, "a live display shows it instead"


def test_an_evaluation_tells_how_far_it_is(one_thread: None, tokenizer: Any) -> None:
    """Every token of transformers' generate counts, and every problem whose completion is there."""
    from recipes.setup.arithmetic import make_model, make_problems
    from rl.evaluation.accuracy import evaluate
    from rollout.chat import Chat
    from rollout.engine import PolicyWeights, Sampling
    from rollout.engines.hf_engine import HFEngine
    from rollout.player import Player

    engine, chat = HFEngine(pad_id=0, max_sequences=2), Chat(tokenizer)
    engine.load_policy(PolicyWeights(make_model(len(tokenizer), hidden=16, layers=1)), 0)
    screen = Screen(live=True)
    lines: list[Any] = []

    def watching(pairs: Iterable[tuple[Problem, str]]) -> list[Verdict]:
        verdicts = verify(pairs)
        assert screen.progress
        lines.append((screen.progress.text, screen.progress.done, screen.progress.total, screen.progress.tokens))
        return verdicts

    with shown_on(screen):
        player = Player(engine, chat, Sampling(7, 4, stop_ids=chat.stop_ids), watching)
        _, groups = evaluate(make_problems(5, seed=3, digits=1), player)
    sampled = sum(len(group.completions[0].tokens) for group in groups)
    assert lines == [("evaluating 5 held-out problems, up to 7 tokens each", 5, 5, sampled)]
    assert screen.progress is None


def test_a_wait_for_a_server_in_another_thread_hears_of_the_interruption() -> None:
    """As when the next rollout is sampled ahead, from a server that takes questions and never answers."""
    import socket

    from rollout.engines.server_http import JsonServer

    state: list[BaseException] = []
    with socket.create_server(("127.0.0.1", 0)) as silent, interruptible():
        server = JsonServer(f"http://127.0.0.1:{silent.getsockname()[1]}")
        questions = server.ask_each("/v1/completions", [{"prompt": [1]}] * 3, timeout=600.0, at_once=2, longest=lambda body: 1000)
        thread = threading.Thread(target=lambda: _caught(lambda: next(questions), state))
        thread.start()
        with silent.accept()[0]:
            with contextlib.suppress(Interrupted):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(60)
            thread.join(60)
        assert not thread.is_alive()
    assert isinstance(state[0], Interrupted)
