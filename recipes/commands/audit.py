"""`reckon audit DATA`: is this data fit to train on? What is wrong with its gold answers, what it repeats, and what it is made of.

    reckon audit problems.jsonl                                      a file, as `reckon grpo-math --data` reads it
    reckon audit openai/gsm8k --subset main --split train            a data set of the hub, or a local folder of one

Every gold answer is judged by its own verifier, as the response. Findings, worst first:

    conflict         the prompt of an earlier row, and an answer that is not equal to that row's
    gold_fails       the gold answer, given as the response, is not judged right
    no_gold          no gold answer; such rows are in no other count
    leak             the prompt has the gold answer boxed, in answer tags or behind ####
    duplicate        prompt, answer and verifier of an earlier row
    near_duplicate   the prompt of an earlier row up to case, white space and punctuation, and an equal answer
    unparsed         a gold answer that is outside what `math_answer` reads, so only the same tokens will count as right

Printed are a table of answer types, lengths, the first findings of each kind, and a last line `RESULT {...}`. The folder `--out` gets
`audit.jsonl` (one finding a line), `audit.json` (the numbers of RESULT) and `audit.png`. Whatever is found, the exit code is 0; with
`--strict` it is 1 where a gold fails or a conflict was found. A few thousand math rows a second on two cores; about 200 bytes a row
are kept, so a million rows fit into any machine. Left out: paraphrases, overlap with test sets, and whether a gold is true.
"""

import errno
import json
import os
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tyro

from recipes.commands.answer_types import UNPARSED, answer_type
from recipes.commands.audit_report import KINDS, FindingFiles, draw, print_report
from recipes.commands.census import Census, Repeat, given_away, quantiles
from recipes.commands.row_stream import Row, opened_rows, progress
from recipes.looking.explanation import judges_answers, print_anywhere
from recipes.setup.options import Reward, check_numbers
from recipes.setup.problem_source import data_set_rows, is_file
from recipes.spelling.result_line import result_line, tell_result
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.rewards.gold_answers import answer_as_response, gold_response
from verifiers.rewards.load_reward import load
from verifiers.rewards.named_functions import own_names
from verifiers.rewards.problem_file import row_reader
from verifiers.verdict import Status
from verifiers.worker_pool.gold_check import gold_judges
from verifiers.worker_pool.verifier_pool import VerifierPool

_MANY_ROWS = 10_000  # of a data set whose progress is worth showing


@dataclass(frozen=True)
class Config:
    """Audit the problems of a JSONL file or a data set: golds that fail, conflicts, duplicates, leaks, answer types, lengths."""

    data: tyro.conf.Positional[str]
    """JSONL file, - for standard input, or a data set's name or folder."""
    subset: str | None = None
    """The data set's configuration (gsm8k: main)."""
    split: str = "train"
    """The data set's split."""
    prompt_column: str | None = None
    """Column of the prompt (default: prompt, question or problem)."""
    answer_column: str | None = None
    """Column of the gold answer (default: answer, gold or solution)."""
    verifier: Reward = ()
    """Judge every row by this, as in `reckon verify`, optionally `=weight`; repeatable. Default: each row's own verifier, and
    math_answer for rows that name none. Of a composed reward the first math_answer or exact in it, which golds must satisfy."""
    trust_data_verifiers: bool = False
    """Let the data name code as a verifier (file.py:function), which then runs here."""
    workers: int = 2
    """Processes."""
    deadline: float = 10.0
    """Seconds for one verdict."""
    out: Path | None = None
    """Folder of the findings and the picture (default: audits/NAME)."""
    strict: bool = False
    """Exit with 1 where a gold fails or two rows conflict."""


@dataclass(slots=True)
class _Pending:
    """A row that is being judged."""

    place: str
    name: str
    end: int
    kind: str


@dataclass(slots=True)
class _Tally:
    """What the verdicts say. `types` counts (answer type, whether its gold verified)."""

    types: Counter[tuple[str, bool]] = field(default_factory=Counter)
    seconds: "array[float]" = field(default_factory=lambda: array("f"))
    rows: int = 0


