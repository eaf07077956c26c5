"""Responses that have begun: the policy goes on where a text breaks off, as in roll-outs from the end of a step (Math-Shepherd)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rollout.chat import Chat
from rollout.engine import Completion
from verifiers.problem import Problem


class ContinuingChat(Chat):
    """A chat whose prompts hold the beginning of the response, by the problem's id; what it calls the response is all of it.

    A beginning is encoded anew, so that it may be another model's. Spaces at its end are left out: most vocabularies have them at the front
    of the next word. What the template opens itself (<think>) is not said twice.
    """

    def __init__(self, chat: Chat, beginnings: Mapping[str, str]):
        self.__dict__.update(chat.__dict__)
        self.beginnings = beginnings
        self._begun: dict[tuple[int, ...], int] = {}
        """Of a rendered prompt: how many of its tokens are the problem's."""

    def render(self, problem: Problem) -> list[int]:
        asked = super().render(problem)
        beginning = self.beginnings[problem.id].removeprefix(self.given(asked)).rstrip(" \t")
        prompt = [*asked, *self.encode(beginning)]
        self._begun[tuple(prompt)] = len(asked)
        return prompt

    def response(self, completion: Completion, prompt: Sequence[int] = ()) -> str:
        """From its beginning. Decoded at one go: what a vocabulary does to the first space of a text, it does to the response's alone."""
        asked = self._begun[tuple(prompt)]
        begun = list(prompt[asked:])
        whole = replace(completion, tokens=[*begun, *completion.tokens], sampled=[*[True] * len(begun), *completion.sampled])
        return super().response(whole, prompt[:asked])
