"""Rows of data as people write them, to a few values: a conversation, a prompt and its completion, a text, two sides of a preference.

    {"messages": [{"role": ..., "content": ...}, ...]}           a conversation; also "conversations" of {"from": ..., "value": ...}
    {"prompt": ..., "completion": ...}                           text or messages, each; also question/answer, problem/solution,
                                                                 instruction/output (with its "input") and the like
    {"text": ...}                                                all of it trains
    {"prompt": ..., "chosen": ..., "rejected": ...}              text or messages; without a prompt, messages that begin alike
    {"prompt": ..., "completion": ..., "label": true}            one side of a preference
    {"prompt": ..., "response": ..., "steps": [{"end": 12, "score": 1.0}, ...]}     an answer whose steps have labels
    {"prompt": ..., "completions": ["...", ...], "labels": [true, ...]}             the same as TRL has it, a text a step

No tokenizer is needed here. A message may say itself whether it trains (`train` or `loss`: true or false, `weight`: 0 or 1). Fields
are found by these names or named by the user, nested ones with dots. `tools` and
`chat_template_kwargs` (`enable_thinking`) of a row go to the chat template.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import Any, Literal

from verifiers.input_error import InputError
from verifiers.rewards.gold_answers import answer_text
from verifiers.rewards.problem_file import ABSENT, field_of

TrainOn = Literal["auto", "all", "last", "marked"]
Messages = tuple[Mapping[str, Any], ...]

_PROMPTS = ("prompt", "question", "problem", "instruction", "query")
_COMPLETIONS = ("completion", "response", "output", "solution", "answer")
_CONVERSATIONS = ("messages", "conversations", "conversation")
_MARKS = ("train", "loss", "weight")
_RENDERING = {
    *("tokenize", "add_generation_prompt", "continue_final_message", "chat_template", "conversation", "tools", "documents", "padding"),
    *("truncation", "max_length", "return_tensors", "return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs"),
}
"""How the tokenizer renders, which is not the data's business."""
_ROLES = {  # other names of the roles that chat templates know
    **dict.fromkeys(("gpt", "bot", "ai", "chatbot", "chatgpt", "model"), "assistant"),
    "human": "user",
    "observation": "tool",
}


@dataclass(frozen=True)
class Fields:
    """Where to look instead of the usual names."""

    prompt: str | None = None
    completion: str | None = None
    messages: str | None = None
    text: str | None = None
    chosen: str | None = None
    rejected: str | None = None
    label: str | None = None
    margin: str | None = None
    """Of a pair; None where nobody is asked for one."""


USUAL = Fields()


@dataclass(frozen=True)
class Conversation:
    messages: Messages
    trains: tuple[bool, ...]
    """Of every message; only the assistant's can."""
    arguments: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """What the chat template reads besides: `tools`, `enable_thinking`."""


@dataclass(frozen=True)
class PromptAndCompletion:
    prompt: str
    completion: str


@dataclass(frozen=True)
class Text:
    text: str


Written = Conversation | PromptAndCompletion | Text


@dataclass(frozen=True)
class Sides:
    """What is said to one prompt: a chosen and a rejected side, or one that has a label. All share their prompt's messages or text."""

    sides: tuple[Written, ...]
    columns: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    steps: tuple[tuple[int, float], ...] = ()
    """Of a side whose steps have labels: each one's end, in characters of the answer, and its label, 0 to 1."""
    answer: str = ""
    """The text that those ends are of."""


# --- supervised --------------------------------------------------------------------------------------------------------


def read_supervised(row: Mapping[str, Any], fields: Fields = USUAL, train_on: TrainOn = "auto") -> Written:
    """What a row holds. Raises InputError for one that holds nothing to learn from."""
    if fields.text or not (fields.prompt or fields.completion or fields.messages or _found(row, (*_CONVERSATIONS, *_PROMPTS))):
        name = fields.text or "text"
        text = field_of(dict(row), name)
        if text is ABSENT:
            raise _missing(row, "messages, no prompt and no text", "--messages-column, --prompt-column or --text-column")
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{name!r} is {text!r:.60}; it should be a text that is not empty")
        return Text(text)
    if fields.messages or not (fields.prompt or fields.completion or not _found(row, _CONVERSATIONS)):
        name = fields.messages or _found(row, _CONVERSATIONS)
        messages, marks = _messages(_value(row, name, "messages"), name)
        return Conversation(messages, _trained(messages, marks, train_on), _arguments(row))
    asked = fields.prompt or _found(row, _PROMPTS)
    prompt = _side(_value(row, asked, "prompt"), asked)
    if asked == "instruction" and isinstance(prompt, str) and isinstance(row.get("input"), str) and row["input"].strip():
        prompt = f"{prompt}\n\n{row['input']}"
    name = fields.completion or _found(row, _completion_names(row))
    if not name:
        raise _missing(row, "completion", "--completion-column")
    return _joined(prompt, _side(_value(row, name, "completion"), name), _arguments(row), train_on)


