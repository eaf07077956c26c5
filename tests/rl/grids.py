"""Batches out of tensors with rows of one length: for tests whose numbers are tables."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from rl.objectives.batch import Batch
from rl.objectives.credit import Signal, StepScores


def grid(mask: Tensor, *, tokens: Tensor | None = None, temperature: float = 1.0, **columns: Tensor) -> Batch:
    """B sequences of T tokens each: [B T] tensors laid end to end, [B] ones as they are."""
    rows, width = mask.shape
    flat = {name: x.reshape(-1) for name, x in columns.items()}
    row = torch.arange(rows).repeat_interleave(width)
    own = torch.zeros(rows * width, dtype=torch.long) if tokens is None else tokens.reshape(-1)
    return Batch(own, row, mask.reshape(-1), torch.zeros(rows, dtype=torch.long), torch.arange(rows), flat, temperature)


def ragged(tokens: Tensor, attention: Tensor, mask: Tensor, *, temperature: float = 1.0, **columns: Tensor) -> Batch:
    """The sequences of padded [B T] tensors, without what `attention` leaves out."""
    rows, width = tokens.shape
    kept = attention.reshape(-1)
    row = torch.arange(rows).repeat_interleave(width)[kept]
    flat = {name: x.reshape(-1)[kept] for name, x in columns.items()}
    start = torch.zeros(rows, dtype=torch.long)
    return Batch(tokens.reshape(-1)[kept], row, mask.reshape(-1)[kept], start, torch.arange(rows), flat, temperature)


def as_rows(x: Tensor, batch: Batch) -> Tensor:
    """[N] to [B T], 0 where a sequence has ended."""
    table = x.new_zeros(len(batch), int(batch.lengths.max()))
    table[batch.row, batch.position] = x
    return table


def signal_on(outcome: Tensor, mask: Tensor, valid: Tensor | None = None, **columns: Tensor) -> Signal:
    """Outcomes [P G] of completions whose sampled tokens are `mask` [B T]; what has no verdict is masked."""
    valid = torch.ones(outcome.shape, dtype=torch.bool) if valid is None else valid
    columns = {"value": torch.zeros(mask.shape, dtype=outcome.dtype)} | columns  # a critic without an opinion
    return in_one_step(Signal(outcome, valid, grid(mask & valid.reshape(-1, 1), **columns)))


def in_one_step(signal: Signal) -> Signal:
    """Every response one step, whose score is its outcome: process supervision is then supervision of the outcome."""
    tokens, rows = signal.batch.mask.nonzero().squeeze(1), signal.batch.row[signal.batch.mask]
    last = torch.cat([rows[1:] != rows[:-1], torch.ones(min(1, len(rows)), dtype=torch.bool)])
    return replace(signal, steps=StepScores(signal.outcome.reshape(-1)[rows[last]], tokens[last], rows[last]))


def loss_of(objective: Any, logp: Tensor, batch: Batch) -> Tensor:
    """Of a whole step, from the log-probabilities of a table [B T]; its entropies are 0."""
    flat = logp.reshape(-1)
    terms = {"logp": flat, "entropy": torch.zeros_like(flat)}
    loss = objective.loss(terms, batch)
    return (
        torch.where(batch.mask, objective.weight(batch) * loss, 0.0) if len(loss) == len(flat) else objective.weight(batch) * loss
    ).sum()
