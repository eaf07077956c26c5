"""Where a reward model's score is read: after an answer's last token, or after the last token of each step that has a label.

The last token of an answer is what ended it, its end-of-turn token; a step's is the one that finishes its last character, found by
decoding and never by the lengths of single tokens. Ends are of the text as the data have it; a template that trims white space at the
answer's ends moves them, and one that changes more is an error.
"""

from collections.abc import Sequence
from dataclasses import replace

from rl.examples.example import Example
from rl.examples.written import Sides
from rollout.chat import Chat
from rollout.engine import Completion
from verifiers.input_error import InputError


def read_at_end(example: Example) -> Example:
    """The same with nothing but its last token in the mask."""
    return replace(example, spans=((len(example.tokens) - 1, len(example.tokens)),), begin=example.prompt_length)


def read_at_steps(example: Example, told: Sides, chat: Chat) -> Example:
    """The same with the last token of each step in the mask, and its label. Raises InputError where the tokens say another text.

    Of steps that end in one token the last one is read there.
    """
    places = step_places(example, [end for end, _ in told.steps], told.answer, chat)
    labels = dict(zip(places, (label for _, label in told.steps), strict=True))
    spans = tuple((place, place + 1) for place in labels)
    return replace(example, spans=spans, begin=example.prompt_length, labels=tuple(labels.values()))


def step_places(example: Example, ends: Sequence[int], answer: str, chat: Chat) -> list[int]:
    """For each end in characters of `answer`, rising, the place in the example's tokens where that step has been read."""
    tokens, prompt = list(example.completion), list(example.prompt)
    completion = Completion(tokens, [0.0] * len(tokens), [True] * len(tokens), "stop", 0)
    said = chat.response(completion, prompt)
    own, theirs = said.strip(), answer.strip()
    if not own.endswith(theirs):
        raise InputError(
            f"its answer reads {said[:40]!r} when its tokens are decoded, so that the ends of its steps cannot be found; the tokenizer or "
            "the chat template changes it"
        )
    moved = len(said) - len(said.lstrip()) + len(own) - len(theirs) - (len(answer) - len(answer.lstrip()))
    placed = chat.token_ends(completion, prompt, [min(max(end + moved, 0), len(said)) for end in ends])
    return [len(prompt) + place for place in placed]  # -1, of what the prompt gave: its last token
