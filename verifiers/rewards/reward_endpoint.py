"""A reward model that a server holds: vLLM's `/pooling`, `/classify` and `/score`, or anything that answers as they do.

One question a response, several at once; the server batches them. What it said of a text is kept. A question that has no answer within the
time is no verdict, never a bad score. The key of RECKON_REWARD_API_KEY is sent as a bearer token.
"""

import hashlib
import json
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

from verifiers.http_post import HttpFault, Trouble, ask, json_headers, read_json, with_retries
from verifiers.input_error import InputError
from verifiers.problem import Problem
from verifiers.rewards.reward_model import said, unsaid
from verifiers.verdict import Status

AT_ONCE = 32
_WAYS = ("pooling", "classify", "score")
_LONGEST = 4 << 20
_RETRIED = (429, 500, 502, 503, 504)
_PAUSES = (0.5, 1.0, 2.0)


class Endpoint:
    """The scorer at an address: its last part says in which way it is asked (default `/pooling`)."""

    def __init__(self, address: str, *, timeout: float, system_prompt: str = ""):
        base = address.rstrip("/")
        self.way = base.rpartition("/")[2] if base.rpartition("/")[2] in _WAYS else "pooling"
        self.base = base.removesuffix(f"/{self.way}")
        self.url, self.timeout, self.system_prompt = f"{self.base}/{self.way}", timeout, system_prompt
        self.model = ""
        self.kept: dict[bytes, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def check(self) -> None:
        """Raises InputError where no server answers there, or it does not say which model it has."""
        parts = urlsplit(self.url)
        if not parts.hostname or parts.username is not None:
            raise InputError(f"reward_model: {self.url!r:.80} is no address of a server; give http://HOST:PORT/pooling, without a password")
        root = self.base.removesuffix("/v1")
        try:
            until = time.monotonic() + min(self.timeout, 10.0)
            answer = ask(f"{root}/v1/models", None, headers=self._headers(), until=until, longest=_LONGEST)
            if not answer.good:
                raise HttpFault(Trouble.NO_ANSWER, f"it answered {answer.status}")
            self.model = str(read_json(answer.body)["data"][0]["id"])
        except (HttpFault, KeyError, IndexError, TypeError) as error:
            raise InputError(f"reward_model({self.url}): {root}/v1/models names no model ({error!s:.80}); is the server up?") from error

    def score(self, pairs: Sequence[tuple[Problem, str]]) -> list[dict[str, Any]]:
        keys = [self._key(problem, response) for problem, response in pairs]
        new = {key: pair for key, pair in zip(keys, pairs, strict=True) if key not in self.kept}
        with ThreadPoolExecutor(AT_ONCE, "reckon-reward-model") as threads:
            found = dict(zip(new, threads.map(self._ask, new.values()), strict=True))
        with self._lock:
            self.kept |= {key: each for key, each in found.items() if "status" not in each}
        return [self.kept.get(key) or found[key] for key in keys]

    def _ask(self, pair: tuple[Problem, str]) -> dict[str, Any]:
        """Of one response; of none within the time, why."""
        until, data = time.monotonic() + self.timeout, json.dumps(self._question(*pair)).encode()
        answer = with_retries(
            lambda: ask(self.url, data, headers=self._headers(), until=until, longest=_LONGEST), _PAUSES, statuses=_RETRIED, until=until
        )
        outcome = answer.outcome
        if isinstance(outcome, HttpFault):
            late = outcome.kind is Trouble.LATE or answer.out_of_time
            return unsaid(Status.TIMEOUT if late else Status.CRASH, f"{self.url}: {outcome!s:.100}")
        if not outcome.good:
            return unsaid(Status.CRASH, f"{self.url} answered {outcome.status}: {outcome.body[:100]!r}")
        try:
            return said([_number(read_json(outcome.body))], probability=False)
        except (HttpFault, KeyError, IndexError, TypeError, ValueError) as error:
            return unsaid(Status.CRASH, f"{self.url} answered {outcome.body[:80]!r}, which holds no number ({type(error).__name__})")

    def _question(self, problem: Problem, response: str) -> dict[str, Any]:
        turns = [{"role": "user", "content": problem.prompt}] if isinstance(problem.prompt, str) else [dict(t) for t in problem.prompt]
        if self.system_prompt and turns[0]["role"] != "system":
            turns.insert(0, {"role": "system", "content": self.system_prompt})
        if self.way == "score":
            return {"model": self.model, "text_1": "\n\n".join(str(turn["content"]) for turn in turns), "text_2": response}
        return {"model": self.model, "messages": [*turns, {"role": "assistant", "content": response}]}

    def _headers(self) -> dict[str, str]:
        return json_headers(os.environ.get("RECKON_REWARD_API_KEY", "").strip())

    def _key(self, problem: Problem, response: str) -> bytes:
        return hashlib.blake2b(json.dumps(self._question(problem, response)).encode(), digest_size=16).digest()


def _number(reply: Any) -> float:
    """The one number of a reply: `score` of its first item, its only probability, or the last number of what was pooled."""
    item = reply["data"][0]
    value = item["score"] if "score" in item else item["probs"] if "probs" in item else item["data"]
    while isinstance(value, list):
        value = value[-1]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("it is no number")
    return float(value)