def _completion_names(row: Mapping[str, Any]) -> tuple[str, ...]:
    """A problem's bare gold answer is nothing to imitate: it is a completion only where somebody says so."""
    return tuple(name for name in _COMPLETIONS if not (name == "answer" and "verifier" in row))


def _joined(
    prompt: str | tuple[Messages, tuple[bool | None, ...]],
    completion: str | tuple[Messages, tuple[bool | None, ...]],
    arguments: Mapping[str, Any],
    train_on: TrainOn = "auto",
) -> Conversation | PromptAndCompletion:
    """A prompt and what follows it; of messages, a conversation of which only the completion's turns can train."""
    if isinstance(prompt, str) and isinstance(completion, str):
        return PromptAndCompletion(prompt, completion)
    before = ({"role": "user", "content": prompt},) if isinstance(prompt, str) else prompt[0]
    after, marks = (({"role": "assistant", "content": completion},), (None,)) if isinstance(completion, str) else completion
    if before[-1]["role"] == "assistant":
        raise InputError("the prompt ends with the assistant's turn, and the completion would follow it; leave that turn to the completion")
    if after[0]["role"] != "assistant":
        raise InputError(f"what follows the prompt begins with the {after[0]['role']}'s turn; it should be the assistant's")
    trains = _trained(after, marks, train_on)
    return Conversation((*before, *after), (*(False for _ in before), *trains), arguments)


def _trained(messages: Messages, marks: Sequence[bool | None], train_on: TrainOn) -> tuple[bool, ...]:
    """Which messages train: all of the assistant's, the last, or those marked. Raises InputError where that cannot be told."""
    own = [n for n, message in enumerate(messages) if message["role"] == "assistant"]
    if odd := [n for n, mark in enumerate(marks) if mark and n not in own]:
        raise InputError(f"message {odd[0]} is marked to train but it is the {messages[odd[0]]['role']}'s; only the assistant's turns can")
    if train_on == "last":
        own = own[-1:]
    elif train_on == "marked" or (train_on == "auto" and any(marks[n] is not None for n in own)):
        unsaid = [n for n in own if marks[n] is None]
        if unsaid and (train_on == "marked" or any(marks)):
            raise InputError(
                f"message {unsaid[0]} is the assistant's and not marked (train: true or false) while others are; mark them all"
            )
        own = [n for n in own if marks[n] is not False]
    if not own:
        raise InputError(
            "nothing in it trains: it has no turn of the assistant's" + (" that is marked" if any(m is not None for m in marks) else "")
        )
    return tuple(n in own for n in range(len(messages)))


# --- preferences -------------------------------------------------------------------------------------------------------


def read_pair(row: Mapping[str, Any], fields: Fields = USUAL) -> Sides:
    """(chosen, rejected) to one prompt, with the margin between them where a field for it is named.

    Raises InputError for a row without two sides, or with equal ones, and for a margin that is no number or below 0.
    """
    values = {}
    for name, asked in (("chosen", fields.chosen), ("rejected", fields.rejected)):
        value = field_of(dict(row), asked or name)
        if value is ABSENT or value is None or value == "" or value == []:
            raise _missing(row, f"{name} side", f"--{name}-column") if value is ABSENT else InputError(f"its {name} side is empty")
        values[name] = _side(value, asked or name)
    chosen, rejected = values["chosen"], values["rejected"]
    if chosen == rejected:
        raise InputError("its chosen and its rejected side are equal, which prefers nothing; leave the row out")
    name = fields.prompt or _found(row, _PROMPTS)
    prompt: Any
    if name:
        prompt = _side(_value(row, name, "prompt"), name)
        chosen, rejected = _without(prompt, chosen), _without(prompt, rejected)
    else:
        prompt, chosen, rejected = _common(chosen, rejected)
    arguments, columns = _arguments(row), {"margin": _margin(row, fields.margin)} if fields.margin else {}
    return Sides(tuple(_joined(prompt, side, arguments, "all") for side in (chosen, rejected)), MappingProxyType(columns))


def _margin(row: Mapping[str, Any], name: str) -> float:
    value = _value(row, name, "margin")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise InputError(f"its margin is {value!r:.40}; it should be a number, 0 or more")
    return float(value)


