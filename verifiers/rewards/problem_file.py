"""Problems on disk: one JSON object a line, in our own form or as the common math data sets have it.

    {"prompt": ..., "answer": ..., "verifier": ..., "meta": {...}}      ours: what `write_problems` writes; taken word for word
    {"question": ..., "answer": "... #### 72"}                          GSM8K: the gold answer is what follows ####, in the last line
    {"problem": ..., "solution": "... \\boxed{72} ..."}                  MATH: the gold answer is the last \\boxed{}
    {"problem": ..., "answer" or "gold": ...}                           a bare gold answer
    {"prompt": [...], "reward_model": {"ground_truth": ...}}            verl: the same, nested
    {"prompt": ..., "canonical_solution" or "code" or "solutions": ...} code, where the verifier is one of code: a program, taken
                                                                        word for word, or none: it is the tests that decide

A prompt is a string or a list of chat messages, the last of which is not the model's. Columns are named, nested ones with dots
(`reward_model.ground_truth`). Everything else in a row goes to `meta`, and so does, as `solution`, the text
that a gold answer was taken from. A gold answer is not judged here: `worker_pool/gold_check.py` does that, with the verifier itself.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack

from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError, near_place, nearest
from verifiers.problem import Message, Problem, make_problem
from verifiers.rewards.gold_answers import CODE_VERIFIERS, PROGRAM_FIELDS, BadGoldError, answer_text, gold_in
from verifiers.rewards.named_functions import own_names

_PROMPT_FIELDS = ("prompt", "question", "problem")
_ANSWER_FIELDS = ("answer", "gold", "solution", "reward_model.ground_truth")
_MODELS_ROLES = ("assistant", "model", "gpt", "bot", "ai", "chatbot")


class ProblemList(list[Problem]):
    """The problems of a file, and how many rows of it were left out."""

    duplicates: int = 0
    """Rows with the same prompt, answer and verifier as an earlier one."""
    bad_gold: int = 0
    """Rows without a usable gold answer; more than 0 only if these were to be skipped."""


class Reading(TypedDict, total=False):
    """How a row becomes a problem; `read_problems` says what it means."""

    verifier: str
    prompt_field: str | None
    answer_field: str | None
    trust_verifiers: bool
    drop_answer_turn: bool
    answered: bool


def read_problems(path: Path, *, limit: int | None = None, skip_bad_gold: bool = False, **reading: Unpack[Reading]) -> ProblemList:
    """The problems of a JSONL file, in order and without duplicates, at most `limit` of them.

    `verifier` ("math_answer") is for rows that name none. `prompt_field` and `answer_field` say where to look instead of the usual names.
    Raises InputError, with file and line, for a file that cannot be read, a row that is no object or lacks a field, a file
    without problems, and rows without a usable gold answer: all of these are counted and the first ones named, or, with
    `skip_bad_gold`, they are left out and counted in `.bad_gold`. A row may name one of our own verifiers; one that names code
    (`file.py:function`) is refused unless `trust_verifiers`, since whoever wrote the data would choose what runs here. A prompt that
    ends with the model's own turn, as data for SFT do, would hold the answer: it is refused, or, with `drop_answer_turn`, loses that
    turn, whose text is the gold answer only where the answer's field is the prompt's. Where nobody compares with the answer, `answered` is
    False: it may be missing, of any kind, and hold no gold, and whatever a row names as its verifier is left alone.
    """
    rows = ((f"line {number}", row) for number, row in read_rows(path))
    return problems_of(rows, source=str(path), limit=limit, skip_bad_gold=skip_bad_gold, **reading)


def problems_of(
    rows: Iterable[tuple[str, dict[str, Any]]],
    *,
    source: str,
    limit: int | None = None,
    skip_bad_gold: bool = False,
    **reading: Unpack[Reading],
) -> ProblemList:
    """The problems of (place, row) pairs, by the rules of `read_problems`; `source` and the place name a bad row."""
    mapping = _Mapping(**reading)
    problems = ProblemList()
    seen: set[str] = set()
    bad: list[str] = []
    count = 0
    for place, row in rows:
        if limit is not None and len(problems) >= limit:
            break
        count += 1
        try:
            problem = mapping.problem(row)
        except BadGoldError as error:
            bad.append(f"{place} ({error})")
        except InputError as error:
            raise InputError(f"{source}, {place}: {error}") from None
        else:
            if problem.id in seen:
                problems.duplicates += 1
            else:
                seen.add(problem.id)
                problems.append(problem)
    if bad and not skip_bad_gold:
        more = f" and {len(bad) - 5} more" if len(bad) > 5 else ""
        raise InputError(
            f"{source}: {len(bad)} of {count} rows have no gold answer: {', '.join(bad[:5])}{more}; mend them, or drop them with "
            "--skip-bad-gold"
        )
    problems.bad_gold = len(bad)
    if not problems and limit != 0:
        raise InputError(f"{source} holds no problem; it should have one JSON object a line" + (" with a gold answer" if bad else ""))
    return problems


def row_reader(**reading: Unpack[Reading]) -> Callable[[dict[str, Any]], Problem | str]:
    """How `read_problems` reads one row: a function to its problem, or to the reason why it has no usable gold answer.

    The function raises InputError for a row that is no problem for another reason.
    """
    mapping = _Mapping(**reading)

    def read(row: dict[str, Any]) -> Problem | str:
        try:
            return mapping.problem(row)
        except BadGoldError as error:
            return str(error)

    return read


def write_problems(path: Path, problems: Iterable[Problem]) -> None:
    """Write problems so that `read_problems` gives them back; the file appears complete or not at all.

    Raises TypeError for a `meta` that JSON cannot hold.
    """
    with atomic_path(path) as temporary, temporary.open("w", encoding="ascii") as file:
        file.writelines(problem_line(problem) + "\n" for problem in problems)


def problem_line(problem: Problem) -> str:
    """A row of a problem file, without its end. In ASCII: JSON's escapes carry lone surrogates, which UTF-8 cannot."""
    row = {"prompt": problem.prompt, "answer": problem.answer, "verifier": problem.verifier, "meta": dict(problem.meta)}
    return json.dumps(row)


