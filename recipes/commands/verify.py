"""`reckon verify FILE.jsonl`: is each answer right? One JSON verdict a row, in the order of the rows, as soon as it is known.

    reckon verify answers.jsonl                                  rows: {"gold": "1/2", "pred": "0.5"}
    reckon verify answers.jsonl --verifier my_rewards.py:score   any verifier or reward function
    generate | reckon verify -                                   rows: {"gold": "1/2", "response": "... \\boxed{0.5}"}
    reckon verify --gold 1/2 --pred 0.5 --explain                one question, and why its verdict is what it is

`pred` is an answer that was extracted already and is taken as it stands, `response` the whole text that a model wrote (it wins where a row
has both). `gold` is read as training reads it: what follows ####, or the last box, or all of it; verifiers that compare with nothing need
none. `problem`, what is in `meta`, and every other field are for the verifier. Without --verifier each row's own `verifier` decides, which
is `math_answer` where it names none. `reckon verifiers` lists what there is.

A verdict is {"line", "id" if the row has one, "score": number or null, "status", "detail", "seconds"}, "parts" where a reward has some, and
"steps" where one scores them; a last line `RESULT {...}` has the count of each status, the rows, and the speed. The exit code is 0 whatever
the verdicts are, but 1 where no row got a score. With `--explain` each row is a block of text for a reader instead (what was extracted, how
it was read, which step decided, the parts of a composed reward); in a file written with `--out` the same lines are the field "explanation"
of the row's JSON.

A pipe is read as it comes, in bounded memory: a row is answered without waiting for the next one. No GPU and no model; two
cores give more than 10,000 verdicts a second where a verdict itself costs nothing, so the verifier decides.
"""

import json
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TextIO

import tyro

from recipes.commands.row_stream import Row, opened_rows, progress
from recipes.looking.explanation import Explainer, block, judges_answers, print_anywhere
from recipes.setup.options import Reward, check_numbers
from recipes.setup.problem_source import data_set_rows, is_packed
from recipes.spelling.result_line import result_line, tell_result
from verifiers.input_error import InputError
from verifiers.problem import Problem, make_problem
from verifiers.response_text.final_answer import stated_gold
from verifiers.rewards.gold_answers import CODE_VERIFIERS, answer_as_response, answer_text
from verifiers.rewards.load_reward import reads_golds
from verifiers.rewards.problem_file import ABSENT, field_of, meta_of, row_verifier
from verifiers.verdict import JUDGED, Status, Verdict
from verifiers.worker_pool.verifier_pool import VerifierPool

_ROWS_IN_FLIGHT = 1 << 14  # rows read but not yet printed: what a row that takes long may hold up


@dataclass(frozen=True)
class Config:
    """Judge the answers in a JSONL file: rows with `gold`, and `pred` (an answer) or `response` (a text with the answer in it)."""

    file: tyro.conf.Positional[str] = ""
    """JSONL file (also compressed), table (Parquet, CSV), or - for standard input."""
    verifier: Reward = ()
    """A verifier's name, FILE.py:FUNCTION, or package.module:FUNCTION, optionally `=weight`; repeatable, the first decides what counts
    as right. Default: each row's own verifier, and math_answer for rows that name none."""
    gold_column: str = "gold"
    """Field of the right answer; dots lead into objects (reward_model.ground_truth)."""
    response_column: str = "response"
    """Field of what a model wrote."""
    trust_data_verifiers: bool = False
    """Let a row name code as its verifier (file.py:function), which then runs here."""
    explain: bool = False
    """Show how each verdict came about, as text for a reader."""
    gold: str = ""
    """Instead of a file: the right answer."""
    pred: str = ""
    """Instead of a file: the answer to judge (write --pred=... for one that begins with a dash)."""
    workers: int = 2
    """Processes."""
    deadline: float = 10.0
    """Seconds for one verdict; a row that takes longer has the status "timeout" and no score."""
    out: Path | None = None
    """Write the verdicts to this file, which appears when it is complete, instead of standard output."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What a verdict's line needs of its row."""

    echo: dict[str, Any]
    """The row's line, and its id if it has one."""
    place: str
    end: int
    item: tuple[Problem, str] | None
    """What was judged, if it is to be explained."""


