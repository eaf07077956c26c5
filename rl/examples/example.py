"""One sequence to learn from: its tokens, and which of them train. What every way of writing data becomes, and all that training sees.

It decides nothing; `masks.py` does. Tokens are kept as machine integers: a list of Python's takes nine times the memory.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and what follows it."""

    tokens: Sequence[int]
    """Token ids of the whole sequence, end of turn included and nothing behind it."""
    spans: Spans
    """[begin, end) of what trains, rising, at least one; never the first token, which nothing predicts."""
    place: str
    """Where it was written, as "line 3"."""
    columns: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))
    """Numbers that belong to it, such as KTO's `label`."""
    begin: int | None = None
    """Tokens of the prompt, where more than those stand before the first that trains."""
    labels: Sequence[float] = ()
    """A number for each token that trains, such as a step's label; none where nobody has any."""

    def __post_init__(self) -> None:
        assert self.spans, f"{self.place}: nothing trains"
        assert 0 < self.spans[0][0] < self.spans[-1][1] <= len(self.tokens), f"{self.place}: {self.spans} of {len(self.tokens)} tokens"
        assert not self.labels or len(self.labels) == self.trained, f"{self.place}: {len(self.labels)} labels of {self.trained} tokens"

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def prompt_length(self) -> int:
        """Tokens before the completion: where nothing else is said, before the first that trains."""
        return self.spans[0][0] if self.begin is None else self.begin

    @property
    def prompt(self) -> Sequence[int]:
        return self.tokens[: self.prompt_length]

    @property
    def completion(self) -> Sequence[int]:
        return self.tokens[self.prompt_length :]

    @property
    def mask(self) -> list[bool]:
        """Of every token of the sequence: whether it trains."""
        trains = [False] * len(self.tokens)
        for begin, end in self.spans:
            trains[begin:end] = [True] * (end - begin)
        return trains

    @property
    def trained(self) -> int:
        """How many tokens train."""
        return sum(end - begin for begin, end in self.spans)


def example_of(tokens: Sequence[int], spans: Sequence[tuple[int, int]], place: str, **columns: float) -> Example:
    return Example(array("i", tokens), tuple(spans), place, MappingProxyType(columns))


def imitation(prompt: Sequence[int], completion: Sequence[int], place: str = "") -> Example:
    """A prompt and the completion to imitate, all of which trains, its stop token included."""
    return example_of([*prompt, *completion], [(len(prompt), len(prompt) + len(completion))], place)


@dataclass(frozen=True)
class Intake:
    """What a set of rows became."""

    units: list[tuple[Example, ...]]
    """What one unit of the loss is made of: one example, or a chosen and a rejected one."""
    dropped: Mapping[str, int]
    """Rows or sequences left out, by reason."""
    notes: tuple[str, ...] = ()
    """A line each for what the reader would not expect."""

    @property
    def examples(self) -> list[Example]:
        return [example for unit in self.units for example in unit]

    def lines(self) -> list[str]:
        """For the reader's eyes: what is there, what was left out, what was done otherwise than expected."""
        tokens, trained = sum(map(len, self.examples)), sum(example.trained for example in self.examples)
        what = "pair" if self.units and len(self.units[0]) > 1 else "sequence"
        said = f"{len(self.units):,} {what}{'s' * (len(self.units) != 1)} of {tokens:,} tokens, {trained:,} of which train"
        lost = ", ".join(f"{count:,} {reason}" for reason, count in sorted(self.dropped.items()) if count)
        return [f"{said}; left out: {lost}" if lost else said, *self.notes]
