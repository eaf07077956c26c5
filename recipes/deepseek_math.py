"""DeepSeekMath in one file: from web pages to a policy, and its methods beside each other (arXiv:2402.03300).

    reckon deepseek-math --tiny
    reckon deepseek-math --model Qwen/Qwen2.5-1.5B --web mine.toml --eval-data test.jsonl
    reckon deepseek-math --model Qwen/Qwen2.5-1.5B --data openai/gsm8k --subset main --eval-data test.jsonl
    the same command again                                   goes on where it was stopped, by Ctrl-C or by kill -9

Mine pages, read problems off them, and from one start, what SFT learnt of their solutions, compare as the paper's figure 5 does: RFT,
online RFT, GRPO (outcome supervision), GRPO-PS (process supervision), and iterative GRPO, all judged greedily by the verifier on the same
held-out problems. Who rewards is --reward-by: the verifier and the arithmetic of steps, with the reward model in the iterated method only,
or reward models alone, as in the paper. Left out: the continued pre-training on the mined corpus, which takes more than a story's time.

--tiny makes a web, a model of 0.3M parameters and its sums here; `sums_on_pages.py` says how. No number of a larger run is here: none was
measured on a GPU.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from data_pipeline.commands import mine_command
from recipes.in_python import training as reckon
from recipes.labelling import step_labels
from recipes.selection.data_command import PairsConfig
from recipes.selection.data_command import run as select
from recipes.setup.choices import GRPOPS, HF, KL, RAFT, Full, Lora
from recipes.setup.command_line import guarded, parse_options
from recipes.setup.options import Data
from recipes.setup.problem_source import load_problems, load_rows
from recipes.stages import sums_on_pages
from recipes.stages.chain import Chain, Stage, learnt, made, measured, numbers_of, run_chain, sampled, write_rows
from recipes.stages.figures import write_comparison
from recipes.stages.story_options import StoryOptions, require_whole
from rollout.interruption import Interrupted
from verifiers.input_error import InputError
from verifiers.rewards.problem_file import read_problems, write_problems


@dataclass(frozen=True, kw_only=True)
class Config(StoryOptions):
    """DeepSeekMath: mine, SFT, RFT, reward models, GRPO by outcome, by process and iterated, side by side; one file, resumable."""

    web: Data = ()
    """Archives, or a configuration (.toml) that names them and the seed, as `reckon mine run` takes them; repeatable."""
    subset: str | None = None
    """Configuration of the data set, such as "main" of openai/gsm8k."""
    epochs: float = 3.0
    """Times that SFT goes through the solutions."""
    samples: int = 16
    """Completions of each problem that RFT, the reward models and the labels of steps are made of."""
    labelled: int = 1000
    """Responses whose steps are labelled for the process reward model."""
    rollouts: int = 8
    """Completions from where each of their steps ends."""
    reward_by: Literal["verifier", "reward-model"] = "verifier"
    """What GRPO learns from: the verifier, the arithmetic of steps beside it where they are scored, and the verifier beside the iterated
    reward model; or reward models alone (DeepSeekMath), which a policy soon fools where they are weak."""
    split: str = "blank"
    """Where steps end: blank, line, after:TEXT, before:TEXT, or FILE.py:FUNCTION (response -> ends)."""
    steps: int = 200
    """Steps of each online method; of the iterated one, over all its rounds."""
    rounds: int = 2
    """Rounds of iterative GRPO."""
    problems_per_step: int = 32
    """P: problems in a step."""
    completions_per_problem: int = 8
    """G: completions sampled for each problem."""
    kl_coef: float = 0.04
    """Coefficient of the KL to the policy as it began (DeepSeekMath: 0.04); 0: none."""
    run: Path = Path("runs/deepseek_math")


def run(config: Config) -> int:
    """Every stage that is not done, and the RESULT line. Returns the exit code."""
    return run_chain(resolve(config), stages(config), result=_result)


def resolve(config: Config) -> Config:
    """Raises InputError for what is missing, cannot be or would be ignored."""
    if not config.tiny and bool(config.web) == bool(config.data):
        raise InputError("give --web (archives to mine) or --data (problems with their solutions), one of them; or --tiny")
    if config.tiny and config.web:
        raise InputError("--web would be ignored with --tiny; leave one of them out")
    return require_whole(config, data=not config.web)


def stages(config: Config) -> tuple[Stage, ...]:
    """The chain."""
    mined = Stage("mine", "pages to a corpus and its problems, by `reckon mine run`", _mine)
    return (
        *(() if config.data else (mined,)),
        Stage("problems", "problems to learn from, their solutions, and those that are held out", _problems),
        Stage("sft", "the model learns the solutions: the start of all that follows", _sft),
        Stage("rft", "the start samples, and learns its right answers", _rft),
        Stage("online-rft", "right answers of what the policy is by then", _online_rft),
        Stage("reward-models", "whole answers judged by pairs, steps by roll-outs, of what the start sampled", _reward_models),
        Stage("grpo", "GRPO by whole answers: outcome supervision", _grpo),
        Stage("grpo-ps", "GRPO by the steps of answers: process supervision", _grpo_ps),
        Stage("iterative", "GRPO in rounds, the reward model learning anew in each", _iterative),
        Stage("compare", "all of them on the held-out problems: table and picture", _compare),
    )


METHODS = {"SFT": "sft", "RFT": "rft", "online RFT": "online-rft", "GRPO": "grpo", "GRPO-PS": "grpo-ps", "iterative GRPO": "iterative"}
"""What is compared -> the stage that made it."""
BESIDE_STEPS, BESIDE_MODEL = 1.0, 3.0
"""With --reward-by verifier: what right and wrong weigh beside the scores of steps, and beside the iterated reward model's number."""


