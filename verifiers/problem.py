"""What the policy is asked, together with what is needed to check a response.

A problem is a value: its id is a hash of its content, so that the same question read twice is the same group, the same
duplicate and the same evaluation item, whatever file it came from. Reading files is `problem_file.py`'s business.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType
from typing import Any, TypedDict


class Message(TypedDict):
    """One turn of a chat, as every chat template expects it."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A prompt that can be checked."""

    id: str
    """Content hash: the group key, the duplicate key, the evaluation key."""
    prompt: str | tuple[Message, ...]
    answer: str
    """What the verifier compares with. Never rendered into the prompt."""
    verifier: str
    """A module of `verifiers/` ("math_answer"), "package.module:function" or "file.py:function"."""
    meta: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    """Anything else the row held (source, level, tests); a verifier may read it."""


def make_problem(
    prompt: str | list[Message] | tuple[Message, ...],
    answer: str,
    *,
    verifier: str = "math_answer",
    meta: Mapping[str, Any] | None = None,
) -> Problem:
    """A Problem whose id is computed from prompt, answer and verifier (not from `meta`)."""
    frozen = prompt if isinstance(prompt, str) else tuple(prompt)
    return Problem(_content_hash([frozen, answer, verifier]), frozen, answer, verifier, MappingProxyType(dict(meta or {})))


def _content_hash(content: object) -> str:
    import hashlib  # a verifier that is asked without problems needs neither

    text: str = _encoder().encode(content)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


@cache
def _encoder() -> Any:
    import json

    return json.JSONEncoder(ensure_ascii=False, sort_keys=True)