@result_line()
def run(config: Config) -> int:
    """Print the report and write the files. Raises InputError for what cannot be read, before anything is written."""
    start = time.perf_counter()
    check_numbers(config)
    folder = config.out or Path("audits") / _source_name(config)
    _check_writable(folder)
    with ExitStack() as stack:
        findings = stack.enter_context(FindingFiles())
        rows, size = _open_source(config, stack)
        pool = stack.enter_context(VerifierPool(_judge_of_golds(config), workers=config.workers, deadline=config.deadline))
        census, tally = Census(), _Tally()
        repeats: list[Repeat] = []
        with progress(size) as show:
            _judge_rows(_Reader(config, rows, census, findings, repeats), pool, findings, tally, show)
        _compare_repeats(repeats, pool, findings, verifier=_row_verifier(config))
        if not tally.rows:
            raise InputError(f"{config.data} holds no problem; it should have one JSON object a line")
        result = _make_result(census, tally, findings, time.perf_counter() - start) | {"out": str(folder)}
        _write_files(folder, result, findings, census)
    print_anywhere()
    print_report(config.data, result, findings)
    tell_result(result)
    return 1 if config.strict and (findings.counts["gold_fails"] or findings.counts["conflict"]) else 0


class _Reader:
    """Rows to what the pool judges, in a thread of the pool's; on the way they are counted and compared with earlier ones."""

    def __init__(self, config: Config, rows: Iterable[Row], census: Census, findings: FindingFiles, repeats: list[Repeat]) -> None:
        self._config, self._rows, self._census, self._findings, self._repeats = config, rows, census, findings, repeats
        self._read = row_reader(
            verifier=_row_verifier(config),
            prompt_field=config.prompt_column,
            answer_field=config.answer_column,
            trust_verifiers=config.trust_data_verifiers,
        )
        self._loaded: set[str] = set()
        self.pending: dict[int, _Pending] = {}
        self.rows = 0

    def items(self) -> Iterator[tuple[Problem, str]]:
        index = 0
        for place, end, fields, _ in self._rows:
            self.rows += 1
            try:
                problem = self._read(fields)
                self._check_verifier(problem)
            except InputError as error:
                raise InputError(f"{self._config.data}, {place}: {error}") from None
            name = str(fields.get("id", "" if isinstance(problem, str) else problem.id))
            if isinstance(problem, str):
                self._findings.add("no_gold", place, name, problem)
                continue
            if (repeat := self._census.add(place, name, problem)) is not None:
                self._note(repeat)
            if (mark := given_away(problem)) is not None:
                self._findings.add("leak", place, name, f"the prompt has {mark:.120}")
            if (kind := answer_type(problem)) == UNPARSED:
                self._findings.add("unparsed", place, name, f"{problem.answer:.200}")
            self.pending[index] = _Pending(place, name, end, kind)
            index += 1
            yield problem, gold_response(problem)

    def _check_verifier(self, problem: Problem | str) -> None:
        """Raises InputError where one of our verifiers, named by a row, lacks what it needs: no gold would pass, and none is at fault."""
        if self._config.verifier or isinstance(problem, str) or problem.verifier in self._loaded:
            return
        self._loaded.add(problem.verifier)
        if problem.verifier in own_names():  # other code runs in the pool's processes only
            load(problem.verifier)

    def _note(self, repeat: Repeat) -> None:
        if repeat.exact:
            self._findings.add("duplicate", repeat.place, repeat.id, f"as {repeat.earlier}")
        elif repeat.same is None:
            self._repeats.append(repeat)
        else:
            _note_repeat(self._findings, repeat, same=repeat.same)


def _judge_rows(reader: _Reader, pool: VerifierPool, findings: FindingFiles, tally: _Tally, show: Callable[[int, int], None]) -> None:
    for index, verdict, seconds in pool.stream(reader.items()):
        row = reader.pending.pop(index)
        tally.types[row.kind, verdict.status is Status.RIGHT] += 1
        tally.seconds.append(seconds)
        if verdict.status is not Status.RIGHT:
            findings.add("gold_fails", row.place, row.name, f"{verdict.status}: {verdict.detail}")
        show(row.end, reader.rows)
    tally.rows = reader.rows


