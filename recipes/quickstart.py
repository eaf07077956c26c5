"""GRPO teaches a tiny model arithmetic, on any machine, in minutes.

    make demo                       # or: reckon quickstart

A Qwen2-type model of 0.3M parameters with a character tokenizer is made on the spot and warmed up by supervised fine-tuning on
sums and differences of two-digit numbers. Some solutions are worked out column by column, more give the answer at once; all are
right. The model learns to work problems out, but mostly answers at once, as most of its text did, and is then mostly wrong: it is
too small to add in its head. GRPO has verdicts alone, and finds out that thinking pays: responses grow, accuracy rises. The
problems and the final judge are reasoning-gym's. The loop is the one that trains real models: `rl/loop/train.py`.

Greedy accuracy on 500 held-out problems, seeds 0, 1, 2: from 6, 51 and 40 % to 92, 93 and 90 % with transformers' generate (205 to 296
seconds, one thread, busy machine); with `--engine vllm` to 89, 91 and 90 % (262 to 393 seconds: at this size vLLM's CPU build is no
faster). Each figure is within 3 points of the truth for its run.
"""

import random
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from recipes.actors.engines import make_engine, with_engine
from recipes.actors.ranks import served
from recipes.setup.command_line import guarded, parse_options
from recipes.setup.options import Options, check_options
from recipes.setup.resuming import resumed
from recipes.spelling.flat_options import word_of
from recipes.spelling.result_line import tell_result
from rollout.interruption import exit_code, interruptible, stage
from rollout.progress import watched
from verifiers.input_error import InputError

MAX_SEQUENCES = 1024


@dataclass(frozen=True, kw_only=True)
class Config(Options):
    """GRPO teaches a tiny model arithmetic, on any machine, in minutes."""

    steps: int = 60
    problems_per_step: int = 64
    completions_per_problem: int = 16
    max_completion_length: int = 40
    lr: float = 3e-4
    max_grad_norm: float = 0.3
    checkpoint_every: int = 20
    eval_every: int = 10
    run: Path = Path("runs/quickstart")
    problems: int = 8000
    """Training problems."""
    held_out: int = 500
    """Problems for evaluation, none of which is trained on."""
    digits: int = 2
    """Digits of each number."""
    hidden: int = 96
    """Width of the model."""
    layers: int = 2
    """Layers of the model."""
    worked_share: float = 0.4
    """Share of the warm start's solutions that are worked out; the others give the answer at once."""
    warm_start: float = 0.75
    """Accuracy on training problems, when made to think, at which the warm start ends and GRPO begins."""


def run(config: Config) -> int:
    """Everything: data, warm start, GRPO, plots, and the RESULT line. Returns the exit code."""
    config = with_engine(resumed(config))
    check_options(config)
    if config.held_out < 1:
        raise InputError(f"--held-out must be at least 1, not {config.held_out}: the RESULT line is about them")
    if served():
        return 0
    began = time.monotonic()
    with watched("loading torch and making the problems"):
        from recipes.actors.critics import check_critic, make_critic
        from recipes.actors.policies import check_policy_workers, make_policy
        from recipes.setup import arithmetic, online
        from rollout.chat import Chat

        online.check_place(config)
        algorithm = online.algorithm_of(config)
        check_critic(config, adapted=False)
        check_policy_workers(config)
        problems, held_out = load_data(config)
        chat = Chat(arithmetic.make_tokenizer())
    with interruptible(), online.verifier_pool(config, problems) as pool, online.open_run(config, [*problems, *held_out]) as folder:
        start = folder.path / "warm_start"
        if not start.exists():
            begun = stage("the warm start", f"nothing was learnt yet; --resume {folder.path} begins it again")
            with begun, watched("warm start: learning from written solutions"):
                warm_start(config, start, problems, chat, pool.verify_many)
        policy, reference = make_policy(config, str(start), algorithm=algorithm)
        critic = make_critic(config, policy, str(start))
        longest = max(len(chat.render(problem)) for problem in [*problems, *held_out]) + config.max_completion_length
        sampler = make_engine(config, policy=policy, chat=chat, max_sequences=MAX_SEQUENCES, longest=longest)
        with closing(policy), closing(sampler) as engine:
            player = online.make_player(config, engine, chat, pool.verify_many, pool.take_figures)
            outcome = online.train_online(
                config, name=word_of(type(config.algorithm)).upper(), run=folder, algorithm=algorithm, policy=policy,
                reference=reference, critic=critic, player=player, problems=problems,
                evaluate=_held_out_accuracy(held_out, player, folder, policy.name),
            )  # fmt: skip
    print(online.summary(outcome, folder), file=sys.stderr)
    if outcome.stopped:
        return exit_code()
    evaluations = [row for row in outcome.metrics if "eval/accuracy" in row]
    last = evaluations[-1]
    result = {
        "before": evaluations[0]["eval/accuracy"],
        "after": last["eval/accuracy"],
        "ci95": [round(last["eval/low"], 4), round(last["eval/high"], 4)],
        "seconds": round(time.monotonic() - began, 1),
        "steps": outcome.position.step,
    }
    folder.write_manifest(status="done", step=outcome.position.step, result=result)
    tell_result(result)
    return 0


