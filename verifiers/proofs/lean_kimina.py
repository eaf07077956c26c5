"""Lean behind HTTP: a server with the Kimina Lean Server's interface (`POST /api/check`, as its client 0.2.1 calls it).

The audit command is indented by a number of columns that is drawn for each request. Its answer is the message of that column
below all others: the place is our nonce, which a proof cannot know, and the text plays no part. (Line numbers will not do:
servers count them from different places.) A server that is busy or fails (429, 5xx, a connection that breaks) is asked again,
with growing pauses, until the deadline. Left out: batches, since each proof has its own deadline, and info trees.
"""

import json
import math
import random
import secrets
import time
from typing import Any

from verifiers.http_post import HttpFault, Trouble, ask, json_headers, read_json, with_retries
from verifiers.input_error import InputError
from verifiers.proofs.lean_transport import LeanFailure, LeanTimeout, Message, Reply, read_reply

_ATTEMPTS = 6
_BUSY = {429, *range(500, 600)}
_LONGEST_REPLY = 16 << 20
_SLACK = 5.0  # seconds that the server's own limit ends before ours, so that it is the server that says "timed out"


class LeanKimina:
    """Asks the server at `url`; `api_key` is sent as a bearer token. `first_pause` is in seconds and doubles."""

    def __init__(self, url: str, *, api_key: str = "", first_pause: float = 0.5) -> None:
        if not url.startswith(("http://", "https://")):
            raise InputError(f"{url!r} is no URL of a Lean server; write http://HOST:PORT")
        self._url = url.rstrip("/") + "/api/check"
        self._headers = json_headers(api_key)
        self._first_pause = first_pause

    def elaborate(self, header: str, body: str, audit: str, deadline: float) -> Reply:
        column = 100 + secrets.randbelow(900)
        code = f"{header}\n{body}\n{' ' * column}{audit}\n"
        identifier = secrets.token_hex(8)
        left = deadline - time.monotonic()
        limit = max(1, math.floor(left - min(_SLACK, left / 4)))
        request = {"snippets": [{"id": identifier, "code": code}], "timeout": limit, "debug": False, "reuse": True, "infotree": None}
        answer = self._post(json.dumps(request).encode(), deadline)
        return set_audit_apart(read_answer(answer, identifier), column)

    def _post(self, data: bytes, deadline: float) -> Any:
        """The JSON that the server answers with, asked again while it is busy and there is time."""
        pauses = [self._first_pause * 2**n * (0.5 + random.random()) for n in range(_ATTEMPTS - 1)]
        answer = with_retries(
            lambda: ask(self._url, data, headers=self._headers, until=deadline, longest=_LONGEST_REPLY),
            pauses, statuses=_BUSY, until=deadline,
        ).outcome  # fmt: skip
        try:
            if isinstance(answer, HttpFault):
                raise answer
            if answer.good:
                return read_json(answer.body)
        except HttpFault as fault:
            if fault.kind is Trouble.LATE:
                raise LeanTimeout(f"the Lean server at {self._url} did not answer in time") from None
            said = {
                Trouble.TOO_LONG: f"sends more than {_LONGEST_REPLY} bytes",
                Trouble.NO_ANSWER: f"does not answer in JSON: {fault}",
                Trouble.UNREACHABLE: f"does not serve: {fault}",
            }
            raise LeanFailure(f"the Lean server at {self._url} {said[fault.kind]}") from None
        trouble = f"HTTP {answer.status}"
        if 300 <= answer.status < 400:
            trouble += " (a redirect, which is not followed: the key is for this host; give the address that it names)"
        does = "does not serve" if answer.status in _BUSY else "refuses the request"
        raise LeanFailure(f"the Lean server at {self._url} {does}: {trouble}")


def read_answer(answer: Any, identifier: str) -> Reply:
    """The one reply in a server's answer, to `/api/check` or to the older `/verify`. Raises LeanTimeout and LeanFailure."""
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or len(results) != 1 or not isinstance(results[0], dict):
        raise LeanFailure(f"the Lean server's answer does not have one result: {answer!r:.120}")
    [result] = results
    if result.get("id", result.get("custom_id")) != identifier:
        raise LeanFailure("the Lean server's answer is to another request")
    if error := result.get("error"):
        if "timed out" in str(error):
            raise LeanTimeout(f"the Lean server says: {error!s:.200}")
        raise LeanFailure(f"the Lean server says: {error!s:.300}")
    return read_reply(result.get("response"))


def set_audit_apart(reply: Reply, column: int) -> Reply:
    """The reply with what was said at the audit's column, below every other message, set apart."""
    last = max((message.line for message in reply.messages), default=0)
    audit = tuple(message for message in reply.messages if _is_audit(message, last, column))
    return Reply(tuple(message for message in reply.messages if not _is_audit(message, last, column)), reply.sorries, audit)


def _is_audit(message: Message, last: int, column: int) -> bool:
    return message.line == last and message.column == column