def read_labelled(row: Mapping[str, Any], fields: Fields = USUAL) -> Sides:
    """A completion with its label: 1 where it is wanted, 0 where not. Raises InputError where it is neither."""
    label = field_of(dict(row), fields.label or "label")
    if label is ABSENT:
        raise _missing(row, "label", "--label-column")
    if not (isinstance(label, bool) or label in (0, 1)):
        raise InputError(f"its label is {label!r:.60}; it should be true (wanted) or false")
    written = read_supervised(row, fields, "all")
    if isinstance(written, Text):
        raise _missing(row, "prompt", "--prompt-column")
    return Sides((written,), MappingProxyType({"label": float(label)}))


def read_steps(row: Mapping[str, Any], fields: Fields = USUAL) -> Sides:
    """An answer with a label, 0 to 1, at the end of each step. Raises InputError for an end outside of it, and where none has a label.

    A text a step (TRL's way) is followed by a line break where it does not end in white space itself; that belongs to it.
    """
    asked = fields.prompt or _found(row, _PROMPTS)
    prompt = _side(_value(row, asked, "prompt"), asked)
    if row.get("completions") is not None:
        answer, steps = _texts_of_steps(row)
    else:
        name = fields.completion or _found(row, _COMPLETIONS)
        answer = _plain_answer(_side(_value(row, name, "completion"), name), name)
        steps = _ends_of_steps(row, len(answer))
    if not steps:
        raise InputError("none of its steps has a label, so there is nothing to learn from it")
    return Sides((_joined(prompt, answer, _arguments(row), "all"),), steps=tuple(steps), answer=answer)


def _texts_of_steps(row: Mapping[str, Any]) -> tuple[str, list[tuple[int, float]]]:
    texts, labels = row["completions"], row.get("labels")
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) and text for text in texts):
        raise InputError(f"'completions' is {texts!r:.60}; it should be a list of texts, one a step")
    if not isinstance(labels, list | tuple) or len(labels) != len(texts):
        count = len(labels) if isinstance(labels, list | tuple) else "no"
        raise InputError(f"it has {len(texts)} completions and {count} labels; each step should have one, null where it has none")
    parts = [text if text[-1].isspace() or number == len(texts) else f"{text}\n" for number, text in enumerate(texts, 1)]
    ends = list(accumulate(map(len, parts)))
    return "".join(parts), [(end, _label(label)) for end, label in zip(ends, labels, strict=True) if label is not None]


def _ends_of_steps(row: Mapping[str, Any], length: int) -> list[tuple[int, float]]:
    steps = row.get("steps")
    if not isinstance(steps, list | tuple) or not all(isinstance(step, Mapping) and type(step.get("end")) is int for step in steps):
        raise InputError(f"'steps' is {steps!r:.60}; it should be a list of {{'end': characters, 'score': 0 to 1}}")
    found = [(step["end"], step.get("score")) for step in steps]
    for before, (end, _) in pairwise([(0, None), *found]):
        if not 0 < end <= length:
            raise InputError(f"a step ends at character {end}, outside of its answer, which has {length}; mend the data")
        if end <= before[0]:
            raise InputError(f"a step ends at character {end} after one that ends at {before[0]}; the ends of steps rise")
    return [(end, _label(score)) for end, score in found if score is not None]


def _label(value: Any) -> float:
    if not isinstance(value, bool | int | float) or not 0 <= value <= 1:
        raise InputError(f"a step's label is {value!r:.40}; it should be true or false, or a share from 0 to 1")
    return float(value)


def _plain_answer(side: Any, name: str) -> str:
    """A completion as one text."""
    messages = () if isinstance(side, str) else side[0]
    if isinstance(side, str):
        return side
    if len(messages) != 1 or not isinstance(messages[0]["content"], str) or messages[0].get("tool_calls"):
        raise InputError(f"{name!r} is more than one turn of text, in which the ends of steps cannot be found; give one")
    return str(messages[0]["content"])


def _without(prompt: Any, side: Any) -> Any:
    """A side whose messages begin with the prompt's again, as some data sets have it, without them."""
    if isinstance(side, str):
        return side
    messages, marks = side
    before = prompt[0] if not isinstance(prompt, str) else ({"role": "user", "content": prompt},)
    own = len(before) if messages[: len(before)] == before else 0
    if own == len(messages):
        raise InputError("one of its sides is nothing but the prompt")
    return messages[own:], marks[own:]


