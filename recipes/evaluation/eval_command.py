"""`reckon eval`: what a model can do, with how much of it is luck.

    reckon eval --model runs/grpo_math                                        the run's own held-out problems, as it was spoken to
    reckon eval --model Qwen/Qwen2.5-1.5B-Instruct --data test.jsonl --data aime=aime.jsonl
    reckon eval --model M --data test.jsonl --completions-per-problem 16 --temperature 0.8        pass@k and maj@k
    reckon eval --model M2 --data test.jsonl --against runs/eval              paired with an earlier evaluation

Greedy unless told otherwise. Samples are kept as `reckon sample` keeps them, so that `reckon data` reads them, and an evaluation that was
killed goes on when the same command is given again. Figures are over problems: pass@k and maj@k are unbiased (all subsets of k of the n
samples), intervals and tests count problems, not samples.
"""

import dataclasses
import hashlib
import json
import shlex
import sys
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from recipes.evaluation.asked_problems import as_its_run, contaminated, held_out_of, named_places, run_of, training_files
from recipes.evaluation.eval_figures import Asked, Figures, against, asked_of, figures, table
from recipes.evaluation.reasoning import Reasoning, as_reasoned, equipment
from recipes.setup.command_line import given_options, guarded, parse_options
from recipes.setup.options import Data, flat_values, from_json, to_json
from recipes.setup.problem_mixture import by_set, load_sets
from recipes.setup.problem_set import Given
from recipes.setup.resuming import stored_run
from recipes.setup.reward_code import reward_code
from recipes.spelling.result_line import tell_result
from recipes.training import sample as sampling
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rollout.player import Group, Verify
    from verifiers.problem import Problem

RESULT, PROBLEMS, SAMPLES = "evaluation.json", "problems.jsonl", "samples"


@dataclass(frozen=True, kw_only=True)
class Config(sampling.Judged, sampling.ProblemData, sampling.StartingModel):
    """What a model can do on named sets of problems, with intervals: accuracy, pass@k, maj@k, paired comparisons."""

    data: Data = ()  # type: ignore[assignment]  # several, by name
    """Problems, as FILE, NAME=FILE or a data set's name; repeatable. Default: what the run of --model was measured by."""
    split: str | None = None
    """Split of the data sets (default test)."""
    limit: int | None = None
    """The first so many problems of each set."""

    completions_per_problem: int = 1
    """Samples of each problem: with several there are pass@k and maj@k."""
    temperature: float = 0.0
    """Sampling temperature; 0 is greedy, one sample a problem."""
    reasoning: Reasoning = "cot"
    """How problems are to be solved: in words (cot), by a program that prints the answer (pot), in words with programs that run meanwhile
    (tools)."""
    by: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    """A field of the problems, such as level or type, each value of which gets figures of its own; repeatable."""
    against: Path | None = None
    """Folder of an earlier evaluation: paired tests on the problems that both have."""
    rank_by: str | None = None
    """A reward, such as reward_model(PLACE), that ranks the samples of a problem: best@k and weighted majority."""
    lm_eval: Path | None = None
    """Sample nothing: write the problems into this folder as a task of EleutherAI's lm-eval-harness, with these prompts and verifiers."""
    trained_on: Data = ()
    """Training data that the problems are looked for in (default: the files that the run of --model trained on); repeatable."""

    seed: int = 0
    """All randomness is a function of it."""
    run: Path = Path("runs/eval")
    """Folder of the evaluation."""
    overwrite: bool = False
    """Delete an earlier evaluation in that folder first."""


def run(config: Config) -> int:
    """Check, sample, judge, count. Returns the exit code."""
    config = as_reasoned(as_its_run(config), given_options(config))
    equip = equipment(config)
    earlier = _earlier(config.against)
    sets = _problems(config)
    if config.lm_eval is not None:
        return _write_task(config, sets)
    every = list({problem.id: problem for problems in sets.values() for problem in problems}.values())
    files = training_files(run_of(config.model) if config.model else None, config.trained_on)
    with ExitStack() as opened:
        rank = _ranking(config, every[0], opened)
        groups = _sampled(config, every, equip)
        ranks = _ranks(rank, groups) if rank else None
    asked = {group.problem.id: asked_of(group, ranks[n] if ranks else None) for n, group in enumerate(groups)}
    by_name = {name: [asked[problem.id] for problem in problems if problem.id in asked] for name, problems in sets.items()}
    for name, own in by_name.items():
        if not any(each.total for each in own):
            raise InputError(f"--data {name}: none of its {len(sets[name])} problems got a verdict; {config.run / SAMPLES} says why")
    found = {name: figures(own, by=config.by) for name, own in by_name.items()}
    change = {name: _against(by_name[name], earlier) for name in by_name} if earlier is not None else {}
    own = not config.data and not config.trained_on  # a run's own held-out problems, against its own files
    seen = contaminated(every, files, kept_out=own) if files else {}
    _write(config, found, change, by_name, _facts(config, every, files, seen))
    print(table(found, {name: each for name, each in change.items() if each}), end="")
    _say_notes(config, found, change, seen, files, len(every))
    tell_result(_result(found, change))
    return 0


