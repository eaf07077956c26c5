"""Sequences laid end to end, with what was scored of them beforehand: all that an objective sees besides one forward pass.

There is no padding: B sequences, N tokens, and column n of an `[N]` tensor describes token n. How the tokens then lie in the tensors
that a model is called with is a layout's business (`rl/learning/layout.py`). A batch is made once for a whole rollout or step, so that
whatever compares sequences sees all of them; `take` cuts it, which changes no loss: weights are made before any cut.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """B sequences of N tokens in all, in an order that means something: groups together, pairs side by side."""

    tokens: Int[Tensor, "N"]
    row: Int[Tensor, "N"]
    """Which sequence a token belongs to, 0 to B - 1, rising."""
    mask: Bool[Tensor, "N"]
    """Tokens that train. Never a sequence's first, which nothing predicts."""
    prompt_length: Int[Tensor, "B"]
    group: Int[Tensor, "B"]
    """Sequences of a group share their prompt."""
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    """What was scored beforehand, [N] or [B]: sampler_logp, advantage, old_logp, ref_logp, ..."""
    temperature: float = 1.0

    def __len__(self) -> int:
        return len(self.group)

    @property
    def lengths(self) -> Int[Tensor, "B"]:
        return torch.bincount(self.row, minlength=len(self))

    @property
    def first(self) -> Int[Tensor, "B"]:
        """Where each sequence begins."""
        return self.lengths.cumsum(0) - self.lengths

    @property
    def position(self) -> Int[Tensor, "N"]:
        """Of a token in its sequence, from 0."""
        return torch.arange(len(self.tokens), device=self.tokens.device) - self.first[self.row]

    @property
    def completion(self) -> Bool[Tensor, "N"]:
        """Tokens after the prompt."""
        return self.position >= self.prompt_length[self.row]

    def places(self, rows: Int[Tensor, "R"]) -> Int[Tensor, "M"]:
        """Where the tokens of some sequences stand, in the order in which the sequences are asked for."""
        lengths = self.lengths[rows]
        start = self.first[rows] - (lengths.cumsum(0) - lengths)
        return start.repeat_interleave(lengths) + torch.arange(int(lengths.sum()), device=self.tokens.device)

    def take(self, rows: Int[Tensor, "R"]) -> "Batch":
        """Some sequences, in the order that is asked for."""
        places = self.places(rows)
        lengths = self.lengths[rows]
        row = torch.arange(len(rows), device=self.tokens.device).repeat_interleave(lengths)
        # where N == B each sequence has one token, and either cut is the same
        columns = {name: x[places] if len(x) == len(self.tokens) else x[rows] for name, x in self.columns.items()}
        return replace(
            self, tokens=self.tokens[places], row=row, mask=self.mask[places], prompt_length=self.prompt_length[rows],
            group=self.group[rows], columns=columns,
        )  # fmt: skip

    def with_columns(self, columns: Mapping[str, Tensor]) -> "Batch":
        """The same with further columns; one of the same name gives way."""
        return replace(self, columns={**self.columns, **columns})

    def to(self, device: torch.device) -> "Batch":
        ahead = device.type == "cuda"  # what waits for nothing on the way to a device would be read too early on the way back
        moved = {name: getattr(self, name).to(device, non_blocking=ahead) for name in ("tokens", "row", "mask", "prompt_length", "group")}
        return replace(self, **moved, columns={name: x.to(device, non_blocking=ahead) for name, x in self.columns.items()})

    def column(self, name: str) -> Tensor:
        """Raises ValueError for a column that nobody scored: a term that was asked for would silently be left out."""
        if name not in self.columns:
            raise ValueError(f"the batch has no column {name!r}, which must be scored before the update (it has {sorted(self.columns)})")
        return self.columns[name]


def lay_out(
    sequences: Sequence[Sequence[int]],
    masks: Sequence[Sequence[bool]],
    prompt_lengths: Sequence[int],
    *,
    groups: Sequence[int] | None = None,
    temperature: float = 1.0,
) -> Batch:
    """The batch of these sequences; each its own group unless `groups` says otherwise. Raises ValueError for an empty one."""
    if not all(sequences):
        raise ValueError("an empty sequence has no token to predict from")
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    tokens = torch.tensor([token for sequence in sequences for token in sequence])
    mask = torch.tensor([trains for row in masks for trains in row], dtype=torch.bool)
    row = torch.arange(len(sequences)).repeat_interleave(lengths)
    group = torch.arange(len(sequences)) if groups is None else torch.tensor(groups)
    if len(mask) != len(tokens):
        raise ValueError(f"{len(mask)} mask values for {len(tokens)} tokens")
    return Batch(tokens, row, mask, torch.tensor(prompt_lengths), group, temperature=temperature)


# --- sums over sequences -------------------------------------------------------------------------------------------------


def by_row(x: Float[Tensor, "N"], batch: Batch, mask: Bool[Tensor, "N"] | None = None) -> Float[Tensor, "B"]:
    """Sum over each sequence's trained tokens, or over those of `mask`. What stands elsewhere, nan included, counts nothing."""
    kept = torch.where(batch.mask if mask is None else mask, x, 0.0)
    return kept.new_zeros(len(batch)).index_add(0, batch.row, kept)


