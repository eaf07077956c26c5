"""Data for supervised and preference learning as a page: every sequence as the model sees it, and which of its tokens train.

What is shown is decoded from token ids that the very code made which trains on them, so that a mask that is off by one is seen to be.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from recipes.setup.model_source import find_model
from recipes.setup.problem_source import load_rows, source_name
from recipes.viewer.packs import pack, smallest
from recipes.viewer.page_files import PageFile, PageFolder
from recipes.viewer.token_pieces import Pieces
from verifiers.input_error import InputError

if TYPE_CHECKING:
    from rl.examples.example import Example, Intake
    from rollout.chat import Chat

UNITS = 64
"""Of a slice."""
BEGINS = 32
"""Tokens of what trains, for a line of the list."""


def write_data_view(data: Path, model: str, page: PageFolder | PageFile, *, train_on: str, limit: int) -> Path:
    """The file to open. Raises InputError for rows that cannot be used, and a model without a tokenizer."""
    from rl.examples.written import TrainOn
    from rollout.chat import Chat

    if train_on not in get_args(TrainOn):
        raise InputError(f"--train-on {train_on!r}: it is one of {', '.join(get_args(TrainOn))}")
    source = find_model(model)
    chat = Chat(source.load_tokenizer(), extra_stop_ids=source.generation_stops())
    intake = intake_of(data, chat, train_on=train_on, limit=limit)
    page.begin()
    put_examples(intake, chat, Pieces(chat.tokenizer), page, name=data.name)
    return page.end(data.name)


def intake_of(data: Path, chat: "Chat", *, train_on: str, limit: int) -> "Intake":
    """As `reckon sft`, `reckon kto` or a method of pairs reads it: what the first row looks like decides which."""
    from rl.examples.intake import preference_examples, supervised_examples
    from rl.examples.written import TrainOn

    rows: Iterator[tuple[str, Mapping[str, Any]]] = islice(load_rows(str(data)), limit)
    first = next(rows, None)
    if first is None:
        raise InputError(f"{data} holds no rows")
    rows, source = chain([first], rows), source_name(str(data), None)
    if "rejected" in first[1]:
        return preference_examples(rows, chat, source=source)
    if "label" in first[1]:
        return preference_examples(rows, chat, source=source, labelled=True)
    return supervised_examples(rows, chat, source=source, train_on=cast("TrainOn", train_on))


def put_examples(intake: "Intake", chat: "Chat", pieces: Pieces, page: PageFolder | PageFile, *, name: str) -> None:
    """The packs of the page."""
    examples = intake.examples
    of_unit = np.cumsum([0, *(len(unit) for unit in intake.units)])
    lengths = np.array([len(example) for example in examples], np.int64)
    begins = np.zeros(len(examples), np.int64)
    used: set[int] = set()
    for number, start in enumerate(range(0, len(intake.units), UNITS)):
        first, last = of_unit[start], of_unit[min(start + UNITS, len(intake.units))]
        own = examples[first:last]
        begins[first:last] = np.cumsum([0, *lengths[first : last - 1]])
        tokens = np.concatenate([np.asarray(example.tokens, np.int64) for example in own])
        used.update(np.unique(tokens).tolist())
        trains = np.concatenate([np.asarray(example.mask, np.uint8) for example in own])
        page.put(f"examples-{number}", pack({}, {"tokens": smallest(tokens), "trains": trains}))
    ids = np.array(sorted(used), np.int64)
    page.put("words-0", pack({"pieces": pieces.of(ids)}, {"ids": smallest(ids)}))
    arrays = {
        "unit-begin": of_unit[:-1], "unit-slice": np.arange(len(intake.units)) // UNITS, "length": lengths, "begin": begins,
        "trained": np.array([example.trained for example in examples], np.int64),
    }  # fmt: skip
    facts = {
        "source": name, "lines": intake.lines(), "place": [unit[0].place for unit in intake.units],
        "begins": [_begin(unit, chat) for unit in intake.units], "columns": [dict(example.columns) for example in examples],
    }  # fmt: skip
    page.put("index", pack({"examples": facts}, {key: smallest(array) for key, array in arrays.items()}))


def _begin(unit: "Sequence[Example]", chat: "Chat") -> str:
    """How what trains of a unit begins."""
    begin, end = unit[0].spans[0]
    return " ".join(chat.decode_all(list(unit[0].tokens[begin : min(end, begin + BEGINS)])).split())[:160]
