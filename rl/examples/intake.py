"""Rows of a data set to what trains: masks made, over-long sequences dropped or cut, nothing left out in silence.

One row that cannot be used stops it, with its place (`skip_bad` leaves such rows out and counts them). A sequence longer than
`max_length` is dropped, or cut at its end, as the caller says; both are counted. Preferences are whole or gone: where one side is
dropped the other is too, and two sides that a cut made the same prefer nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from rl.examples.example import Example, Intake
from rl.examples.masks import Encode, Masked, masked, rendered, texts_of
from rl.examples.reading_places import read_at_end, read_at_steps
from rl.examples.written import USUAL, Conversation, Fields, Sides, TrainOn, read_labelled, read_pair, read_steps, read_supervised
from rollout.chat import Chat
from rollout.progress import watched
from rollout.rendering import rendered_in_time
from verifiers.input_error import InputError

Row = Mapping[str, Any]
Judged = Literal["pairs", "label", "steps"]
_AT_ONCE = 512  # rows whose texts are encoded together


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is done with rows that do not fit."""

    max_length: int | None = None
    """Tokens of a sequence at most; None for no limit."""
    too_long: Literal["drop", "truncate"] = "drop"
    strict: bool = False
    """Stop where the chat template rewrites turns, instead of training each as the model sees it."""
    skip_bad: bool = False
    """Leave out rows that cannot be used, and count them, instead of stopping at the first."""


NONE = Limits()


def supervised_examples(
    rows: Iterable[tuple[str, Row]], chat: Chat, *, source: str, fields: Fields = USUAL, train_on: TrainOn = "auto", limits: Limits = NONE
) -> Intake:
    """Conversations, prompts with completions, or texts, of (place, row) pairs; `written.py` says how they look.

    Raises InputError with source and place for a row that cannot be used, and where nothing is left.
    """
    return _Taking(chat, source, limits).take(rows, lambda row: Sides((read_supervised(row, fields, train_on),)))


def preference_examples(
    rows: Iterable[tuple[str, Row]], chat: Chat, *, source: str, fields: Fields = USUAL, labelled: bool = False, limits: Limits = NONE
) -> Intake:
    """Pairs of a chosen and a rejected side, whose prompts are the same tokens; or, `labelled`, single ones with a column `label`.

    Raises InputError as `supervised_examples` does, for equal sides and for a missing one among others.
    """
    return _Taking(chat, source, limits).take(rows, partial(read_labelled if labelled else read_pair, fields=fields))


def judged_examples(
    rows: Iterable[tuple[str, Row]], chat: Chat, *, source: str, fields: Fields = USUAL, kind: Judged, limits: Limits = NONE
) -> Intake:
    """What a reward model learns from. The mask is where its score is read: after the answer, or after each step that has a label.

    "pairs" and "label" are as `preference_examples` has them; "steps" have labels of tokens.
    Raises InputError as `preference_examples` does, and for a step that ends outside of its answer.
    """
    if kind == "steps":
        return _Taking(chat, source, limits).take(rows, partial(read_steps, fields=fields))
    taken = preference_examples(rows, chat, source=source, fields=fields, labelled=kind == "label", limits=limits)
    return replace(taken, units=[tuple(map(read_at_end, unit)) for unit in taken.units])


