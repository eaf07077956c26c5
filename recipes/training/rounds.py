"""Rounds of sampling and learning from what was sampled: what `reckon rft` and `reckon spin` share.

    runs/rft/  config.json  problems.jsonl  held_out.jsonl  metrics.jsonl  final/
               round-00/evaluation/   round-01/{samples/, examples.jsonl, sft/, evaluation/}   round-02/...

Every part of a round is an ordinary run of `reckon sample`, `reckon data` or a training command, made by calling that command's own
function, so that each can be looked at, sampled from or trained on by itself. A part that is done is found by its marker and passed over,
one that is not is resumed by its own means: that is all that resuming rounds takes. The problems are written down when the run begins, and
later lives read them from there. It decides nothing of what is learnt; that is the command's.
"""

import gc
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from recipes.actors.engines import with_engine
from recipes.selection.problem_difficulty import solved_in
from recipes.setup.command_line import given_options
from recipes.setup.model_source import status_of
from recipes.setup.options import absolute, check_numbers
from recipes.setup.problem_set import Given, resolve_dtype
from recipes.setup.problem_source import load_problems
from recipes.setup.resuming import MAY_CHANGE, stored_run
from recipes.setup.starting_point import FromAdapter, lora_of, start_of, write_final_card
from recipes.spelling.result_line import tell_run
from recipes.training import sample
from rollout.interruption import Interrupted, stage
from rollout.progress import watched
from verifiers.atomic_files import atomic_path, remove_leftovers
from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.rewards.problem_file import read_problems, write_problems

if TYPE_CHECKING:  # torch
    from recipes.training.offline_run import Method
    from rl.evaluation.accuracy import Accuracy
    from rl.runs.run_folder import RunFolder

PROBLEMS, HELD_OUT = "problems.jsonl", "held_out.jsonl"


@dataclass(frozen=True, kw_only=True)
class RoundOptions:
    """How often, watched by what, and the life of the run."""

    rounds: int = 1
    """Rounds: each samples from what the last one learnt."""
    from_adapter: FromAdapter | None = None
    """Where --model is an adapter: train it further (default), or merge it and train a fresh one, or all parameters with --tune full."""
    eval_data: str | None = None
    """Problems (a JSONL file) to be answered greedily before the first round and after each; they are left out of --data."""

    checkpoint_every: int = 100
    """Steps of a round's training between checkpoints."""
    seed: int = 0
    """All randomness is a function of it."""
    run: Path = Path("runs/rounds")
    """Folder of the run."""
    overwrite: bool = False
    """Delete an earlier run in that folder first."""
    resume: Path | None = None
    """Continue this run exactly where it stopped, with more --rounds too; all other options come from it."""


def values_of(group: type, options: Any) -> dict[str, Any]:
    """A group of options, for the part of a round that has the same group."""
    return {field.name: getattr(options, field.name) for field in fields(group)}


def check_resumed(options: Any) -> None:
    """Raises InputError for changes that other commands take and rounds do not: each round's training has one length."""
    if options.resume is None:
        return
    stored, given, done = stored_run(options.resume)["options"], given_options(options), rounds_done(options.resume)
    if "steps" in given and given["steps"] != stored.get("steps"):
        raise InputError(
            f"--resume {options.resume} --steps {given['steps']}: the steps of a round cannot change within a run; leave it out, or give "
            "more --rounds"
        )
    if given.get("rounds", done) < done:
        raise InputError(f"--resume {options.resume} --rounds {given['rounds']}: it has done {done} rounds already; give more")


def rounds_done(run: Path) -> int:
    """Rounds whose numbers are written."""
    from rl.runs.run_folder import read_lines

    return max((row["step"] for row in read_lines(run / "metrics.jsonl")), default=0)


# --- what a run of rounds begins with ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Material:
    """What is sampled from, and what is only looked at."""

    problems: Sequence[Problem]
    held_out: Sequence[Problem]


def read_material(options: Any, sampling: sample.Config, problems: Sequence[Problem], *, place: bool = True, **reading: Any) -> Material:
    """The problems and those of --eval-data, all that can be wrong with them and with the model found. Raises InputError.

    `sampling`: what the first round samples with, into the folder of the whole run, which is looked at for `place`. `reading`: how a row
    of --eval-data becomes a problem.
    """
    trusted = sampling.trust_data_verifiers
    held_out: list[Problem] = load_problems(options.eval_data, trust_verifiers=trusted, **reading) if options.eval_data else []
    known = {str(problem.prompt) for problem in held_out}
    kept = [problem for problem in problems if str(problem.prompt) not in known]
    if not kept:
        raise InputError(f"--data {options.data}: every problem is also in --eval-data; nothing is left to learn from")
    if len(kept) < len(problems):
        print(f"left out {len(problems) - len(kept)} problems that are in --eval-data too", file=sys.stderr)
    with ExitStack() as opened:
        _, kept, _, _ = sample.checked(sampling, opened, Given(kept), place=place)
        if held_out:
            evaluation = replace(sampling, data=options.eval_data)
            _, held_out, _, _ = sample.checked(evaluation, opened, Given(held_out), place=place)
    lora_of(options, start_of(options))
    return Material([plain(problem) for problem in kept], [plain(problem) for problem in held_out])