# --- sizes: what --tiny has instead ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sizes:
    """Of what --tiny makes and does."""

    on_pages: int = sums_on_pages.ON_PAGES
    held_out: int = sums_on_pages.HELD_OUT
    problems: int = 900
    """Those of the pages whose solutions are not learnt."""
    sft_steps: int = 340
    samples: int = 8
    labelled: int = 300
    steps: int = 24
    problems_per_step: int = 32
    completions_per_problem: int = 16
    checkpoint_every: int = 8


TINY = Sizes()


def _speaking(config: Config) -> dict[str, Any]:
    if config.tiny:
        return {"system_prompt": "", "max_completion_length": sums_on_pages.MAX_TOKENS, "max_sequences": 1024, "engine": HF()}
    return {"system_prompt": config.system_prompt, "max_completion_length": config.max_completion_length, "engine": config.engine}


def _written(config: Config, **tiny: Any) -> dict[str, Any]:
    """Of stages that learn from what is written; `tiny`: what a model with random weights needs."""
    shared = {"seed": config.seed, "tune": Full() if config.tiny else Lora(), "system_prompt": _speaking(config)["system_prompt"]}
    return shared | (tiny if config.tiny else {})


def _online(config: Config) -> dict[str, Any]:
    shared: dict[str, Any] = {"seed": config.seed, "tune": Full() if config.tiny else Lora(), **_speaking(config)}
    shared |= {"kl": KL(config.kl_coef)} if config.kl_coef else {}
    if config.tiny:
        names = ("steps", "problems_per_step", "completions_per_problem", "checkpoint_every")
        return shared | {name: getattr(TINY, name) for name in names} | {"lr": 1e-4, "max_grad_norm": 0.3, "warmup": 2}
    shared |= {"steps": config.steps, "problems_per_step": config.problems_per_step}
    return shared | {"completions_per_problem": config.completions_per_problem}


def _split(config: Config) -> str:
    return "line" if config.tiny else config.split


def _file(chain: Chain, name: str) -> str:
    return str(chain.place("problems") / f"{name}.jsonl")


def _outcome(chain: Chain) -> str:
    """The one verifier that says what is right."""
    named = sorted({problem.verifier for problem in read_problems(Path(_file(chain, "train")), trust_verifiers=True)})
    if len(named) > 1:
        raise InputError(f"the problems name several verifiers ({', '.join(named)}); give problems of one")
    return named[0]


def _measured(config: Config, chain: Chain, name: str) -> dict[str, Any]:
    """Held-out accuracy of what a stage left."""
    place, problems = chain.place(name), _file(chain, "held_out")
    return numbers_of(measured(place / "evaluation", model=str(place / "run"), problems=problems, seed=config.seed, **_speaking(config)))


# --- the stages ------------------------------------------------------------------------------------------------------------------