def ends(batch: Batch) -> Bool[Tensor, "N"]:
    """The last trained token of each sequence that has one."""
    places = batch.mask.nonzero().squeeze(1)
    last = torch.ones_like(places, dtype=torch.bool)
    last[:-1] = batch.row[places[1:]] != batch.row[places[:-1]]
    return torch.zeros_like(batch.mask).index_put((places[last],), last.new_tensor(True))


def trained(batch: Batch, mask: Bool[Tensor, "N"] | None = None) -> Int[Tensor, "B"]:
    """How many trained tokens (or tokens of `mask`) each sequence has."""
    counted = (batch.mask if mask is None else mask).long()
    return counted.new_zeros(len(batch)).index_add(0, batch.row, counted)


def families(batch: Batch) -> list[tuple[int, list[int]]]:
    """(tokens that some sequences begin with, which sequences), each sequence once: those of a group whose prompts are the same tokens.

    0 tokens for a sequence by itself. What is in common is looked at, not believed: a group's prompts may differ where a tool spoke.
    """
    found: dict[tuple[int, tuple[int, ...]], list[int]] = {}
    first, lengths, tokens = batch.first.tolist(), batch.lengths.tolist(), batch.tokens.tolist()
    for row, (group, prompt) in enumerate(zip(batch.group.tolist(), batch.prompt_length.tolist(), strict=True)):
        begin = tuple(tokens[first[row] : first[row] + min(prompt, lengths[row])])
        found.setdefault((group, begin), []).append(row)
    return [(len(begin) if len(rows) > 1 else 0, rows) for (_, begin), rows in found.items()]


# --- cutting -------------------------------------------------------------------------------------------------------------


def split(batch: Batch, parts: int, rows_per_part: int) -> Iterator[Batch]:
    """`parts` optimiser steps of nearly equal numbers of whole groups (or units) of so many rows; fewer where there are fewer."""
    rows = torch.arange(len(batch)).reshape(-1, rows_per_part)
    for chunk in torch.tensor_split(rows, min(parts, len(rows))):
        yield batch.take(chunk.reshape(-1))


def micro_batches(
    lengths: Int[Tensor, "B"], rows: Int[Tensor, "R"], tokens_per_micro_batch: int, *, rows_per_unit: int = 1, packed: bool = False
) -> list[Int[Tensor, "..."]]:
    """`rows` in parts of at most so many tokens, longest first; a longer single unit is a part of its own.

    Tokens are counted as the layout makes them: padding included, where neighbours in length stand together; or the sequences' own where
    they are `packed`, where short ones fill what long ones leave. Units of `rows_per_unit` neighbouring rows stay whole and in their order.
    """
    units, of = rows.reshape(-1, rows_per_unit).tolist(), lengths.tolist()
    if packed:
        return _filled([(sum(of[row] for row in unit), unit) for unit in units], tokens_per_micro_batch)
    widths = [max(of[row] for row in unit) for unit in units]
    parts: list[list[int]] = []
    width = 0
    for n in sorted(range(len(units)), key=lambda n: (-widths[n], units[n])):
        if not parts or (len(parts[-1]) + rows_per_unit) * width > tokens_per_micro_batch:
            parts.append([])
            width = widths[n]
        parts[-1] += units[n]
    return [torch.tensor(part) for part in parts]


def _filled(pieces: Sequence[tuple[int, list[int]]], room: int) -> list[Int[Tensor, "..."]]:
    """(tokens, rows) in parts: the largest first, each in the first part that has room."""
    parts: list[tuple[int, list[int]]] = []
    for cost, rows in sorted(pieces, key=lambda piece: (-piece[0], piece[1])):
        place = next((n for n, (filled, _) in enumerate(parts) if filled + cost <= room), len(parts))
        if place == len(parts):
            parts.append((0, []))
        parts[place] = (parts[place][0] + cost, parts[place][1] + rows)
    return [torch.tensor(part) for _, part in parts]


def shared_micro_batches(
    batch: Batch, rows: Int[Tensor, "R"], tokens_per_micro_batch: int, *, rows_per_unit: int = 1
) -> list[Int[Tensor, "..."]]:
    """As `micro_batches` where a group's prompt is computed once: groups stay together as far as they fit, the largest are placed first.

    Units of `rows_per_unit` neighbouring rows stay whole and in their order.
    """
    lengths, family, prompts = batch.lengths.tolist(), [0] * len(batch), [0] * len(batch)
    for number, (prompt, members) in enumerate(families(batch)):
        for row in members:
            family[row], prompts[row] = number, prompt
    pieces: dict[int, list[tuple[int, list[int]]]] = {}
    for unit in rows.reshape(-1, rows_per_unit).tolist():
        own = pieces.setdefault(family[unit[0]], [])
        alike = all(family[row] == family[unit[0]] for row in unit)
        prompt = prompts[unit[0]] if alike else 0
        rest = sum(lengths[row] - prompt for row in unit)
        if own and alike and own[-1][0] + rest <= tokens_per_micro_batch:
            own[-1] = (own[-1][0] + rest, own[-1][1] + unit)
        else:
            own.append((prompt + rest, unit))
    return _filled([piece for own in pieces.values() for piece in own], tokens_per_micro_batch)
