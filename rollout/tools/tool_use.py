"""Completions in which the policy uses tools: it speaks until a turn ends, an environment replies, it goes on from there.

The masking is that of tool-integrated RL (ToRA, arXiv:2309.17452; ReTool, arXiv:2504.11536; Search-R1, arXiv:2503.09516): a
reply's tokens stand in the completion with `sampled` False and log-probability 0.0, and are never trained on. What it decides:

- token in, token out: a reply is encoded once and appended to the very ids that the policy sampled; nothing is decoded and encoded
  again. Names of special tokens in a reply are plain letters.
- a turn ends at a stop text (a closed program) or at a stop id (the model's end of turn). The reply to the first is appended as it
  stands, the reply to the second as the user's next turn in the chat template.
- `Sampling.max_tokens` bounds the completion, replies included, because context and memory do. A reply that leaves no room for a
  token ends it, unread. So does a turn that would need more than `max_turns` replies. Both finish as "length".
- an environment that fails (see `environment.py`) aborts its completion, which then has a CRASH for its verdict.
- turns are batched: all live completions go into one call of the engine, and wait for the slowest environment. Where what is left of
  their limits differs widely they go in several, so that no call samples past a limit.

Not covered: replies in the middle of a turn, tools called at once, images; and prefixes are given to the engine whole at every
turn (vLLM's prefix cache has them, transformers computes them again).
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from rollout.chat import Chat
from rollout.engine import Completion, Engine, OnGroup, OnPhase, PolicyWeights, Sampling
from rollout.progress import in_progress
from rollout.stopping import stop_test
from rollout.tools.environment import Environment, Failure, Reply, call_all
from verifiers.problem import Problem
from verifiers.verdict import Status, Verdict, as_verdict


@dataclass
class _Episode:
    """A completion that is being made."""

    group: int
    prompt: list[int]
    environment: Environment | None = None
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    sampled: list[bool] = field(default_factory=list)
    turn: int = 0
    """Where the turn in progress begins."""
    replies: int = 0
    errors: int = 0
    reward: float = 0.0
    finish: Literal["stop", "length", "abort"] | None = None
    failure: str = ""

    def give(self, tokens: list[int]) -> None:
        """Tokens that the policy did not sample; the next turn begins after them."""
        self.tokens += tokens
        self.logprobs += [0.0] * len(tokens)
        self.sampled += [False] * len(tokens)

    def fail(self, why: str) -> None:
        self.finish, self.failure = "abort", f"the environment failed: {why}"


class ToolEngine:
    """An engine whose completions each talk with an environment of their own. `play` samples them; the rest is the engine's."""

    def __init__(
        self,
        engine: Engine,
        *,
        chat: Chat,
        make_environment: Callable[[], Environment],
        stop_texts: Sequence[str] = (),
        scores: bool = False,
        max_turns: int = 4,
        deadline: float = 30.0,
        max_reply: int = 8000,
        at_once: int = 64,
    ):
        """`stop_texts` and `scores` are as the environment's (`Environment`); the engine must know the tokenizer for the former.

        `max_turns`: replies in one completion; `deadline`: seconds for each; `max_reply`: characters of one, of which the first and
        the last are kept; `at_once`: environments that are called at a time.
        """
        self.engine, self.chat, self.make_environment = engine, chat, make_environment
        self.stop_texts, self.scores = tuple(stop_texts), scores
        self.max_turns, self.deadline, self.max_reply, self.at_once = max_turns, deadline, max_reply, at_once
        self._version = -1

    # --- the engine's own ---

    def generate(self, prompts: Sequence[Sequence[int]], sampling: Sampling, on_group: OnGroup | None = None) -> list[list[Completion]]:
        """Without tools: there is no problem to begin an episode with."""
        return self.engine.generate(prompts, sampling, on_group)

    def load_policy(self, weights: PolicyWeights, version: int) -> int:
        self._version = version
        return self.engine.load_policy(weights, version)

    def score(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        return self.engine.score(sequences, temperature=temperature)

    def sleep(self) -> int:
        return self.engine.sleep()

    def close(self) -> None:
        self.engine.close()

    # --- episodes ---

    def play(
        self,
        problems: Sequence[Problem],
        prompts: Sequence[Sequence[int]],
        sampling: Sampling,
        on_group: OnGroup | None = None,
        *,
        clock: OnPhase = lambda phase: None,
    ) -> list[list[Completion]]:
        """`generate`, with tools: `sampling.completions` episodes for each problem, in order: [P][G]."""
        pairs = list(enumerate(zip(problems, prompts, strict=True)))
        episodes = [_Episode(n, list(prompt)) for n, (_, prompt) in pairs for _ in range(sampling.completions)]
        told: set[int] = set()

        def tell() -> None:
            """Groups whose last episode has ended."""
            live = {episode.group for episode in episodes if not episode.finish}
            for group in sorted({episode.group for episode in episodes} - live - told):
                told.add(group)
                if on_group:
                    on_group(group, self._completions_of_group(episodes, group))

        if progress := in_progress():
            progress.in_turns = True
        sampling = replace(sampling, completions=1, stop_texts=(*sampling.stop_texts, *self.stop_texts))
        try:
            clock("tools")
            self._begin_episodes(episodes, problems, sampling.max_tokens)
            calls = 0
            while live := [episode for episode in episodes if not episode.finish]:
                clock("sample")
                turned: list[_Episode] = []
                for batch in _of_like_room(live, sampling.max_tokens):
                    turned += self._sample_turns(batch, replace(sampling, seed=_seed_of_call(sampling.seed, calls)))
                    calls += 1
                clock("tools")
                self._ask_environments(turned, sampling.max_tokens)
                self._close_all([episode for episode in live if episode.finish])
                tell()
        finally:
            self._close_all(episodes)
        clock("sample")
        tell()
        return [self._completions_of_group(episodes, group) for group in range(len(problems))]

    def _sample_turns(self, batch: Sequence[_Episode], sampling: Sampling) -> list[_Episode]:
        """Let the policy go on in each. Returns those whose turn is over."""
        room = min(sampling.max_tokens - len(episode.tokens) for episode in batch)
        groups = self.engine.generate([[*e.prompt, *e.tokens] for e in batch], replace(sampling, max_tokens=room))
        turned = []
        for episode, (said,) in zip(batch, groups, strict=True):
            goes_on = len(episode.tokens) > episode.turn
            episode.tokens += said.tokens
            episode.logprobs += said.logprobs
            episode.sampled += said.sampled
            if said.finish == "abort":
                episode.finish, episode.failure = "abort", "the engine gave up"
            elif (goes_on and self._cut_at_stop_text(episode, len(said.tokens), sampling)) or said.finish == "stop":
                turned.append(episode)
            elif len(episode.tokens) >= sampling.max_tokens:
                episode.finish = "length"
        return turned

    def _cut_at_stop_text(self, episode: _Episode, new: int, sampling: Sampling) -> bool:
        """Whether a stop text that began before the last `new` tokens, all that the engine saw, ends in them. The turn then ends there."""
        ended = stop_test(replace(sampling, stop_ids=()), self.chat.decode_all)
        longest = max((len(text.encode()) for text in sampling.stop_texts), default=0)
        before = len(episode.tokens) - new
        for end in range(before + 1, min(before + longest, len(episode.tokens)) + 1):
            if ended(episode.tokens[episode.turn : end]):
                del episode.tokens[end:], episode.logprobs[end:], episode.sampled[end:]
                return True
        return False

    def _begin_episodes(self, episodes: Sequence[_Episode], problems: Sequence[Problem], limit: int) -> None:
        def begin(episode: _Episode) -> Reply | None:
            environment = self.make_environment()
            if episode.finish:  # it took so long to make that the episode was given up
                _close_environment(environment)
                return None
            episode.environment = environment
            return _require_reply(environment.reset(problems[episode.group]))

        openings = call_all([partial(begin, episode) for episode in episodes], deadline=self.deadline, at_once=self.at_once)
        for episode, opening in zip(episodes, openings, strict=True):
            if isinstance(opening, Failure):
                episode.fail(opening.why)
            elif opening is not None:
                self._append_reply(episode, opening, limit, after_stop=False)
                if episode.finish:
                    episode.fail("its opening leaves the policy nothing to say")

    def _ask_environments(self, turned: Sequence[_Episode], limit: int) -> None:
        def step(environment: Environment, said: str) -> Reply | None:
            return _require_reply(environment.step(said))

        calls = []
        for episode in turned:
            assert episode.environment is not None
            calls.append(partial(step, episode.environment, self.chat.said(episode.tokens[episode.turn :])))
        replies = call_all(calls, deadline=self.deadline, at_once=self.at_once)
        for episode, reply in zip(turned, replies, strict=True):
            after_stop = episode.tokens[-1] in self.chat.stop_ids
            if isinstance(reply, Failure):
                episode.fail(reply.why)
            elif reply is None:
                episode.finish = "stop"
            else:
                self._append_reply(episode, reply, limit, after_stop=after_stop)

    def _append_reply(self, episode: _Episode, reply: Reply, limit: int, *, after_stop: bool) -> None:
        """Append a reply, or end the completion."""
        episode.errors += reply.error
        episode.reward += reply.reward or 0.0
        if not math.isfinite(episode.reward):
            episode.fail(f"its rewards add up to {episode.reward}")
        elif reply.done:
            episode.finish = "stop"
        if episode.finish:
            return
        tokens = self._encode_reply(
            _shorten_middle(reply.text, self.max_reply), as_turn=after_stop or not self.stop_texts, after_stop=after_stop
        )
        opening = not episode.tokens
        if len(episode.tokens) + len(tokens) >= limit or (not opening and episode.replies >= self.max_turns):
            episode.finish = "length"
            return
        episode.replies += not opening
        episode.give(tokens)
        episode.turn = len(episode.tokens)

    def _encode_reply(self, text: str, *, as_turn: bool, after_stop: bool) -> list[int]:
        if not text and not after_stop:
            return []
        return self.chat.user_turn(text, after_stop=after_stop) if as_turn else self.chat.encode_foreign(text)

    def _completions_of_group(self, episodes: Sequence[_Episode], group: int) -> list[Completion]:
        return [self._completion(episode) for episode in episodes if episode.group == group]

    def _completion(self, e: _Episode) -> Completion:
        assert e.finish is not None
        verdict = Verdict(None, Status.CRASH, e.failure) if e.failure else as_verdict(e.reward) if self.scores else None
        return Completion(e.tokens, e.logprobs, e.sampled, e.finish, self._version, e.errors, verdict)

    def _close_all(self, episodes: Sequence[_Episode]) -> None:
        """Each environment once, those too that hang in a call: it may be what they wait for."""
        closes = [partial(_close_environment, episode.environment) for episode in episodes if episode.environment is not None]
        for episode in episodes:
            episode.environment = None
        call_all(closes, deadline=self.deadline, at_once=self.at_once)


def _close_environment(environment: Environment) -> None:
    close = getattr(environment, "close", None)
    if close is not None:
        close()


def _require_reply(returned: Any) -> Reply | None:
    """What an environment returned, in plain types. Asked within its call, so that whatever this raises is the environment's failure."""
    if returned is None:
        return None
    reply = Reply(returned) if isinstance(returned, str) else returned
    if not isinstance(reply, Reply) or not isinstance(reply.text, str):
        raise TypeError(f"it returned {reply!r:.80}; a reply is a text, a Reply or None")
    reward = None if reply.reward is None else _reward_number(reply.reward)
    return Reply(reply.text, error=bool(reply.error), done=bool(reply.done), reward=reward)


def _reward_number(reward: Any) -> float:
    """As a float; numpy's and torch's scalars are numbers too, a text is none."""
    if isinstance(reward, (str, bytes, bytearray)):
        raise TypeError(f"its reward is {reward!r:.80}, which is no number")
    try:
        number = float(reward)
    except Exception as error:  # a user's class
        raise TypeError(f"its reward is of type {type(reward).__name__} and no number: {error}") from error
    if not math.isfinite(number):
        raise ValueError(f"its reward is {number}")
    return number


def _of_like_room(live: Sequence[_Episode], limit: int) -> list[list[_Episode]]:
    """In batches in which no one has twice as much room as another. A call samples what the least of a batch may, and whoever is not
    done goes on in the next: each call ends a turn or halves the room, so a turn takes a few at most."""
    batches: dict[int, list[_Episode]] = {}
    for episode in live:
        batches.setdefault((limit - len(episode.tokens)).bit_length(), []).append(episode)
    return [batches[size] for size in sorted(batches, reverse=True)]


def _shorten_middle(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half} characters left out ...]\n{text[len(text) - half :]}"


def _seed_of_call(seed: int, call: int) -> int:
    """Another for each call of a play; the engine draws each completion of a call by its place in it."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/tools/{call}".encode(), digest_size=8).digest(), "big") >> 1
