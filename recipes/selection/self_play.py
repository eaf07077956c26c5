"""Self-play: the answer that the data have against the one that the policy gave (SPIN, arXiv:2401.01335).

A row of written data becomes a problem whose answer is what the data say; responses to it become pairs of which that is the chosen side.
Responses that say the same, white space aside, prefer nothing: they are left out and counted, and once they are most, the policy writes as
the data do and there is nothing more to learn.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recipes.selection.data_text import says_the_same
from recipes.selection.stored_responses import StoredResponse, store_files, stored_responses
from recipes.selection.tally import Tally
from recipes.selection.training_text import completion_of, is_chat, prompt_of, write_rows
from verifiers.input_error import InputError
from verifiers.problem import Problem


def write_self_play(store: Path, out: Path, *, keep_truncated: bool) -> Tally:
    """The pairs of a store of such problems, as rows for DPO. Raises InputError, with the counts, where there are none."""
    tally = Tally("pairs")
    if not write_rows(out, _pairs(stored_responses(store_files([store])), keep_truncated, tally)):
        raise InputError(f"nothing is left to learn from: {tally}")
    return tally


def _pairs(stored: Iterable[tuple[Problem, Sequence[StoredResponse]]], keep_truncated: bool, tally: Tally) -> Iterator[Mapping[str, Any]]:
    for _, responses in tally.watch(stored):
        for response in responses:
            if not tally.fits(response, keep_truncated=keep_truncated):
                continue
            if says_the_same(response.problem, response.text):
                tally.leave_out("that say what the data say")
                continue
            tally.written += 1
            yield _row(response)


def _row(response: StoredResponse) -> dict[str, Any]:
    answer = response.problem.answer
    return {
        "prompt": prompt_of(response),
        "chosen": [{"role": "assistant", "content": answer}] if is_chat(response) else answer,
        "rejected": completion_of(response),
        "problem_id": response.problem.id,
        "sampled_by": response.model,
    }
