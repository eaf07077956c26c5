"""`reckon data sft|pairs|difficulty STORE...`: training data out of what was sampled.

    reckon data sft runs/sample --out sft.jsonl --keep diverse           right answers, each solution once: for `reckon sft`
    reckon data pairs runs/grpo_math --out pairs.jsonl --length-balanced  right against wrong of one group: for `reckon dpo`, `reckon orpo`
    reckon data pairs runs/grpo_math --out kto.jsonl --format kto         each with its label: for `reckon kto`
    reckon data difficulty runs/sample --out hard.jsonl --max-rate 0.5    problems again, with their solve rate: for `--data`

A store is the folder of a run or of `reckon sample`, its rollouts folder, or Parquet files of it. The files load with `datasets` and
train in TRL's SFTTrainer, DPOTrainer and KTOTrainer as they are. How many responses were left out, and why, is printed; the same store
and options give the same bytes. Left out: judging again (`reckon verify` does), and mixing with other data.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from recipes.selection.accepted_responses import Acceptance, accepted, example_row
from recipes.selection.preference_pairs import Pair, Pairing, is_right, labelled, labelled_row, pair_row, preference_pairs
from recipes.selection.problem_difficulty import Curriculum, chosen_problems, problem_row, solve_rates, summary
from recipes.selection.stored_responses import StoredResponse, count_responses, store_files, stored_responses
from recipes.selection.tally import Tally
from recipes.selection.training_text import write_rows
from recipes.setup.command_line import parse_options
from rollout.interruption import interruptible, stage
from rollout.progress import Progress, watched
from verifiers.input_error import InputError, did_you_mean
from verifiers.problem import Problem

Stored = Iterable[tuple[Problem, Sequence[StoredResponse]]]


@dataclass(frozen=True, kw_only=True)
class StoreOptions:
    """What every one of these commands has."""

    stores: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    """Folders of runs or of `reckon sample`, their rollouts folders, or Parquet files."""
    out: Path | None = None
    """The JSONL file to write."""
    where: str = ""
    """A condition in SQL over a store's columns, such as 'step >= 100 and temperature = 1'."""

    def check(self) -> None:
        """Raises InputError for options that cannot be."""


@dataclass(frozen=True, kw_only=True)
class SftConfig(Acceptance, StoreOptions):
    """Rejection sampling: right answers, each solution once, as rows of prompt and completion."""


@dataclass(frozen=True, kw_only=True)
class PairsConfig(Pairing, StoreOptions):
    """Right answers against wrong ones of the same group, as rows of prompt, chosen and rejected."""


@dataclass(frozen=True, kw_only=True)
class DifficultyConfig(Curriculum, StoreOptions):
    """Problems with the share of samples that solved them, and pass@k: to filter, or to order a curriculum. Without --out, a summary."""


COMMANDS: Mapping[str, tuple[type[StoreOptions], str]] = {
    "sft": (SftConfig, "right answers, each solution once: rows for supervised fine-tuning"),
    "pairs": (PairsConfig, "right against wrong of one group: rows for DPO and its relatives, or for KTO"),
    "difficulty": (DifficultyConfig, "problems with their solve rate and pass@k"),
}


def command(words: Sequence[str], known: Mapping[str, tuple[type[StoreOptions], str]] = COMMANDS) -> int:
    """`reckon data` with these words. Returns the exit code. `known`: all that is listed, the commands of other rooms too."""
    if not words or words[0] in ("-h", "--help"):
        lines = [f"  reckon data {name.ljust(10)}  {text}" for name, (_, text) in known.items()]
        print("\n".join(["Training data out of stored rollouts.", "", *lines, "", "reckon data NAME --help lists its options."]))
        return 0
    name, *rest = words
    if name not in COMMANDS:
        hint = did_you_mean(name, known) or f"; there are {', '.join(known)}"
        raise InputError(f"reckon data has no {name!r}{hint}")
    return run(parse_options(COMMANDS[name][0], rest, name=f"data {name}"))


def run(config: StoreOptions) -> int:
    """Select and write. Returns the exit code. Raises InputError for options or stores that cannot be used, and an empty selection."""
    files = store_files(config.stores)
    if config.out is not None or not isinstance(config, DifficultyConfig):
        require_out(config.out, files)
    config.check()
    count = count_responses(files)
    with interruptible(), stage("selecting", "nothing was written"), watched("selecting from responses", count) as progress:
        stored = _counted(stored_responses(files, where=config.where), progress)
        match config:
            case SftConfig():
                _write_examples(config, stored)
            case PairsConfig(format="kto"):
                _write_labelled(config, stored)
            case PairsConfig():
                _write_pairs(config, stored)
            case DifficultyConfig():
                _write_problems(config, stored)
    return 0


def require_out(out: Path | None, files: Sequence[Path]) -> Path:
    """The file to write. Raises InputError where none is named, or what is named is a folder or a file of the store."""
    if out is None:
        raise InputError("--out is missing; give the JSONL file to write")
    if out.resolve() in {file.resolve() for file in files}:
        raise InputError(f"--out {out} is a file of the store, which it would replace; give another name")
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; give the name of a file in it")
    return out


def _counted(stored: Stored, progress: Progress) -> Iterator[tuple[Problem, Sequence[StoredResponse]]]:
    for problem, responses in stored:
        yield problem, responses
        progress.finished(len(responses))


def _write_examples(config: SftConfig, stored: Stored) -> None:
    tally = Tally("examples")
    _write(config.out, (example_row(response) for response in accepted(stored, config, tally)), tally)


def _write_pairs(config: PairsConfig, stored: Stored) -> None:
    tally = Tally("pairs")
    pairs = preference_pairs(stored, config, tally)
    _write(config.out, map(pair_row, pairs), tally)
    chosen, rejected = (sum(map(length, pairs)) / len(pairs) for length in (_chosen_length, _rejected_length))
    print(f"mean length: {chosen:,.1f} tokens chosen, {rejected:,.1f} rejected", file=sys.stderr)


def _chosen_length(pair: Pair) -> int:
    return pair.chosen.length


def _rejected_length(pair: Pair) -> int:
    return pair.rejected.length


def _write_labelled(config: PairsConfig, stored: Stored) -> None:
    tally = Tally("examples")
    responses = list(labelled(stored, config, tally))
    _write(config.out, map(labelled_row, responses), tally)
    right = sum(map(is_right, responses))
    print(f"{right:,} with label true, {len(responses) - right:,} with label false", file=sys.stderr)


def _write_problems(config: DifficultyConfig, stored: Stored) -> None:
    tally = Tally("problems")
    kept = chosen_problems(solve_rates(stored, tally), config, tally)
    _write(config.out, map(problem_row, kept), tally)
    print(summary(kept))


def _write(out: Path | None, rows: Iterable[Mapping[str, Any]], tally: Tally) -> None:
    """Writes the rows, and says what became of all others. Raises InputError where there is none, and writes nothing then."""
    if out is None:
        empty = not list(rows)
    else:
        try:
            empty = not write_rows(out, rows)
        except OSError as error:
            raise InputError(f"{out} cannot be written: {error.strerror}; choose another --out") from None
    if empty:
        why = str(tally) if tally.responses else "no response of the store fulfils --where"
        raise InputError(f"nothing is selected: {why}; loosen what leaves out most, or give another store")
    print(f"{out}: {tally}" if out else str(tally), file=sys.stderr)
