"""What goes to Lean and what comes back, whichever way it travels: a REPL here, a server elsewhere, or a recording.

A transport is given three texts: imports, what follows them, and one audit command of ours. It returns what Lean said of the
second and, apart from it, what Lean said of the audit: which is which is the transport's to know from the place of a message,
never from its words, since a proof can make Lean print any words. What Lean cannot be asked is an exception, never a reply.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


class LeanTimeout(Exception):
    """No answer before the deadline."""


class LeanFailure(Exception):
    """Lean could not be asked, or its answer cannot be read: says nothing about the proof."""


class LeanMissing(LeanFailure):
    """There is nothing to ask: what to install or set, in one line."""


class Message(NamedTuple):
    severity: str
    """error, warning, info or trace."""
    line: int
    column: int
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    messages: tuple[Message, ...]
    """Of imports and body."""
    sorries: int
    """Goals that were left to `sorry`."""
    audit: tuple[Message, ...] = ()


class Transport(Protocol):
    """Any number of threads may call `elaborate` at once."""

    def elaborate(self, header: str, body: str, audit: str, deadline: float) -> Reply:
        """Lean's reply to a file of `header` (imports only), `body` and the command `audit`, which is one line.

        `deadline` is a time of `time.monotonic`. Raises LeanTimeout and LeanFailure.
        """
        ...


def read_reply(response: object) -> Reply:
    """The reply in the JSON object of a Lean REPL. Raises LeanFailure for anything that is none.

    Not to be believed: only its shape is known when this returns.
    """
    if not isinstance(response, Mapping):
        raise LeanFailure(f"the reply is {response!r:.80}, not an object")
    if isinstance(text := response.get("message"), str):
        raise LeanFailure(f"the REPL says: {text[:300]}")
    sorries, messages = response.get("sorries") or [], response.get("messages") or []
    if not isinstance(sorries, list) or not isinstance(messages, list):
        raise LeanFailure("the reply's messages or sorries are no list")
    return Reply(tuple(_message(message) for message in messages), len(sorries))


def _message(message: Any) -> Message:
    try:
        position = message.get("pos") or {}
        return Message(str(message["severity"]), int(position.get("line", 0)), int(position.get("column", 0)), str(message["data"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise LeanFailure(f"the reply holds a message of another shape: {message!r:.120}") from None