def _compare_repeats(repeats: list[Repeat], pool: VerifierPool, findings: FindingFiles, *, verifier: str) -> None:
    """Whether math answers that are written differently are equal, in the order of the rows."""
    items = [(make_problem("", repeat.first, verifier=verifier), answer_as_response(repeat.answer, "math_answer")) for repeat in repeats]
    for repeat, verdict in zip(repeats, pool.verify_many(items), strict=True):
        _note_repeat(findings, repeat, same=verdict.status is Status.RIGHT)


def _note_repeat(findings: FindingFiles, repeat: Repeat, *, same: bool) -> None:
    detail = f"the prompt of {repeat.earlier}, whose answer is {repeat.first!r}; here {repeat.answer!r}"
    findings.add("near_duplicate" if same else "conflict", repeat.place, repeat.id, detail)


def _make_result(census: Census, tally: _Tally, findings: FindingFiles, seconds: float) -> dict[str, Any]:
    kinds: Counter[str] = Counter()
    for (kind, _), count in tally.types.items():
        kinds[kind] += count
    milliseconds = {name: round(1000 * value, 3) for name, value in quantiles(tally.seconds).items()}
    return {
        "rows": tally.rows,
        "findings": {kind: findings.counts[kind] for kind in KINDS},
        "types": {kind: {"verified": tally.types[kind, True], "failing": tally.types[kind, False]} for kind, _ in kinds.most_common()},
        "verifiers": dict(census.verifiers.most_common()),
        "prompt_characters": quantiles(census.prompt_lengths),
        "answer_characters": quantiles(census.answer_lengths),
        "verdict_ms": milliseconds,
        "seconds": round(seconds, 3),
        "rows_per_s": round(tally.rows / seconds, 1),
    }


def _write_files(folder: Path, result: dict[str, Any], findings: FindingFiles, census: Census) -> None:
    try:
        with atomic_path(folder / "audit.jsonl") as path:
            findings.write(path)
        with atomic_path(folder / "audit.json") as path:
            path.write_text(json.dumps(result, indent=1) + "\n", encoding="ascii")
        with atomic_path(folder / "audit.png") as path:
            draw(result["types"], census.prompt_lengths).savefig(path, dpi=120, format="png")
    except OSError as error:
        if error.errno == errno.ENOSPC:  # reported by the command line, for every command
            raise
        raise InputError(f"{folder} cannot be written: {error.strerror}; choose another --out") from None


def _check_writable(folder: Path) -> None:
    """Before the work, not after it; nothing is made yet, as the data may turn out to be none."""
    existing = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        reason = "may not be written to" if existing.is_dir() else "is no folder"
        raise InputError(f"{folder} cannot be written: {existing} {reason}; choose another --out")


def _open_source(config: Config, stack: ExitStack) -> tuple[Iterable[Row], int]:
    """The rows, and how much there is of them if their progress is worth showing (else 0)."""
    if config.data == "-" or is_file(config.data):
        return opened_rows(config.data, stack)
    rows, total = data_set_rows(config.data, config.subset, config.split)
    numbered = (Row(place, number, fields) for number, (place, fields) in enumerate(rows, 1))
    return numbered, total if total > _MANY_ROWS else 0


def _row_verifier(config: Config) -> str:
    """What rows that name no verifier are taken to have: it decides whether their gold is boxed to be a response."""
    return "math_answer" if not config.verifier or judges_answers(config.verifier) else config.verifier[0]


def _judge_of_golds(config: Config) -> tuple[str, ...]:
    """What the golds are judged by: what reads answers in the first reward, if anything does; () for each row's own verifier."""
    return tuple(gold_judges(config.verifier[:1])[:1]) or config.verifier


def _source_name(config: Config) -> str:
    if config.data == "-" or is_file(config.data):
        return "standard-input" if config.data == "-" else Path(config.data).stem
    place = Path(config.data)
    parts = [place.resolve().name if place.exists() else config.data.replace("/", "-"), config.subset, config.split]
    return "-".join(part for part in parts if part)