def _common(chosen: Any, rejected: Any) -> tuple[Any, Any, Any]:
    """(prompt, chosen, rejected) of two conversations that begin alike."""
    if isinstance(chosen, str) or isinstance(rejected, str):
        raise InputError("it has no prompt (prompt, question or problem); say which field it is with --prompt-column")
    (left, left_marks), (right, right_marks) = chosen, rejected
    same = 0
    while same < min(len(left), len(right)) and left[same] == right[same]:
        same += 1
    if same == 0 or same == min(len(left), len(right)) or not left[same]["role"] == right[same]["role"] == "assistant":
        raise InputError(
            "its sides are not two answers to one prompt: they should begin with the same messages and part at the assistant's"
        )
    return (left[:same], left_marks[:same]), (left[same:], left_marks[same:]), (right[same:], right_marks[same:])


# --- fields and messages -----------------------------------------------------------------------------------------------


def _found(row: Mapping[str, Any], names: Sequence[str]) -> str:
    """The first of these fields that the row has, "" for none. A null is none: tables have one for every column."""
    return next((name for name in names if row.get(name) is not None), "")


def _value(row: Mapping[str, Any], name: str, what: str) -> Any:
    value = field_of(dict(row), name) if name else ABSENT
    if value is ABSENT:
        raise _missing(row, what, f"--{what}-column")
    return value


def _missing(row: Mapping[str, Any], what: str, flag: str) -> InputError:
    return InputError(f"no {what} among its fields ({', '.join(map(str, row)) or 'none'}); say which one it is with {flag}")


def _side(value: Any, name: str) -> str | tuple[Messages, tuple[bool | None, ...]]:
    if isinstance(value, int | float) and not isinstance(value, bool):  # a table's column of numbers
        value = answer_text(value, name)
    if isinstance(value, str):
        if not value.strip():
            raise InputError(f"{name!r} is empty")
        return value
    if not isinstance(value, dict | list | tuple):
        raise InputError(f"{name!r} is {value!r:.60}; it should be a text, or a list of {{'role': ..., 'content': ...}}")
    return _messages([value] if isinstance(value, dict) else value, name)


def _messages(value: Any, name: str) -> tuple[Messages, tuple[bool | None, ...]]:
    """The messages as a chat template takes them, and each one's mark."""
    if not isinstance(value, list | tuple) or not value:
        raise InputError(f"{name!r} is {value!r:.60}; it should be a list of {{'role': ..., 'content': ...}}")
    pairs = [_message(message, f"{name}[{n}]") for n, message in enumerate(value)]
    return tuple(message for message, _ in pairs), tuple(mark for _, mark in pairs)


def _message(value: Any, name: str) -> tuple[Mapping[str, Any], bool | None]:
    if not isinstance(value, dict):
        raise InputError(f"{name} is {value!r:.60}; it should be {{'role': ..., 'content': ...}}")
    kept = {key: item for key, item in value.items() if item is not None and key not in (*_MARKS, "from", "value")}
    role, content = value.get("role", value.get("from")), value.get("content", value.get("value"))
    if not isinstance(role, str) or not (isinstance(content, str | list) or kept.get("tool_calls")):
        raise InputError(f"{name} is {value!r:.60}; it should have a role and a content, which is text")
    role = role.strip().lower()
    kept |= {"role": _ROLES.get(role, role), "content": content if content is not None else ""}
    return kept, _mark(value, name)


def _mark(message: Mapping[str, Any], name: str) -> bool | None:
    said = {key: message[key] for key in _MARKS if message.get(key) is not None}
    for key, value in said.items():
        if not (isinstance(value, bool) or value in (0, 1)):
            raise InputError(f"{name}: {key} is {value!r:.40}; a turn trains or does not: true or false, 1 or 0")
    if len({bool(value) for value in said.values()}) > 1:
        raise InputError(f"{name}: {' and '.join(said)} contradict each other; leave one of them out")
    return next((bool(value) for value in said.values()), None)


def _arguments(row: Mapping[str, Any]) -> Mapping[str, Any]:
    tools = row.get("tools")
    if isinstance(tools, str) and tools.strip():
        try:
            tools = json.loads(tools)
        except (ValueError, RecursionError) as error:
            raise InputError(f"'tools' is no JSON ({error}); it should be a list of tools") from None
    if tools and not isinstance(tools, list):
        raise InputError(f"'tools' is {tools!r:.60}; it should be a list of tools")
    given = row.get("chat_template_kwargs") or {}
    if not isinstance(given, dict) or _RENDERING & given.keys():
        raise InputError(f"'chat_template_kwargs' is {given!r:.60}; it should hold what a chat template reads, such as enable_thinking")
    known = {name: value for name, value in given.items() if value is not None}  # a table gives every row the names of all
    return MappingProxyType(known | ({"tools": tools} if tools else {}))
