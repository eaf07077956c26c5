"""A reward model asked about texts: a prompt and an answer become tokens as they do in its training, and it says a number of each.

The tokenizer and the template are the reward model's own, so that it may be of another family than the policy. An answer is taken as it
reads: where it was cut, the model sees it end there. What was said of a text is kept, so that the same text is not asked twice.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rl.examples.batches import Unit, batch_of
from rl.examples.example import Example, example_of
from rl.examples.masks import masked, rendered
from rl.examples.reading_places import read_at_end, step_places
from rl.examples.written import Conversation, PromptAndCompletion
from rl.learning.learner import Learner
from rollout.chat import Chat
from verifiers.input_error import InputError

KEPT = 200_000
"""Texts of which it is kept what was said."""


@dataclass(frozen=True)
class Said:
    """Of one text."""

    scores: tuple[float, ...] = ()
    """Logits: one, or one for each step."""
    ends: tuple[int, ...] = ()
    """Of the steps, in characters of the answer."""
    trouble: str = ""
    """Why nothing was said; empty where something was."""


class TextJudge:
    """A learner with a value head, and how it is spoken to. `split`: of a process reward model, where an answer's steps end."""

    def __init__(self, learner: Learner, chat: Chat, *, split: Callable[[str], list[int]] | None = None, whole_template: bool = False):
        """`whole_template`: the score is read behind all that the template writes, as a hub's sequence classifier was trained."""
        self.learner, self.chat, self.split, self.whole_template = learner, chat, split, whole_template
        self.most: int | None = getattr(learner.model.config.get_text_config(), "max_position_embeddings", None)
        self.kept: OrderedDict[bytes, Said] = OrderedDict()

    def judge(self, texts: Sequence[tuple[Any, str]]) -> list[Said]:
        """Of each (prompt, answer); a prompt is a text or messages."""
        keys = [_key(prompt, answer) for prompt, answer in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.kept}
        found = dict(zip(new, self._ask(list(new.values())), strict=True))
        for key in keys:
            self.kept[key] = self.kept.pop(key) if key in self.kept else found[key]
        answers = [self.kept[key] for key in keys]
        while len(self.kept) > KEPT:
            self.kept.popitem(last=False)
        return answers

    def _ask(self, texts: Sequence[tuple[Any, str]]) -> list[Said]:
        read = [self._read(prompt, answer) for prompt, answer in texts]
        units = [(example,) for example, _ in read if isinstance(example, Example)]
        rows = iter([scores for part in self._batches(units) for scores in self._scores(part)])
        found = []
        for example, places in read:
            if isinstance(example, str):
                found.append(Said(trouble=example))
                continue
            by_place = dict(zip((begin for begin, _ in example.spans), next(rows), strict=True))
            ends = tuple(end for end, _ in places)
            found.append(Said(tuple(by_place[place] for _, place in places) if places else tuple(by_place.values()), ends))
        return found

    def _batches(self, units: Sequence[Unit]) -> Sequence[Sequence[Unit]]:
        """What is scored together: on a CPU each text by itself.

        A text's last bits depend on its batch, and its batch on what is kept: a run that is resumed, which keeps nothing, would go on
        otherwise than one that was never stopped.
        """
        alone = self.learner.device.type == "cpu"
        return [[unit] for unit in units] if alone else [units] if units else []

    def _scores(self, units: Sequence[Unit]) -> list[list[float]]:
        batch = batch_of(units)
        score = self.learner.look(batch, ("score",))["score"]
        return [score[(batch.row == row) & batch.mask].tolist() for row in range(len(batch))]

    def _read(self, prompt: Any, answer: str) -> tuple[Example | str, list[tuple[int, int]]]:
        """(the text as tokens with what is read in the mask, or why that cannot be; the steps' ends with the places where those are)."""
        try:
            example = self._example(prompt, answer)
            if self.most is not None and len(example) > self.most:
                raise InputError(f"the text has {len(example)} tokens, and the model reads {self.most}")
            if self.split is None:
                return read_at_end(example), []
            ends = self.split(answer)
            if not ends:
                raise InputError("the answer has no step")
            places = step_places(example, ends, answer, self.chat)
        except InputError as error:
            return str(error), []
        spans = [(place, place + 1) for place in sorted(set(places))]
        return Example(example.tokens, tuple(spans), example.place, begin=example.prompt_length), list(zip(ends, places, strict=True))

    def _example(self, prompt: Any, answer: str) -> Example:
        turns = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else [dict(turn) for turn in prompt]
        said = {"role": "assistant", "content": answer}
        if self.whole_template and self.chat.has_template:
            asked = self.chat.encode(self.chat.write_turns(self.chat.with_system_turn(turns), "the text"))
            tokens = self.chat.encode(self.chat.write_turns(self.chat.with_system_turn([*turns, said]), "the text", ask=False))
            return example_of(tokens, [(min(len(asked), len(tokens) - 1), len(tokens))], "the text")
        if isinstance(prompt, str) and not self.chat.has_template:
            return masked(PromptAndCompletion(prompt, answer), self.chat, "the text").examples[-1]
        conversation = Conversation((*turns, said), (*(False for _ in turns), True))
        return masked(rendered(conversation, self.chat, "the text"), self.chat, "the text").examples[-1]


def _key(prompt: Any, answer: str) -> bytes:
    told = prompt if isinstance(prompt, str) else [dict(turn) for turn in prompt]
    return hashlib.blake2b(json.dumps([told, answer]).encode(), digest_size=16).digest()
