"""Runs to the packs of a page: an index with a line of numbers for each rollout and the curves, slices with texts and tokens, words.

A run that is looked at again while it goes on is read as far as it is new: files of steps are written once and never change.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from recipes.looking.explained import Explanations
from recipes.looking.overview_table import problem_text
from recipes.looking.run_overview import UNSAID, overview
from recipes.looking.stored_steps import TRAINING, StoredStep, readable, stored_steps
from recipes.setup.model_source import is_run
from recipes.viewer.packs import pack, smallest
from recipes.viewer.step_rows import COLUMNS, FINISHES, STATUSES, StepRows, step_rows
from recipes.viewer.token_pieces import Pieces, pieces_of_run
from rl.runs.report import is_number
from rl.runs.run_folder import RunFolder, read_lines
from rollout.progress import watched
from rollout.token_store import COLUMNS as TOKEN_COLUMNS
from verifiers.input_error import InputError

SHOWN_TEXT, SHOWN_ANSWER = 240, 120
"""Characters of a problem in the index; slices have all of it."""
Put = Callable[[str, str], None]
"""Takes the name of a pack and its text."""


@dataclass
class RunData:
    """One run, as far as it was read."""

    path: Path
    number: int
    """Among the runs of the page."""
    pieces: Pieces | None = None
    files: dict[Path, tuple[StoredStep, StepRows]] = field(default_factory=dict)
    unreadable: set[Path] = field(default_factory=set)


@dataclass
class Reader:
    """The runs of one page."""

    paths: Sequence[Path]
    put: Put
    tokenizer: str | None = None
    steps: Callable[[StoredStep], bool] = lambda stored: True
    """Which files are wanted."""
    explain: Explanations = field(default_factory=Explanations)
    runs: list[RunData] = field(default_factory=list)
    problems: dict[str, int] = field(default_factory=dict)
    """Their numbers, by id."""
    sets: dict[str, int] = field(default_factory=dict)
    """Numbers of the parts of runs: the training, and held-out sets by their names."""
    told: list[tuple[str, str, str]] = field(default_factory=list)
    """Text, answer, verifier of each."""
    words: dict[str, int] = field(default_factory=dict)
    """Vocabularies by their keys."""
    sent: dict[str, int] = field(default_factory=dict)
    """How many pieces of each were sent."""

    def check(self) -> None:
        """Raises InputError where a run is none."""
        for path in self.paths[len(self.runs) :]:
            _require_run(path)
            self.runs.append(RunData(path, len(self.runs)))

    def read(self) -> bool:
        """Reads what is new and puts it; whether there was anything."""
        self.check()
        new = [(run, stored) for run in self.runs for stored in self._new(run)]
        if self.explain.wanted:
            new.sort(key=lambda each: -each[1].step)  # the newest are explained
        with watched("reading rollouts", len(new), after=5.0) as progress:
            for run, stored in new:
                self._read_file(run, stored)
                progress.finished(1)
        self._put_words()
        return bool(new)

    def _new(self, run: RunData) -> list[StoredStep]:
        return [each for each in stored_steps(run.path) if each.path not in run.files | dict.fromkeys(run.unreadable) and self.steps(each)]

    def _read_file(self, run: RunData, stored: StoredStep) -> None:
        def complain(line: str) -> None:
            run.unreadable.add(stored.path)
            print(line, file=sys.stderr)

        for _, table in readable([stored], _columns(run, self.explain), complain):
            if run.pieces is None and table.num_rows:
                run.pieces = pieces_of_run(run.path, _model_of(table), self.tokenizer)
            part = self.sets.setdefault(stored.part, len(self.sets))

            def put(number: int, text: str, part: int = part) -> None:
                self.put(slice_name(run.number, part, stored.step, number), text)

            rows = step_rows(stored, table, RunFolder(run.path).tokens, self.explain.of(table), put)
            for name, *told in rows.problems:
                if self.problems.setdefault(name, len(self.problems)) == len(self.told):
                    self.told.append((told[0], told[1], told[2]))
            run.files[stored.path] = (stored, rows)

    def _put_words(self) -> None:
        for key in {run.pieces.key: run for run in self.runs if run.pieces}:
            number = self.words.setdefault(key, len(self.words))
            own = [run for run in self.runs if run.pieces and run.pieces.key == key]
            ids = [rows.tokens for run in own for _, rows in run.files.values()]
            used = np.unique(np.concatenate(ids)) if ids else np.zeros(0, np.int64)
            if self.sent.get(key) != len(used):
                assert own[0].pieces
                self.put(f"words-{number}", pack({"pieces": own[0].pieces.of(used)}, {"ids": smallest(used)}))
                self.sent[key] = len(used)

    # --- the index ---

    def index(self, *, live: bool = False) -> str:
        """The packed index of all that was read."""
        rows = [(run, stored, each) for run in self.runs for stored, each in _in_order(run)]
        parts = sorted({name for _, _, each in rows for name in each.parts})
        names = ("step", "group", "length", "score", "status", "finish", "slice", "row")
        whole = {name: _joined([each.columns[name] for *_, each in rows]) for name in names}
        counts = [len(each.problems) for *_, each in rows]
        whole["problem"] = smallest(np.array([self.problems[told[0]] for *_, each in rows for told in each.problems], np.int64))
        whole["run"] = smallest(np.repeat([run.number for run, *_ in rows], counts).astype(np.int64))
        whole["set"] = smallest(np.repeat([self.sets[stored.part] for _, stored, _ in rows], counts).astype(np.int64))
        whole["file"] = np.repeat([stored.step for _, stored, _ in rows], counts).astype(np.int32)
        for number, name in enumerate(parts):
            missing = [np.full(count, np.nan, np.float32) for count in counts]
            whole[f"part-{number}"] = _joined([each.parts.get(name, none) for (*_, each), none in zip(rows, missing, strict=True)])
        runs, curves = _runs_and_curves(self.runs, self.words)
        facts = {
            "runs": runs, "sets": ["train" if name == TRAINING else name for name in self.sets], "parts": parts, "live": live,
            "statuses": [*STATUSES, "unknown"], "finishes": [*FINISHES, "unknown"], "colours": _colours(rows),
            "problems": {
                "id": list(self.problems),
                "text": [problem_text(text)[:SHOWN_TEXT] for text, *_ in self.told],
                "answer": [answer[:SHOWN_ANSWER] for _, answer, _ in self.told],
            },
        }  # fmt: skip
        return pack(facts, {**{name: _packable(column) for name, column in whole.items()}, **curves})


def slice_name(run: int, part: int, step: int, number: int) -> str:
    """As `page/group.js` asks for it: numbers alone, whatever a folder is called."""
    return f"{run}-{part}-{step}-{number}"


def _in_order(run: RunData) -> list[tuple[StoredStep, StepRows]]:
    """The training first."""
    return sorted(run.files.values(), key=lambda each: (each[0].part != TRAINING, each[0].part, each[0].step))


def _packable(column: np.ndarray) -> np.ndarray:
    return smallest(column) if column.dtype.kind in "iu" and column.dtype.itemsize > 1 and column.size and column.min() >= 0 else column


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(columns) if columns else np.zeros(0, np.float32)


def _colours(rows: Sequence[tuple[RunData, StoredStep, StepRows]]) -> dict[str, str]:
    """What tokens can be coloured by, and what it is."""
    there = {name for *_, each in rows for name in each.colours}
    said = {"logp": "log-probability under the distribution it was sampled from", **TOKEN_COLUMNS}
    return {name: words for name, words in said.items() if name in there}


def _columns(run: RunData, explain: Explanations) -> Sequence[str]:
    more = () if run.pieces else ("model",)
    return (*COLUMNS, *more, *(("problem_row",) if explain.wanted else ()))


def _model_of(table: Any) -> str:
    return (table.column("model")[0].as_py() or "") if "model" in table.schema.names else ""


def _require_run(path: Path) -> None:
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; give the folder of a run, or a JSONL file with --model")
    if (path / "rollouts").is_dir() or (path / "metrics.jsonl").is_file():
        return
    within = sorted({config.parent for config in [*path.glob("*/config.json"), *path.glob("*/*/config.json")] if is_run(config.parent)})
    if within:
        raise InputError(f"{path} holds {len(within)} runs, and neither numbers nor rollouts of its own; give those, such as {within[-1]}")
    if not (path / "config.json").is_file():
        raise InputError(f"{path} is not the folder of a run (it has neither config.json nor rollouts/); give one that a run printed")


# --- curves ---


def _runs_and_curves(runs: Sequence[RunData], words: Mapping[str, int]) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """(what the page says of each run, its numbers as arrays RUN/KEY over RUN/step); `words`: numbers of vocabularies."""
    facts: list[dict[str, Any]] = []
    curves: dict[str, np.ndarray] = {}
    for run in runs:
        rows = read_lines(run.path / "metrics.jsonl")
        keys = list(dict.fromkeys(key for row in rows for key, value in row.items() if is_number(value) and key != "step"))
        curves[f"{run.number}/step"] = np.array([row["step"] for row in rows], np.int32)
        for key in keys:
            values = [row[key] if is_number(row.get(key)) else np.nan for row in rows]
            curves[f"{run.number}/{key}"] = np.clip(values, -3e38, 3e38).astype(np.float32)
        facts.append({"name": run.path.name or str(run.path.resolve().name), "path": str(run.path), "keys": keys, **_said(run.path),
                      "words": words.get(run.pieces.key) if run.pieces else None})  # fmt: skip
    names = [fact["name"] for fact in facts]
    facts = [fact | {"name": fact["path"]} if names.count(fact["name"]) > 1 else fact for fact in facts]
    return _with_families(facts), curves


def _said(path: Path) -> dict[str, Any]:
    """What its config and manifest say; nothing for a folder that has none."""
    try:
        seen = overview(path)
    except InputError:
        return {"method": "", "status": "", "steps": None, "options": {}}
    return {"method": seen.method, "status": seen.status, "steps": seen.steps, "options": dict(seen.options)}


def _with_families(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Runs that differ in nothing but the seed are of one family, shown as a band."""
    apart = {"seed", *UNSAID}
    kinds = [repr(sorted((name, repr(value)) for name, value in run["options"].items() if name not in apart)) for run in runs]
    alone = [kind if run["options"] else f"{number}" for number, (kind, run) in enumerate(zip(kinds, runs, strict=True))]
    known = list(dict.fromkeys(alone))
    return [run | {"family": known.index(kind)} for run, kind in zip(runs, alone, strict=True)]
