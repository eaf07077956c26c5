"""`--data` to problems: a JSONL file, or a data set by the name (or folder) that `datasets.load_dataset` takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from verifiers.input_error import InputError
from verifiers.problem_file import ProblemList, problems_of, read_problems


def load_problems(
    data: str,
    *,
    subset: str | None = None,
    split: str = "train",
    prompt_column: str | None = None,
    answer_column: str | None = None,
    limit: int | None = None,
    skip_bad_gold: bool = False,
    trust_verifiers: bool = False,
) -> ProblemList:
    """Problems of a `.jsonl` file or of a data set's split. Raises InputError, which names the place, for anything unusable."""
    mapping: dict[str, Any] = {
        "prompt_field": prompt_column, "answer_field": answer_column, "limit": limit, "skip_bad_gold": skip_bad_gold,
        "trust_verifiers": trust_verifiers,
    }  # fmt: skip
    if is_file(data):
        return read_problems(Path(data), **mapping)
    return problems_of(data_set_rows(data, subset, split)[0], source=f"data set {data}, split {split}", **mapping)


def is_file(data: str) -> bool:
    """Whether `--data` means a JSONL file (there or not) rather than a data set."""
    return Path(data).is_file() or Path(data).suffix in (".jsonl", ".json")


def data_set_rows(data: str, subset: str | None, split: str) -> tuple[Iterator[tuple[str, dict[str, Any]]], int]:
    """The (place, row) pairs of a data set's split, and how many there are. Raises InputError where `datasets` cannot load it."""
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    try:
        rows = load_dataset(data, subset, split=split)
    except Exception as error:  # the hub, the network, the split, a builder: one line of it is what the user needs
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"{data}: there is no such file, and `datasets` cannot load it (split {split}): {first}; give a .jsonl file, a folder "
            "or a hub name, and --split or --subset"
        ) from error
    return ((f"row {number}", row) for number, row in enumerate(rows)), len(rows)