def _problems(config: Config) -> "dict[str, list[Problem]]":
    """By set, as they are asked. Raises InputError for what cannot be read."""
    if not config.model:
        raise InputError("--model is missing; give a hub id, a folder of a model, or a run")
    if not config.data:
        own = run_of(config.model)
        if own is None:
            raise InputError("--data is missing; give files of problems or a data set's name (a run's own are known without)")
        return held_out_of(own)
    from recipes.setup.problem_source import load_problems

    reading: dict[str, Any] = {
        "prompt_field": config.prompt_column, "answer_field": config.answer_column, "skip_bad_gold": config.skip_bad_gold,
        "drop_answer_turn": config.drop_answer_turn, "trust_verifiers": config.trust_data_verifiers, "limit": config.limit,
    }  # fmt: skip
    read = partial(load_problems, subset=config.subset, split=config.split or "test", **reading)
    return by_set(load_sets(named_places(config.data), read))


def _write_task(config: Config, sets: "dict[str, list[Problem]]") -> int:
    from recipes.evaluation.lm_eval_task import write_task
    from recipes.setup.model_source import find_model
    from recipes.setup.starting_point import chat_of

    if config.completions_per_problem > 1 or config.temperature or config.reasoning == "tools" or config.rank_by or config.against:
        raise InputError("--lm-eval is for one greedy response a problem, without tools, --rank-by or --against; leave those out")
    if config.lm_eval is None or config.lm_eval.exists():
        raise InputError(f"--lm-eval {config.lm_eval} is there already; give a folder that is not")
    try:
        config.lm_eval.mkdir(parents=True)
    except OSError as error:
        raise InputError(f"--lm-eval {config.lm_eval} cannot be made: {error.strerror}; give another place") from error
    config.lm_eval.rmdir()  # it comes when it is whole
    chat, _ = chat_of(config, find_model(config.model, gguf_file=config.gguf_file))
    reward, most = tuple(config.reward), config.max_completion_length
    names = write_task(config.lm_eval, sets, chat, reward=reward, max_tokens=most, deadline=config.deadline)
    model = f"pretrained={config.model},dtype=float32"
    words = ["lm_eval", "--model", "hf", "--model_args", model, "--include_path", str(config.lm_eval), "--tasks", ",".join(names)]
    print(shlex.join(words))
    tell_result({"folder": str(config.lm_eval), "tasks": names}, only_json=True)
    return 0


def _sampled(config: Config, problems: "list[Problem]", equip: Any) -> "list[Group]":
    """Every problem's samples with their verdicts, those found that an earlier life of the same evaluation left."""
    known = {field.name for field in dataclasses.fields(sampling.Config)} & {field.name for field in dataclasses.fields(Config)}
    same = {name: getattr(config, name) for name in known - {"run", "overwrite", "data", "subset", "split", "limit"}}
    place = config.run / SAMPLES
    asked = sampling.resolve(sampling.Config(**same, data="the problems of an evaluation", run=place.resolve()))
    if (config.run / RESULT).exists() and not config.overwrite:
        raise InputError(f"{config.run} holds an evaluation; give another --run, or --overwrite")
    if place.is_dir() and not config.overwrite:
        asked = _going_on(asked, place)
    elif config.overwrite:
        asked = replace(asked, overwrite=place.is_dir())
        (config.run / RESULT).unlink(missing_ok=True)
    groups: list[Group] = []
    with redirect_stdout(sys.stderr):  # what is printed here is the table
        sampling.sample(asked, given=Given(problems), hand_over=groups.extend, say=False, equip=equip)
    return groups


def _going_on(asked: Any, place: Path) -> Any:
    """The same options, as those of a run that is resumed. Raises InputError where they are others."""
    stored = from_json(sampling.Config, stored_run(place)["options"], place)
    then, now = ({**flat_values(each), "run": "", "resume": None, "overwrite": False, "dtype": ""} for each in (stored, asked))
    if differ := sorted(name for name in now if now[name] != then.get(name) and name not in ("engine", "max_sequences", "workers")):
        raise InputError(f"{place.parent} was begun with other options ({', '.join(differ)}); give the same, another --run, or --overwrite")
    return replace(stored, run=place, resume=place)


def _ranking(config: Config, problem: "Problem", opened: ExitStack) -> "Verify | None":
    """Who ranks the samples, tried once. Raises InputError, before anything is sampled, for a reward that cannot be had."""
    if config.rank_by is None:
        return None
    from recipes.setup.model_source import find_model
    from recipes.setup.reward_models import reward_models
    from recipes.setup.starting_point import chat_of
    from verifiers.worker_pool.verifier_pool import VerifierPool

    chat, _ = chat_of(config, find_model(config.model, gguf_file=config.gguf_file))
    models = reward_models(chat, [config.rank_by])
    pool = opened.enter_context(VerifierPool([config.rank_by], workers=config.workers, deadline=config.deadline))
    rank: Verify = opened.enter_context(models.around(pool)).verify_many
    rank([(problem, "")])
    return rank


