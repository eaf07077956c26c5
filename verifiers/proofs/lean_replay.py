"""Lean's replies from a folder of recordings: to test and to debug without Lean.

A recording is one JSON file named by a hash of what was asked (imports, body, audit command):
`{"header", "body", "audit", "reply": {"messages", "sorries", "audit"}}`. A request that was not recorded is a failure, not a verdict.
"""

import hashlib
import json
from pathlib import Path

from verifiers.input_error import InputError
from verifiers.proofs.lean_transport import LeanFailure, Message, Reply


class LeanReplay:
    """Answers from the recordings in `folder`."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder of Lean recordings; unset RECKON_LEAN_REPLAY, or name a folder of recordings")
        self._folder = folder

    def elaborate(self, header: str, body: str, audit: str, deadline: float) -> Reply:
        path = self._folder / recording_name(header, body, audit)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))["reply"]
            messages, answers = ([Message(*message) for message in data[key]] for key in ("messages", "audit"))
            return Reply(tuple(messages), int(data["sorries"]), tuple(answers))
        except FileNotFoundError:
            raise LeanFailure(f"no recording {path.name} in {self._folder}: this proof was never sent to Lean") from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise LeanFailure(f"the recording {path} cannot be read: {error}") from None


def recording_name(header: str, body: str, audit: str) -> str:
    content = json.dumps([header, body, audit])
    return hashlib.sha256(content.encode()).hexdigest()[:32] + ".json"
