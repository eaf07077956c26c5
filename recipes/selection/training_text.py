"""A stored response as a trainer reads it: the prompt as the policy saw it, and the completion.

Where prompts went through a chat template, both are lists of messages, the system prompt of the run first; where they stood as plain
text, both are texts. What the template was given besides (`enable_thinking`) is a column of its own. These are the forms that `reckon sft`
and its relatives, and TRL's trainers, read; which of a trainer's tokens are trained on is the trainer's business. A row has no column whose
name a trainer gives a meaning to, besides those that it is meant to.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from recipes.selection.stored_responses import StoredResponse
from verifiers.atomic_files import atomic_path, remove_abandoned

Text = str | list[dict[str, str]]


def is_chat(response: StoredResponse) -> bool:
    """Whether it was sampled as a chat's turn. A row that does not say is one where the problem is a list of messages."""
    return response.templated if response.templated is not None else not isinstance(response.problem.prompt, str)


def prompt_of(response: StoredResponse) -> Text:
    """What stood before the response: messages, or a text."""
    prompt = response.problem.prompt
    if not is_chat(response):
        text = prompt if isinstance(prompt, str) else json.dumps(prompt)
        return _utf8(f"{response.system_prompt}\n\n{text}" if response.system_prompt else text)
    turns = [("user", prompt)] if isinstance(prompt, str) else [(turn["role"], turn["content"]) for turn in prompt]
    if response.system_prompt and not any(role == "system" for role, _ in turns[:1]):
        turns.insert(0, ("system", response.system_prompt))
    return [{"role": role, "content": _utf8(content)} for role, content in turns]


def completion_of(response: StoredResponse) -> Text:
    """The response in the form of its prompt. A thought that the prompt's text opens itself is not opened again."""
    if is_chat(response):
        return [{"role": "assistant", "content": response.text}]
    before = prompt_of(response)
    opened = before[before.rindex("<think>") :] if isinstance(before, str) and before.rstrip().endswith("<think>") else ""
    return response.text.removeprefix(opened)


def facts_of(response: StoredResponse) -> dict[str, Any]:
    """Columns that trainers leave alone: where the row came from. `meta` is JSON, as its fields differ from problem to problem."""
    problem = response.problem
    given = {"chat_template_kwargs": dict(response.template_arguments)} if response.template_arguments else {}
    return {
        **given,
        "problem_id": problem.id,
        "answer": _utf8(problem.answer),
        "verifier": _utf8(problem.verifier),
        "sampled_by": response.model,
        "policy_version": response.policy_version,
        "meta": json.dumps(dict(problem.meta), default=str),
    }


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """One JSON object a line, in ASCII; returns how many. The file is whole or not there, and not there where there are none.

    Raises OSError where it cannot be written. Escapes carry every character, and no reader takes one of them for the end of a line.
    """
    count = 0
    remove_abandoned(path)
    try:
        with atomic_path(path) as temporary:
            with temporary.open("w", encoding="ascii", newline="\n") as file:
                for row in rows:
                    file.write(json.dumps(row) + "\n")
                    count += 1
            if not count:
                raise _NothingError
    except _NothingError:
        return 0
    return count


class _NothingError(Exception):
    pass


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()  # half a surrogate pair is no UTF-8, and readers of JSON refuse its escape
