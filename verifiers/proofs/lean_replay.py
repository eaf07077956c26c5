"""Lean's replies from a folder of recordings, and the recorder that makes them: to test and to debug without Lean.

A recording is one JSON file named by a hash of what was asked (imports, body, audit command):
`{"header", "body", "audit", "reply": {"messages", "sorries", "audit"}}`. A request that was not recorded is a failure, not a verdict.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError
from verifiers.proofs.lean_transport import LeanFailure, Message, Reply, Transport


class LeanReplay:
    """Answers from the recordings in `folder`."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder} is no folder of Lean recordings; unset RECKON_LEAN_REPLAY, or record some with LeanRecorder")
        self._folder = folder

    def check(self, header: str, body: str, audit: str, deadline: float) -> Reply:
        path = self._folder / _name(header, body, audit)
        try:
            data = json.loads(path.read_text(encoding="utf-8"))["reply"]
            messages, answers = ([Message(*message) for message in data[key]] for key in ("messages", "audit"))
            return Reply(tuple(messages), int(data["sorries"]), tuple(answers))
        except FileNotFoundError:
            raise LeanFailure(f"no recording {path.name} in {self._folder}: this proof was never sent to Lean") from None
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise LeanFailure(f"the recording {path} cannot be read: {error}") from None


class LeanRecorder:
    """Asks another transport and keeps what it replies, where `LeanReplay` finds it."""

    def __init__(self, transport: Transport, folder: Path) -> None:
        self._transport, self._folder = transport, folder

    def check(self, header: str, body: str, audit: str, deadline: float) -> Reply:
        reply = self._transport.check(header, body, audit, deadline)
        record = {"header": header, "body": body, "audit": audit, "reply": asdict(reply)}
        with atomic_path(self._folder / _name(header, body, audit)) as temporary:
            temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
        return reply


def _name(header: str, body: str, audit: str) -> str:
    content = json.dumps([header, body, audit])
    return hashlib.sha256(content.encode()).hexdigest()[:32] + ".json"
