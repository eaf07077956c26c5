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
    path = Path(data)
    mapping: dict[str, Any] = {
        "prompt_field": prompt_column, "answer_field": answer_column, "limit": limit, "skip_bad_gold": skip_bad_gold,
        "trust_verifiers": trust_verifiers,
    }  # fmt: skip
    if path.is_file() or path.suffix in (".jsonl", ".json"):
        return read_problems(path, **mapping)
    return problems_of(_rows(data, subset, split), source=f"data set {data}, split {split}", **mapping)


def _rows(data: str, subset: str | None, split: str) -> Iterator[tuple[str, dict[str, Any]]]:
    from datasets import disable_progress_bars, load_dataset

    disable_progress_bars()
    try:
        rows = load_dataset(data, subset, split=split)
    except Exception as error:  # the hub, the network, the split, a builder: one line of it is what the user needs
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise InputError(
            f"--data {data}: there is no such file, and `datasets` cannot load it (split {split}): {first}; give a .jsonl file, a folder "
            "or a hub name, and --split or --subset"
        ) from error
    for number, row in enumerate(rows):
        yield f"row {number}", row