def _mine(config: Config, chain: Chain) -> dict[str, Any]:
    place = chain.place("mine")
    words = list(config.web)
    if config.tiny:
        archives = sums_on_pages.write_tiny_web(place / "web", config.seed, TINY.on_pages)
        words = [*map(str, archives), *sums_on_pages.MINING]
    if mine_command.command(["run", *words, "--out", str(place / "run")]):
        raise Interrupted("mining; its finished steps are kept")
    return {"problems": len(read_problems(place / "run" / "problems.jsonl"))}


def _problems(config: Config, chain: Chain) -> dict[str, Any]:
    """train.jsonl, held_out.jsonl, and solutions.jsonl for SFT."""
    if config.tiny:
        held_out, found = (
            sums_on_pages.held_out_problems(config.seed, TINY.held_out),
            read_problems(chain.place("mine") / "run" / "problems.jsonl"),
        )
        problems, rows, left_out = sums_on_pages.read_sums(found, held_out)
        problems, rows = problems[-TINY.problems :], rows[: -TINY.problems]  # so that what is sampled was not learnt by heart
    else:
        held_out = load_problems(config.eval_data)
        place = config.data or str(chain.place("mine") / "run" / "problems.jsonl")
        known = {str(problem.prompt) for problem in held_out}
        every = load_problems(place, subset=config.subset, limit=config.limit)
        problems = [problem for problem in every if str(problem.prompt) not in known]
        rows = [row for row in _solutions(place, config) if row["prompt"] not in known]
        left_out = {"held out": len(every) - len(problems)}
    if not (problems and rows):
        raise InputError(f"no problem with a solution is left to learn from; left out: {left_out}")
    for name, part in (("train", problems), ("held_out", held_out)):
        write_problems(Path(_file(chain, name)), part)
    write_rows(Path(_file(chain, "solutions")), rows)
    return {"train": len(problems), "held_out": len(held_out), "solutions": len(rows), **{f"left out, {k}": v for k, v in left_out.items()}}


def _solutions(place: str, config: Config) -> list[dict[str, Any]]:
    """Problems with what was written under them: mined ones' `meta`, or the field that a data set has."""
    found = []
    for _, row in load_rows(place, subset=config.subset):
        prompt = next((row[name] for name in ("prompt", "question", "problem") if isinstance(row.get(name), str)), None)
        written = {**row, **(row["meta"] if isinstance(row.get("meta"), dict) else {})}
        solution = next((written[name] for name in ("solution", "completion", "answer") if isinstance(written.get(name), str)), None)
        if prompt and solution:
            found.append({"prompt": prompt, "completion": solution})
    return found[: config.limit]


def _sft(config: Config, chain: Chain) -> dict[str, Any]:
    place, model = chain.place("sft"), config.model
    if config.tiny:
        model = made(place / "random", lambda folder: sums_on_pages.write_random_model(folder, config.seed))
    sizes = {"steps": TINY.sft_steps, "examples_per_step": 64, "lr": 4e-3, "warmup": 40} if config.tiny else {"epochs": config.epochs}
    learnt(place / "run", reckon.sft, model=model, data=_file(chain, "solutions"), **_written(config), **sizes)
    return _measured(config, chain, "sft")


def _rft(config: Config, chain: Chain) -> dict[str, Any]:
    place, samples = chain.place("rft"), chain.place("rft") / "samples"
    start = str(chain.place("sft") / "run")
    many = TINY.samples if config.tiny else config.samples
    found = sampled(
        samples, model=start, problems=_file(chain, "train"), completions_per_problem=many, seed=config.seed, **_speaking(config)
    )
    data = made(place / "right.jsonl", lambda path: select(_accepted(config, samples, path)))
    learnt(place / "run", reckon.sft, model=start, data=data, **_written(config, lr=3e-4, examples_per_step=32, epochs=3.0))
    return {"sampled right": found.value, **_measured(config, chain, "rft")}


def _accepted(config: Config, samples: Path, out: Path) -> Any:
    from recipes.selection.data_command import SftConfig

    return SftConfig(stores=(str(samples),), out=out, seed=config.seed)


def _learn_online(config: Config, chain: Chain, name: str, **how: Any) -> dict[str, Any]:
    problems, start = _file(chain, "train"), str(chain.place("sft") / "run")
    learnt(chain.place(name) / "run", reckon.grpo, model=start, problems=problems, **_online(config), **how)
    return _measured(config, chain, name)


def _online_rft(config: Config, chain: Chain) -> dict[str, Any]:
    return _learn_online(config, chain, "online-rft", algorithm=RAFT())