@result_line()
def run(config: Config) -> int:
    """Print the verdicts; the exit code is 0 whatever they are, but 1 where none is a score.

    Raises InputError for a row, after the verdicts on those before.
    """
    check_numbers(config)
    specs = config.verifier
    print_anywhere()
    try:
        with ExitStack() as stack:
            rows, size = _open_source(config, stack)
            out = stack.enter_context(_open_output(config.out, config.file))
            workers = config.workers if config.file else 1
            pool = stack.enter_context(VerifierPool(specs, workers=workers, deadline=config.deadline))
            explainer = stack.enter_context(Explainer(specs, deadline=config.deadline)) if config.explain else None
            show = stack.enter_context(progress(size, seen=config.out is None and sys.stdout.isatty()))
            result = _print_verdicts(rows, _Printer(out, explainer, as_json=config.out is not None), config, pool, show)
        tell_result(result)
    except BrokenPipeError:  # the reader (`head`) has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if not any(result["counts"][status] for status in JUDGED):
        why = "the details say why" if result["rows"] else "there is none"
        print(f"no row got a score; {why}", file=sys.stderr)
        return 1
    return 0


def _open_source(config: Config, stack: ExitStack) -> tuple[Iterable[Row], int]:
    """The rows, and the size of a file whose progress can be shown without disturbing the verdicts (else 0)."""
    needs_gold = not config.verifier or reads_golds(config.verifier)
    if bool(config.file) is bool(config.pred) or (bool(config.gold) is not bool(config.pred) and (config.file or needs_gold)):
        raise InputError("give a JSONL file (or - for standard input), or one question as --gold ANSWER --pred ANSWER")
    if not config.file:
        return [Row("the question", 0, {config.gold_column: config.gold, "pred": config.pred})], 0
    if is_packed(config.file):
        rows, _ = data_set_rows(config.file, None, "train")
        return (Row(place, 0, fields, int(place.partition("line ")[2] or 0)) for place, fields in rows), 0
    rows, size = opened_rows(config.file, stack)
    disturbing = config.out is None and sys.stdout.isatty()
    return rows, 0 if disturbing or config.file == "-" else size


class _Printer:
    """Writes a verdict as a line of JSON, or, where it is explained on standard output, as a block of text."""

    def __init__(self, out: TextIO, explainer: Explainer | None, *, as_json: bool) -> None:
        self._out, self._explainer, self._as_json = out, explainer, as_json

    def __call__(self, waiting: _Waiting, verdict: Verdict, seconds: float) -> None:
        line = {**waiting.echo, "score": verdict.score, "status": verdict.status, "detail": verdict.detail}
        if verdict.parts:
            line["parts"] = dict(verdict.parts)
        if verdict.steps:
            line["steps"] = [{"end": step.end, "score": step.score} for step in verdict.steps]
        line["seconds"] = round(seconds, 6)
        text = ""
        if self._explainer is not None and waiting.item is not None:
            line["explanation"] = self._explainer.lines(*waiting.item, verdict)
            named = f" (id {waiting.echo['id']})" if "id" in waiting.echo else ""
            text = block(waiting.place + named, verdict, line["explanation"])
        self._out.write((json.dumps(line) if self._as_json or not text else text) + "\n")
        self._out.flush()


def _print_verdicts(
    source: Iterable[Row], print_verdict: _Printer, config: Config, pool: VerifierPool, show: Callable[[int, int], None]
) -> dict[str, Any]:
    start = time.perf_counter()
    counts = dict.fromkeys(Status, 0)
    rows: deque[_Waiting] = deque()  # read, and not yet printed
    room = threading.Semaphore(_ROWS_IN_FLIGHT)
    early: dict[int, tuple[Verdict, float]] = {}  # verdicts that wait for one of an earlier row
    printed = 0
    for index, verdict, seconds in pool.stream(_items_of_rows(source, config, rows, room)):
        early[index] = (verdict, seconds)
        while printed in early:
            ready, took = early.pop(printed)
            waiting = rows.popleft()
            print_verdict(waiting, ready, took)
            room.release()
            counts[ready.status] += 1
            printed += 1
            show(waiting.end, printed)
    seconds = time.perf_counter() - start
    return {
        "rows": printed,
        "counts": {str(status): count for status, count in counts.items()},
        "seconds": round(seconds, 3),
        "verdicts_per_s": round(printed / seconds, 1),
        **{name: value for name, value in pool.take_figures().items() if name != "verdicts"},
    }