@dataclass(frozen=True, slots=True)
class _Mapping:
    """How a row becomes a problem."""

    verifier: str = "math_answer"
    prompt_field: str | None = None
    answer_field: str | None = None
    trust_verifiers: bool = False
    drop_answer_turn: bool = False
    answered: bool = True

    def problem(self, row: dict[str, Any]) -> Problem:
        prompt_field = self._find_field(row, self.prompt_field, _PROMPT_FIELDS, "prompt")
        if not self.answered:
            return self._prompt_alone(row, prompt_field)
        if row.get("verifier", self.verifier) in CODE_VERIFIERS:
            return self._code_problem(row, prompt_field)
        answer_field = self._find_field(row, self.answer_field, _ANSWER_FIELDS, "answer")
        meta = meta_of(row, prompt_field, answer_field)
        verifier = row_verifier(row, default=self.verifier, trusted=self.trust_verifiers)
        prompt, said = self._prompt(row, prompt_field)
        answer = said if answer_field == prompt_field and said is not None else answer_text(field_of(row, answer_field), answer_field)
        if "verifier" not in row:  # else the row is in our form already
            gold = gold_in(answer, required=answer_field == "solution" and self.answer_field is None)
            if gold != answer.strip():
                meta.setdefault("solution", answer)
            answer = gold
        if not answer.strip():
            raise BadGoldError(f"{answer_field!r} is empty")
        return make_problem(prompt, answer, verifier=verifier, meta=meta)

    def _code_problem(self, row: dict[str, Any], prompt_field: str) -> Problem:
        """A program is not searched for an answer, and a row without one is a problem too."""
        known = [name for name in (*_ANSWER_FIELDS, *PROGRAM_FIELDS) if isinstance(field_of(row, name), str)]
        answer_field = self._find_field(row, self.answer_field, (), "answer") if self.answer_field else next(iter(known), "")
        answer = answer_text(field_of(row, answer_field), answer_field) if answer_field else ""
        meta = meta_of(row, prompt_field, answer_field)
        return make_problem(self._prompt(row, prompt_field)[0], answer, verifier=row.get("verifier", self.verifier), meta=meta)

    def _prompt_alone(self, row: dict[str, Any], prompt_field: str) -> Problem:
        name = self.answer_field or "answer"
        answer = "" if name == prompt_field else field_of(row, name)
        text = "" if answer is ABSENT or answer is None else str(answer)
        return make_problem(self._prompt(row, prompt_field)[0], text, meta=meta_of(row, prompt_field, name))

    def _prompt(self, row: dict[str, Any], field: str) -> tuple[str | list[Message], str | None]:
        """(prompt, what the model's last turn said where one was dropped). Raises InputError where one ends the prompt and may not."""
        prompt = _read_prompt(field_of(row, field), field)
        if isinstance(prompt, str) or prompt[-1]["role"].strip().lower() not in _MODELS_ROLES:
            return prompt, None
        if not self.drop_answer_turn:
            raise InputError(
                f"{field!r} ends with the {prompt[-1]['role']}'s turn, which would put its answer into the prompt; "
                "drop that turn with --drop-answer-turn"
            )
        turns = list(prompt)
        while turns and turns[-1]["role"].strip().lower() in _MODELS_ROLES:
            turns.pop()
        if not turns:
            raise InputError(f"{field!r} holds turns of the {prompt[-1]['role']}'s only; there is nothing to ask")
        return turns, prompt[-1]["content"]

    @staticmethod
    def _find_field(row: dict[str, Any], asked: str | None, known: tuple[str, ...], what: str) -> str:
        for name in known if asked is None else (asked,):
            if field_of(row, name) is not ABSENT:
                return name
        wanted = " or ".join(repr(name) for name in known) if asked is None else repr(asked)
        raise InputError(f"no {wanted} among its fields ({', '.join(row) or 'none'}); say which one it is with --{what}-column")