@dataclass(frozen=True)
class Planned:
    """What there is to say of rounds before the first: how it samples, and how it trains."""

    options: Any
    material: Material
    sampling: sample.Config
    training: "tuple[Any, Method]"
    """Options and method of the first round's training."""
    most: int
    """Units that a problem can give a round to train on."""
    grows: bool = False
    """Whether a round trains on those of the rounds before it too."""


def plain(problem: Problem) -> Problem:
    """With nothing in its `meta` that JSON cannot hold."""
    return replace(problem, meta=json.loads(json.dumps(dict(problem.meta), default=str)))


def kept_material(run: Path) -> Material | None:
    """What the run wrote down when it began; None where it did not come to that."""
    if not (run / PROBLEMS).exists():
        return None
    held_out = read_problems(run / HELD_OUT, trust_verifiers=True) if (run / HELD_OUT).exists() else []
    return Material(read_problems(run / PROBLEMS, trust_verifiers=True), held_out)


def place_of(run: Path, number: int) -> Path:
    """The folder of a round. Round 0 is what stands before the first."""
    return run / f"round-{number:02d}"


# --- rounds ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rounds:
    """A run of rounds on disk."""

    folder: "RunFolder"

    def place(self, number: int) -> Path:
        return place_of(self.folder.path, number)

    def sampled(self, number: int, config: sample.Config, name: str = "samples") -> "Accuracy":
        """What `reckon sample` says of a round: how many of the responses are right."""
        place = self.place(number) / name
        if status_of(place) != "done":
            sample.run(self._continued(replace(config, run=place)))
            _release()
        return solved_in(place)

    def evaluated(self, number: int, config: sample.Config) -> dict[str, float]:
        """Greedy accuracy on the held-out problems, as numbers of the round; none where nothing is held out."""
        from rl.evaluation.accuracy import evaluation_metrics

        held_out = self.folder.path / HELD_OUT
        if not held_out.exists():
            return {}
        greedy = replace(config, data=str(held_out), temperature=0.0, completions_per_problem=1, trust_data_verifiers=True)
        return evaluation_metrics({"": self.sampled(number, greedy, "evaluation")})

    def trained(self, number: int, name: str, command: Callable[[Any], int], config: Any) -> None:
        """A training command's run, in the folder of this name. Raises Interrupted where it was stopped."""
        place = self.place(number) / name
        if (place / "final").is_dir():
            return
        if command(self._continued(replace(config, run=place))):
            raise Interrupted(f"training; the steps up to the last checkpoint are kept; continue with --resume {self.folder.path}")
        _release()

    def last(self, number: int, name: str, names: Mapping[str, str]) -> "Numbers":
        """The last numbers of a part's log; `names`: by what they are called there, what they are called of the round."""
        from rl.runs.run_folder import read_lines

        rows = read_lines(self.place(number) / name / "metrics.jsonl")
        found = {new: [row[old] for row in rows if isinstance(row.get(old), int | float)] for old, new in names.items()}
        return {new: values[-1] for new, values in found.items() if values}

    def _continued(self, config: Any) -> Any:
        """The options of a part, or, of one that has begun, to go on with it as today's life of the run would have it."""
        if not (config.run / "config.json").exists():
            return config
        kept = {field.name for field in fields(config)} & (MAY_CHANGE - {"steps"})
        return type(config)(resume=config.run, **{name: getattr(config, name) for name in kept})


Numbers = dict[str, float]
Options = TypeVar("Options", bound=RoundOptions)


def run_rounds(
    options: Options,
    read: Callable[[], Material],
    *,
    sampling: Callable[[Options, int], sample.Config],
    learn: Callable[[Options, Rounds, int], Numbers],
    trained: str,
) -> int:
    """Every round that is not done: `learn` samples and trains, in `trained`; the last one's model is the run's. Returns the exit code.

    `read`: what a new run begins with. `sampling`: (options, round) -> how its model is sampled from: what the round before learnt.
    """
    material = kept_material(options.resume) if options.resume else None
    if material is None:
        with (
            stage("checking the data and the options", "nothing was written yet"),
            watched("checking the options, the data and the rewards"),
        ):
            material = read()
    from recipes.setup import online

    options = replace(options, dtype=resolve_dtype(options))
    with ExitStack() as opened:
        done = rounds_done(options.resume) if options.resume else 0
        folder = opened.enter_context(online.open_run(options, [*material.problems, *material.held_out], done=done))
        rounds = Rounds(folder)
        _write_material(folder.path, material)
        with _told_of(folder):
            rows = _carry_out(rounds, options.rounds, partial(sampling, options), partial(learn, options))
            with atomic_path(folder.path / "final") as final:
                shutil.copytree(rounds.place(options.rounds) / trained / "final", final)
                write_final_card(final, folder.path)
        folder.write_manifest(status="done")
    print("\n".join(table(rows)))
    print(f"done after {options.rounds} rounds; model in {folder.path / 'final'}", file=sys.stderr)
    tell_run(folder.path)
    return 0


