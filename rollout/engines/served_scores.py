"""Log-probabilities of whole sequences from a model that somebody else serves, whose weights are nobody's here: a teacher.

vLLM's completions endpoint with `prompt_logprobs`, or any server that answers as it does. Token ids go in, so the server's tokenizer is not
at work; that it is the same is looked at once, by what it makes of a few texts. Left out: other temperatures than 1, which the endpoint has
for sampled tokens alone, and servers that take text only.
"""

import contextlib
import math
import os
from collections.abc import Sequence
from typing import Any

from rollout.engines.server_http import LONGEST, PAUSES, JsonServer, ServerFault
from verifiers.input_error import InputError

COMPLETIONS, TOKENIZE = "/v1/completions", "/tokenize"
TOKEN_BYTES = 512
"""Of an answer, at the most, for each token of a sequence."""
GLANCE_SECONDS = 30.0


class ServedScores:
    """A running server's model, asked what it would have said."""

    def __init__(self, url: str, *, key: str | None = None, at_once: int = 32, timeout: float = 1800.0, pauses: Sequence[float] = PAUSES):
        """Looks at the server; raises InputError where there is none. `key`: its --api-key (default: VLLM_API_KEY of the environment)."""
        self._server = JsonServer(url, key=key or os.environ.get("VLLM_API_KEY"), pauses=pauses)
        self.url, self.at_once, self.timeout = self._server.url, at_once, timeout
        try:
            cards = self._server.ask("/v1/models", timeout=GLANCE_SECONDS, retry=False)
            card = next(card for card in cards["data"] if not card.get("parent"))
            self.model, self.max_model_len = str(card["id"]), card.get("max_model_len")
        except ServerFault as fault:
            raise InputError(f"no teacher is served there: {fault}; start it with: vllm serve MODEL") from fault
        except (TypeError, KeyError, StopIteration, AttributeError) as error:
            raise InputError(f"{self.url} does not say which model it serves; give the address of a vLLM server") from error

    def tokens_of(self, text: str) -> list[int]:
        """What the server's tokenizer makes of a text, without special tokens of its own. Raises InputError where it has none."""
        body = {"model": self.model, "prompt": text, "add_special_tokens": False}
        try:
            answer = self._server.ask(TOKENIZE, body, timeout=GLANCE_SECONDS)
            return [int(token) for token in answer["tokens"]]
        except ServerFault as fault:
            raise InputError(f"{fault}; a teacher's tokenizer must be seen to be the policy's: serve it with one") from fault
        except (TypeError, KeyError, ValueError) as error:
            raise InputError(f"{self.url} answered {TOKENIZE} without tokens; give the address of a vLLM server") from error

    def score(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        """Log-probability of each token given those before it; the first of a sequence has 0.0."""
        if temperature != 1.0:
            raise ValueError(f"a served model says log-probabilities at temperature 1 alone, not at {temperature}")
        if self.max_model_len is not None and (long := max(map(len, sequences), default=0)) >= int(self.max_model_len):
            raise InputError(f"{self.url} has --max-model-len {self.max_model_len} and a sequence has {long} tokens; start it with more")
        bodies = [
            {"model": self.model, "prompt": list(sequence), "n": 1, "max_tokens": 1, "temperature": 1.0, "prompt_logprobs": 0, "seed": 0}
            for sequence in sequences
        ]
        found: list[list[float]] = [[] for _ in sequences]
        asking = self._server.ask_each(COMPLETIONS, bodies, timeout=self.timeout, at_once=self.at_once, longest=_longest_answer)
        try:
            with contextlib.closing(asking) as answers:
                for index, answer in answers:
                    found[index] = self._scores_of(answer, sequences[index])
        except ServerFault as fault:
            raise InputError(f"{fault}; the teacher is gone: start it again and continue this run with --resume") from fault
        return found

    def _scores_of(self, answer: Any, sequence: Sequence[int]) -> list[float]:
        try:
            said = answer["choices"][0]["prompt_logprobs"]
            scores = [0.0, *(float(said[place][str(token)]["logprob"]) for place, token in enumerate(sequence) if place)]
        except (TypeError, KeyError, IndexError, ValueError) as error:
            raise InputError(
                f"{self.url} does not report log-probabilities of given tokens (prompt_logprobs); use a vLLM server"
            ) from error
        if not all(map(math.isfinite, scores)):
            raise InputError(f"{self.url} says log-probabilities that are no numbers: see its log")
        return scores


def _longest_answer(body: Any) -> int:
    return LONGEST + TOKEN_BYTES * len(body["prompt"])