@dataclass
class _Taking:
    """One pass over the rows, with its counts."""

    chat: Chat
    source: str
    limits: Limits
    dropped: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    """The first place of what is noted."""
    rewritten: int = 0
    parts: int = 0
    """Sequences that the rewritten conversations became."""
    as_sampled: int = 0
    cut: int = 0
    unread_tools: int = 0

    def take(self, rows: Iterable[tuple[str, Row]], read: Callable[[Row], Sides]) -> Intake:
        with watched(f"reading {self.source}") as progress:
            written = [found for place, row in rows for found in self._tried(f"{self.source}, {place}", partial(_placed, read, row))]
            self._vet(written)
            progress.text, progress.total = f"making the masks of {self.source}", len(written)
            units: list[tuple[Example, ...]] = []
            for part in (written[start : start + _AT_ONCE] for start in range(0, len(written), _AT_ONCE)):
                units += self._units_of(part)
                progress.finished(len(part))
        if not units:
            reasons = ", ".join(f"{count} {reason}" for reason, count in self.dropped.items())
            raise InputError(f"{self.source} holds nothing to train on" + (f": of its rows, {reasons}" if reasons else "; it has no rows"))
        return Intake(units, dict(self.dropped), tuple(self._notes()))

    def _units_of(self, written: Sequence[tuple[str, Sides]]) -> Iterator[tuple[Example, ...]]:
        """Of some rows, whose texts are encoded together: on all cores."""
        found = [each for place, sides in written for each in self._tried(place, partial(self._rendered, sides))]
        texts = list(dict.fromkeys(text for _, (sides, _) in found for side in sides for text in texts_of(side)))
        known: dict[str, list[int]] = {}
        with suppress(InputError):  # one of them is no Unicode: each is then encoded by itself, and the one names its row
            known = dict(zip(texts, self.chat.encode_all(texts), strict=True))

        def encode(text: str) -> list[int]:
            return list(known[text]) if text in known else self.chat.encode(text)

        for place, (sides, told) in found:
            for _, made in self._tried(place, partial(self._masked, sides, told, encode)):
                yield from self._units(made, told.columns)

    def _rendered(self, sides: Sides, place: str) -> tuple[list[Any], Sides]:
        if any(isinstance(side, Conversation) and side.arguments for side in sides.sides) and not self.chat.reads("tools"):
            self.unread_tools += 1
            self.first.setdefault("tools", place)
        return [rendered(side, self.chat, place) for side in sides.sides], sides

    def _tried(self, place: str, make: Callable[[str], Any]) -> list[tuple[str, Any]]:
        """[(place, what it makes)], or nothing for a bad row that is to be skipped."""
        try:
            return [(place, make(place))]
        except InputError as error:
            said = str(error)
            if not self.limits.skip_bad:
                raise InputError(said if said.startswith(place) else f"{place}: {said}") from None
            self.first.setdefault("bad", said if said.startswith(place) else f"{place}: {said}")
            self.dropped["that cannot be used"] += 1
            return []

    def _vet(self, written: Sequence[tuple[str, Sides]]) -> None:
        """The template has rendered all of it once where it can be killed."""
        if self.chat.has_template:
            calls = [(place, partial(self._all_texts, sides, place)) for place, sides in written]
            rendered_in_time(calls)

    def _all_texts(self, sides: Sides, place: str) -> str:
        return "".join(text for side in self._rendered(sides, place)[0] for text in texts_of(side))

    def _masked(self, sides: Sequence[Any], told: Sides, encode: Encode, place: str) -> list[Masked]:
        made = [masked(side, self.chat, place, encode) for side in sides]
        if told.steps:
            made = [replace(each, examples=tuple(read_at_steps(example, told, self.chat) for example in each.examples)) for each in made]
        for each in made:
            if self.limits.strict and (len(each.examples) > 1 or each.as_sampled):
                raise InputError(f"{place}: the chat template rewrites turns of it, so that no one sequence holds them all as they are; "
                                 "mend the template or the data, or leave out --strict")  # fmt: skip
        return made

    def _units(self, made: Sequence[Masked], columns: Mapping[str, float]) -> list[tuple[Example, ...]]:
        """The units of one row that fit."""
        place = made[0].examples[0].place
        self.as_sampled += sum(each.as_sampled for each in made)
        if any(each.as_sampled for each in made):
            self.first.setdefault("as sampled", place)
        if any(len(each.examples) > 1 for each in made):
            self.first.setdefault("rewritten", place)
            if len(made) > 1:
                self.dropped["with several turns that the chat template rewrites"] += 1
                return []
            self.rewritten, self.parts = self.rewritten + 1, self.parts + len(made[0].examples)
        rows = [(example,) for example in made[0].examples] if len(made) == 1 else [tuple(each.examples[0] for each in made)]
        return [unit for row in rows for unit in self._fitting(tuple(replace(example, columns=columns) for example in row))]

    def _fitting(self, unit: tuple[Example, ...]) -> list[tuple[Example, ...]]:
        """[unit], cut where it may be, or nothing."""
        prompts = {tuple(example.prompt) for example in unit}
        assert len(prompts) == 1, f"{unit[0].place}: two sides with other prompts"
        most = self.limits.max_length
        if most is not None and any(len(example) > most for example in unit):
            if self.limits.too_long == "drop":
                self.dropped[f"longer than {most:,} tokens"] += 1
                return []
            if any(example.prompt_length >= most for example in unit):
                self.dropped[f"whose prompt leaves no room in {most:,} tokens"] += 1
                return []
            if any(example.spans[0][0] >= most for example in unit):
                self.dropped[f"without a step's end in {most:,} tokens"] += 1
                return []
            self.first.setdefault("cut", unit[0].place)
            self.cut += sum(len(example) > most for example in unit)
            unit = tuple(_cut(example, most) for example in unit)
        if len(unit) > 1 and unit[0].tokens == unit[1].tokens:
            self.dropped["whose two sides are the same tokens"] += 1
            return []
        return [unit]

    def _notes(self) -> list[str]:
        notes = {
            "rewritten": f"the chat template writes earlier turns of {self.rewritten:,} conversations otherwise than the last (first: "
            "{}): their turns train in renderings that each end with one, as the model sees it: "
            f"{self.parts:,} sequences",
            "as sampled": f"the chat template writes {self.as_sampled:,} turns that train, or what stands before them, otherwise than "
            "when it asks the model for them (first: {}): they train as they would be sampled",
            "cut": f"cut at their end, so that they do not train to stop there: {self.cut:,} (first: {{}})",
            "tools": f"{self.unread_tools:,} rows have tools (first: {{}}), which the chat template does not read: the model is not "
            "told of them",
            "bad": "the first row that cannot be used: {}",
        }
        return [text.format(self.first[name]) for name, text in notes.items() if name in self.first]


def _placed(read: Callable[[Row], Sides], row: Row, place: str) -> Sides:
    if not isinstance(row, Mapping):
        raise InputError(f"{place}: a row is an object with fields, not {row!r:.60}")
    return read(row)


def _cut(example: Example, most: int) -> Example:
    """Without what stands behind so many tokens. The prompt is shorter than that."""
    spans = tuple((begin, min(end, most)) for begin, end in example.spans if begin < most)
    return replace(example, tokens=example.tokens[:most], spans=spans, labels=example.labels[: sum(end - begin for begin, end in spans)])