def _reward_models(config: Config, chain: Chain) -> dict[str, Any]:
    place, store = chain.place("reward-models"), (str(chain.place("rft") / "samples"),)
    start = str(chain.place("sft") / "run")
    pairs = made(place / "pairs.jsonl", lambda path: select(PairsConfig(stores=store, out=path, seed=config.seed)))
    tiny = {"lr": 3e-4, "examples_per_step": 32, "epochs": 2.0, "held_out": TINY.problems // 10}
    found = {}
    for name, kind, data in (("outcome", "outcome-pairs", pairs), ("process", "process", _labelled_steps(config, place, store))):
        learnt(place / name, reckon.reward_model, model=start, data=data, kind=kind, **_written(config, **tiny))
        found |= {f"{name} {figure}": value for figure, value in _last(place / name, "accuracy", "auc").items()}
    return found


def _labelled_steps(config: Config, place: Path, store: tuple[str, ...]) -> str:
    """Math-Shepherd's labels: what comes of each step."""
    how = step_labels.Config(
        stores=store, out=place / "steps.jsonl", split=_split(config), rollouts=config.rollouts, per_problem=2,
        limit=TINY.labelled if config.tiny else config.labelled, seed=config.seed,
        **{name: value for name, value in _speaking(config).items() if name != "system_prompt"},
    )  # fmt: skip
    return made(place / "steps.jsonl", lambda path: step_labels.run(how))


def _last(run: Path, *names: str) -> dict[str, float]:
    """The last numbers of a run on what it held out; none where it held out nothing."""
    from rl.runs.run_folder import read_lines

    rows = [row for row in read_lines(run / "metrics.jsonl") if f"eval/{names[0]}" in row]
    return {name: round(rows[-1][f"eval/{name}"], 4) for name in names if rows and f"eval/{name}" in rows[-1]}


def _by_model(chain: Chain, model: Path, more: str = "") -> tuple[str, ...]:
    return (f'reward_model("{model}", {_outcome(chain)}{more})',)


def _grpo(config: Config, chain: Chain) -> dict[str, Any]:
    by_model = _by_model(chain, chain.place("reward-models") / "outcome")
    reward = by_model if config.reward_by == "reward-model" else (_outcome(chain),)
    return _learn_online(config, chain, "grpo", reward=reward)


def _grpo_ps(config: Config, chain: Chain) -> dict[str, Any]:
    cut = f'split="{_split(config)}"'
    if config.reward_by == "reward-model":
        reward = _by_model(chain, chain.place("reward-models") / "process", f", {cut}")
        return _learn_online(config, chain, "grpo-ps", reward=reward, algorithm=GRPOPS())
    reward = (f"steps(arithmetic, {_outcome(chain)}, {cut})",)
    return _learn_online(config, chain, "grpo-ps", reward=reward, algorithm=GRPOPS(outcome_weight=BESIDE_STEPS))


def _iterative(config: Config, chain: Chain) -> dict[str, Any]:
    how = _online(config)
    how |= {"steps": max(1, how["steps"] // config.rounds), "rounds": config.rounds}
    how |= {"verifier_weight": BESIDE_MODEL if config.reward_by == "verifier" else 0.0}
    tiny = {"reward_lr": 3e-4, "reward_problems": TINY.problems // 3} if config.tiny else {}
    learnt(
        chain.place("iterative") / "run", reckon.iterate, model=str(chain.place("sft") / "run"), problems=_file(chain, "train"),
        reward=(_outcome(chain),), reward_model=str(chain.place("reward-models") / "outcome"), **how, **tiny,
    )  # fmt: skip
    return _measured(config, chain, "iterative")


def _compare(config: Config, chain: Chain) -> dict[str, Any]:
    rows = {method: chain.numbers(stage) for method, stage in METHODS.items()}
    write_comparison(rows, chain.place("compare"))
    return {method: row["accuracy"] for method, row in rows.items()}


def _result(chain: Chain) -> dict[str, Any]:
    rows = {method: chain.numbers(stage) for method, stage in METHODS.items()}
    return {
        "before": rows["SFT"]["accuracy"],
        "after": max(row["accuracy"] for row in rows.values()),
        "held_out": {method: [row["accuracy"], row["low"], row["high"]] for method, row in rows.items()},
        "reward_models": chain.numbers("reward-models"),
    }


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="deepseek-math"))))