def load_data(config: Config) -> tuple[list[Any], list[Any]]:
    """(training problems, held-out problems), disjoint."""
    from recipes.setup.arithmetic import make_problems
    from rl.loop.seeds import derive_seed

    held_out = make_problems(config.held_out, seed=derive_seed(config.seed, "held-out") >> 32, digits=config.digits)
    known = frozenset(problem.id for problem in held_out)
    return make_problems(config.problems, seed=derive_seed(config.seed, "train") >> 32, digits=config.digits, exclude=known), held_out


def plan_facts(config: Config) -> Any:
    """What `reckon plan` needs to know."""
    from recipes.setup import arithmetic
    from recipes.setup.memory import Facts
    from rollout.chat import Chat

    problems, held_out = load_data(config)
    chat = Chat(arithmetic.make_tokenizer())
    shape = arithmetic.model_shape(len(chat.tokenizer), **_model_sizes(config))
    return Facts(shape, None, "fp32", False, [len(chat.render(problem)) for problem in problems], MAX_SEQUENCES, len(held_out))


def _model_sizes(config: Config) -> dict[str, int]:
    return {"hidden": config.hidden, "layers": config.layers, "context": 64 * config.digits}


def _held_out_accuracy(problems: Sequence[Any], player: Any, folder: Any, model: str) -> Any:
    """Greedy accuracy by reasoning-gym's own scorer; a response without an answer tag is wrong."""
    from recipes.setup.arithmetic import judge
    from rl.evaluation.held_out import held_out_evaluation
    from verifiers.response_text.final_answer import tagged
    from verifiers.verdict import right, wrong

    def verify(pairs: Sequence[tuple[Any, str]]) -> list[Any]:
        return [right() if (answer := tagged(response)) and judge(problem, answer) else wrong() for problem, response in pairs]

    return held_out_evaluation({"": problems}, replace(player, verify=verify), folder.held_out, model=model)


def warm_start(config: Config, folder: Path, problems: Sequence[Any], chat: Any, verify: Any) -> None:
    """Supervised fine-tuning on both kinds of solutions, until the policy can work out what it cannot yet answer at once."""
    from recipes.setup import arithmetic
    from rl.evaluation.accuracy import evaluate
    from rl.examples.batches import unit_batches
    from rl.examples.example import imitation
    from rl.learning.policy import Policy
    from rl.learning.schedule import Schedule
    from rl.loop.offline import fit
    from rl.loop.seeds import derive_seed, reseed
    from rl.objectives.supervised import sft
    from rollout.chat import Chat
    from rollout.engine import Sampling
    from rollout.engines.hf_engine import HFEngine
    from rollout.player import Player
    from verifiers.atomic_files import atomic_path

    reseed(config.seed, "model")
    policy = Policy(arithmetic.make_model(len(chat.tokenizer), **_model_sizes(config)))
    engine = HFEngine(pad_id=chat.pad_id)
    coin = random.Random(derive_seed(config.seed, "styles"))
    styles = [arithmetic.worked_solution if coin.random() < config.worked_share else arithmetic.answer_at_once for _ in problems]
    units = [
        (imitation(chat.render(problem), [*chat.encode(style(problem)), chat.stop_ids[0]]),)
        for problem, style in zip(problems, styles, strict=True)
    ]
    thinking = Chat(chat.tokenizer, prefill="<think>")
    player = Player(engine, thinking, Sampling(config.max_completion_length, stop_ids=thinking.stop_ids), verify)

    def good_enough(step: int, loss: float) -> bool:
        if step < 200 and step % 50 == 0:
            print(f"warm start, step {step}: loss {loss:.3f}", file=sys.stderr)
        if step % 20 or step < 200:
            return False
        engine.load_policy(policy.weights(), policy.version)
        found, _ = evaluate(problems[:200], player, what="training problems")
        print(f"warm start, step {step}: loss {loss:.3f}, right when made to think {found.value:.0%}", file=sys.stderr)
        return found.value >= config.warm_start

    steps = fit(learner=policy, objective=sft(), batch_of_step=unit_batches(units, 128, config.seed), steps=1000,
                lr=Schedule(2e-3, 1000, warmup=50), seed=config.seed, should_stop=good_enough)  # fmt: skip
    print(f"warm start done after {steps} steps", file=sys.stderr)
    with atomic_path(folder) as temporary:
        arithmetic.save(temporary, policy.model, chat.tokenizer)


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="quickstart"))))