def row_verifier(row: dict[str, Any], *, default: str, trusted: bool) -> str:
    """The verifier that a row names. Raises InputError where that is code, which whoever wrote the data would choose, unless `trusted`."""
    verifier = row.get("verifier", default)
    if not isinstance(verifier, str) or not verifier:
        raise InputError(f"'verifier' is {verifier!r:.60}; it should name one, e.g. \"math_answer\"")
    if "verifier" in row and not trusted and verifier not in (default, *own_names()):
        if ":" not in verifier and (near := nearest(verifier, own_names())):
            raise InputError(
                f"'verifier' is {verifier!r:.60}, which is none of ours; did you mean {near!r}? (`reckon verifiers` lists them)"
            )
        raise InputError(
            f"'verifier' is {verifier!r:.60}, which is none of ours ({', '.join(own_names())}); if you trust this data to choose "
            "code that runs here, give --trust-data-verifiers"
        )
    return verifier


ABSENT: Any = object()
"""What a row does not have."""


def field_of(row: dict[str, Any], name: str) -> Any:
    """A field by its name, or by dotted names into objects; `ABSENT` where there is none."""
    if name in row:
        return row[name]
    value: Any = row
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return ABSENT
        value = value[part]
    return value


def meta_of(row: dict[str, Any], *taken: str) -> dict[str, Any]:
    """What of a row is neither prompt nor answer."""
    rest = {key: value for key, value in row.items() if key not in (*taken, "verifier", "meta")}
    meta = row.get("meta")
    return {**rest, **meta} if isinstance(meta, dict) else rest if meta is None else {**rest, "meta": meta}


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a JSONL file with their line numbers; blank lines are passed over."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, parse_row(line, f"{path}, line {number}")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text ({error.reason}); it should be JSONL, one JSON object a line") from None
    except OSError as error:
        near = near_place(path) if isinstance(error, FileNotFoundError) else None
        remedy = f"did you mean {near}?" if near else "give the path of a JSONL file"
        raise InputError(f"{path} cannot be read: {error.strerror}; {remedy}") from None


def parse_row(line: str, where: str) -> dict[str, Any]:
    """The JSON object on a line. Raises InputError that says `where` it is not one."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        hint = "the file seems to be one JSON array" if line.strip() == "[" else str(error)
        raise InputError(f"{where}: not JSON ({hint}); write one JSON object a line") from None
    if not isinstance(row, dict):
        kind = {list: "array", str: "string", type(None): "null", bool: "boolean"}.get(type(row), "number")
        raise InputError(f"{where}: a JSON {kind}, not an object; write one JSON object a line")
    return row


def _read_prompt(value: object, field: str) -> str | list[Message]:
    if isinstance(value, str) and value.strip():
        return value
    if isinstance(value, list) and value and all(_is_message(message) for message in value):
        return value
    raise InputError(
        f"{field!r} is {value!r:.60}; a prompt is a text that is not empty, or a list of {{'role': ..., 'content': ...}} with texts"
    )


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str) and isinstance(value.get("content"), str)