def _carry_out(
    rounds: Rounds, count: int, sampling: Callable[[int], sample.Config], learn: Callable[[Rounds, int], Numbers]
) -> list[dict[str, Any]]:
    """The numbers of every round, found or made. Round 0 is what stands before the first."""
    from rl.runs.run_folder import read_lines

    path = rounds.folder.metrics_path
    rows = read_lines(path)
    for number in range(len(rows), count + 1):
        remove_leftovers(rounds.place(number))
        with _in_round(number):
            numbers = learn(rounds, number) if number else {}
            numbers |= rounds.evaluated(number, sampling(number + 1))
        rows.append({"step": number, **numbers})
        with atomic_path(path) as temporary:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        if len(rows[-1]) > 1:
            print(in_words(rows[-1]))
    return rows


def _write_material(path: Path, material: Material) -> None:
    for name, problems in ((HELD_OUT, material.held_out), (PROBLEMS, material.problems)):
        if problems and not (path / name).exists():
            write_problems(path / name, problems)


@contextmanager
def _in_round(number: int) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise Interrupted(f"round {number}, {str(error) or 'between two parts of it; what is done is kept'}") from None
    except InputError as error:
        raise InputError(f"round {number}: {error}") from error


@contextmanager
def _told_of(folder: "RunFolder") -> Iterator[None]:
    """What a part says is said of the whole run: that is what is resumed."""

    def said(error: BaseException) -> str:
        return re.sub(rf"--resume {re.escape(str(folder.path))}/[^\s;,:]+", f"--resume {folder.path}", str(error))

    folder.write_manifest(status="running")
    try:
        yield
    except KeyboardInterrupt as error:
        folder.write_manifest(status="interrupted")
        text, remedy = said(error), f"continue with --resume {folder.path}"
        raise Interrupted(text if remedy in text else f"{text}; {remedy}") from None
    except InputError as error:
        folder.write_manifest(status="stopped", detail=str(error))
        raise InputError(said(error)) from error


def _release() -> None:
    """The memory of a part's model, which the next one's needs."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


# --- numbers -----------------------------------------------------------------------------------------------------------


def sampled_numbers(found: "Accuracy") -> Numbers:
    """Of a round's samples, by the names that a run's plots know."""
    low, high = found.interval
    return {"accuracy": found.value, "accuracy_low": low, "accuracy_high": high, "responses": found.total}


def in_words(row: Mapping[str, Any]) -> str:
    """A round's numbers, in a line."""
    said = []
    if "accuracy" in row:
        said.append(f"{row['accuracy']:.1%} of {row['responses']:,} sampled responses right")
    if "same" in row:
        said.append(f"{row['same']:.1%} of {row['responses']:,} sampled responses say what the data say")
    said += [f"{row[name]:,} {name}" for name in ("examples", "pairs") if name in row]
    if "eval/accuracy" in row:
        said.append(f"held-out {_held_out(row)}")
    return f"round {row['step']}: {', '.join(said)}" if row["step"] else f"before the first round: {', '.join(said)}"


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """All rounds, a line each."""
    names = [name for name in ("accuracy", "same", "examples", "pairs") if any(name in row for row in rows)]
    heads = [{"accuracy": "sampled right", "same": "as the data"}.get(name, name) for name in names]
    lines = ["  ".join(["round", *heads, "held-out, greedy (95 % interval)"])]
    for row in rows:
        shown = [_shown(row.get(name)).rjust(len(head)) for name, head in zip(names, heads, strict=True)]
        lines.append("  ".join([f"{row['step']:>5}", *shown, _held_out(row) if "eval/accuracy" in row else ""]).rstrip())
    return lines


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.1%}"


def _held_out(row: Mapping[str, Any]) -> str:
    return f"{row['eval/accuracy']:.1%} ({row['eval/low']:.1%} to {row['eval/high']:.1%})"


def count_rows(path: Path) -> int:
    """Rows of a JSONL file that was written whole."""
    with path.open("rb") as file:
        return sum(1 for _ in file)


def settled(options: Any, sampling: sample.Config) -> Any:
    """Its places made absolute and the model pinned to what it means now, as `reckon sample` does. Raises InputError."""
    check_numbers(replace(options, temperature=options.temperature or 1.0))
    options, found = with_engine(options), sample.resolve(sampling)
    return replace(options, model=found.model, data=found.data, eval_data=options.eval_data and absolute(options.eval_data))