def _ranks(rank: "Verify", groups: "list[Group]") -> list[list[float | None]]:
    """What is said of each sample."""
    verdicts = iter(rank([(group.problem, response) for group in groups for response in group.responses]))
    return [[next(verdicts).score for _ in group.responses] for group in groups]


# --- what is kept, and read again by --against ---


def _write(
    config: Config, found: dict[str, Figures], change: dict[str, Any], by_name: dict[str, list[Asked]], facts: dict[str, Any]
) -> None:
    rows = {each.problem.id: _row_of(each) for own in by_name.values() for each in own}
    for name, own in by_name.items():
        for each in own:
            rows[each.problem.id]["sets"].append(name)
    _put(config.run / PROBLEMS, "".join(json.dumps(row) + "\n" for row in rows.values()))
    _put(config.run / "evaluation.md", table(found, {name: each for name, each in change.items() if each}))
    sets = {name: dataclasses.asdict(each) | {"against": change.get(name)} for name, each in found.items()}
    _put(config.run / RESULT, json.dumps({"sets": sets, **facts}, indent=1) + "\n")


def _row_of(each: Asked) -> dict[str, Any]:
    return {
        "id": each.problem.id, "sets": [], "right": sum(each.right), "samples": each.total, "without_verdict": each.without_verdict,
        "classes": [list(own) for own in each.classes],
    }  # fmt: skip


def _put(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _facts(config: Config, problems: "list[Problem]", files: list[str], seen: Any) -> dict[str, Any]:
    """What the figures depend on: model, way of speaking, verifiers and their versions, and what was looked for in the training data."""
    from recipes.setup.model_source import find_model

    template = find_model(config.model, gguf_file=config.gguf_file).load_tokenizer().chat_template if config.chat_template else None
    mark = hashlib.blake2b(json.dumps(template).encode(), digest_size=8).hexdigest() if template else None
    return {
        "options": to_json(config),
        "chat_template": mark,
        "verifiers": reward_code(config.reward or sorted({problem.verifier for problem in problems})),
        "contamination": {"files": files, "problems": seen} if files else None,
    }


def _earlier(folder: Path | None) -> dict[str, float] | None:
    """Each problem's share of right samples in an earlier evaluation. Raises InputError where there is none."""
    if folder is None:
        return None
    try:
        rows = [json.loads(line) for line in (folder / PROBLEMS).read_text(encoding="utf-8").splitlines()]
        return {str(row["id"]): row["right"] / row["samples"] for row in rows if row["samples"]}
    except (OSError, ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise InputError(f"--against {folder}: no evaluation is there ({PROBLEMS}: {error}); give the folder of a `reckon eval`") from error


def _against(own: list[Asked], earlier: dict[str, float]) -> dict[str, Any] | None:
    return against({each.problem.id: each.share for each in own if each.total}, earlier)


def _result(found: dict[str, Figures], change: dict[str, Any]) -> dict[str, Any]:
    """In one line what a script wants to know."""
    sets = {}
    for name, each in found.items():
        own = {"accuracy": each.accuracy, **each.of_k}
        sets[name] = {key: [round(figure.value, 4), round(figure.low, 4), round(figure.high, 4)] for key, figure in own.items()}
        sets[name] |= {"n": each.problems} | (
            {"p": change[name]["p"], "change": round(change[name]["value"], 4)} if change.get(name) else {}
        )
    return sets


def _say_notes(config: Config, found: dict[str, Figures], change: dict[str, Any], seen: Any, files: list[str], count: int) -> None:
    """What a reader must know beside the table."""
    say = [f"intervals are 95 %; temperature {config.temperature:g}, up to {config.max_completion_length:,} tokens"]
    lost = sum(each.without_verdict for each in found.values())
    if lost:
        say.append(f"{lost:,} samples have no verdict and count nowhere")
    say += [f"{name}: no problem is in {config.against} too" for name, each in change.items() if each is None]
    tests = {each["test"] for each in change.values() if each}
    if tests:
        say.append(f"p: {' and '.join(sorted(tests))}, two-sided, on the problems that both have")
    if files:
        say.append(f"{len(seen):,} of {count:,} problems stand in the training data ({', '.join(files)})" + _first(seen))
    say.append(f"{config.run / 'evaluation.md'}, {RESULT}, {PROBLEMS}; what was said: {config.run / SAMPLES}")
    print("\n".join(say), file=sys.stderr)


def _first(seen: Any) -> str:
    return f"; first {next(iter(seen))} at {next(iter(seen.values()))}" if seen else ""


if __name__ == "__main__":
    sys.exit(guarded(lambda: run(parse_options(Config, sys.argv[1:], name="eval"))))