def _items_of_rows(
    source: Iterable[Row], config: Config, rows: deque[_Waiting], room: threading.Semaphore
) -> Iterator[tuple[Problem, str]]:
    """The rows as problems and responses; what their verdicts' lines need goes to `rows`. Runs in the pool's thread."""
    said: set[str] = set()
    for place, end, fields, line in source:
        for note in _notes_on_row(fields, config) if config.verifier else ():
            if note not in said:
                said.add(note)
                print(f"note: {place} {note}", file=sys.stderr)
        try:
            item = _item_of_row(fields, config)
        except InputError as error:
            where = "standard input" if config.file == "-" else config.file
            raise InputError(f"{where}, {place}: {error}" if where else str(error)) from None
        room.acquire()
        echo = ({"line": line} if line else {}) | ({"id": fields["id"]} if "id" in fields else {})
        rows.append(_Waiting(echo, place, end, item if config.explain else None))
        yield item


def _notes_on_row(row: dict[str, Any], config: Config) -> Iterator[str]:
    """What is done to a row that its writer might not expect."""
    if row.get("verifier", config.verifier[0]) != config.verifier[0]:
        yield f"names the verifier {row['verifier']!r:.60}; --verifier judges it instead"
    if field_of(row, config.gold_column) is ABSENT and any(":" in spec for spec in config.verifier):
        yield f"has no {config.gold_column!r}; the reward finds an empty answer (--gold-column says where it is)"


def _item_of_row(row: dict[str, Any], config: Config) -> tuple[Problem, str]:
    own = row_verifier(row, default="math_answer", trusted=config.trust_data_verifiers) if not config.verifier else ""
    verifier, compares = _reward_traits(config.verifier or (own,))
    gold = field_of(row, config.gold_column)
    said = field_of(row, config.response_column)
    unasked, unsaid = gold is ABSENT and compares, said is ABSENT and "pred" not in row
    if unasked or unsaid:
        missing = [repr(config.gold_column)] * unasked + [f"'pred' or {config.response_column!r}"] * unsaid
        raise InputError(
            f"no {' and no '.join(missing)} among its fields ({', '.join(row) or 'none'}); say which one it is with --gold-column or "
            "--response-column"
        )
    asked = next((row[name] for name in ("problem", "prompt", "question") if name in row), "")
    meta = meta_of(row, config.gold_column, config.response_column, "problem", "pred")
    answer = _gold_text(gold, config.gold_column, verbatim=verifier in CODE_VERIFIERS or (own != "" and "verifier" in row))
    problem = make_problem(asked if isinstance(asked, str) else "", answer, verifier=own or verifier, meta=meta)
    if said is not ABSENT and said is not None:
        if not isinstance(said, str):
            raise InputError(f"{config.response_column!r} is {said!r:.60}; it should be a text")
        return problem, said
    pred = answer_text(row.get("pred"), "pred")
    return problem, answer_as_response(pred, verifier, as_it_stands=True) if pred.strip() else ""


@lru_cache(maxsize=256)
def _reward_traits(specs: tuple[str, ...]) -> tuple[str, bool]:
    """For whom a bare answer is dressed, and whether rewards compare with a gold answer."""
    return "math_answer" if judges_answers(specs) else specs[0], reads_golds(specs)


def _gold_text(value: object, field: str, *, verbatim: bool) -> str:
    """The gold answer, of a solution its end, as `problem_file.py` reads it; nothing for NaN and infinity, which are no answers."""
    if value is ABSENT or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    text = answer_text(value, field)
    stated = None if verbatim else stated_gold(text)
    return text if stated is None else stated


@contextmanager
def _open_output(path: Path | None, source: str) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    if path.is_dir():
        raise InputError(f"{path} is a folder; give --out the name of a file in it")
    if source not in ("", "-") and path.exists() and path.samefile(source):
        raise InputError(f"--out {path} is the file that is judged, which it would replace; give another name")
    partial = path.with_name(path.name + ".partial")  # stays, with the rows so far, if a row cannot be read
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = partial.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}; choose another --out") from None
    with file:
        yield file
    os.replace(partial, path)
