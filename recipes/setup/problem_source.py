"""`--data` to problems: a JSONL file, a table, or a data set by the name or folder that `datasets` takes."""

import bz2
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zstandard

from verifiers.input_error import InputError, first_line, missing_place
from verifiers.rewards.problem_file import ProblemList, parse_row, problems_of, read_problems, read_rows

TABLES = {".parquet": "parquet", ".csv": "csv", ".tsv": "csv", ".arrow": "arrow"}
COMPRESSED: dict[str, Callable[[Path], Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".zst": lambda path: zstandard.open(path, "rb"),
}


def load_problems(data: str, *, subset: str | None = None, split: str = "train", **reading: Any) -> ProblemList:
    """Problems of a file or of a data set's split. Raises InputError, which names the place, for anything unusable.

    `reading`: how rows become problems, as `problems_of` takes it.
    """
    _refuse_pipe(data)
    if is_file(data):
        return read_problems(Path(data), **reading)
    return problems_of(data_set_rows(data, subset, split)[0], source=source_name(data, split), **reading)


def load_rows(data: str, *, subset: str | None = None, split: str = "train") -> Iterator[tuple[str, dict[str, Any]]]:
    """The (place, row) pairs of a file or of a data set's split, as they are. Raises InputError where it cannot be read."""
    _refuse_pipe(data)
    if is_file(data):
        return ((f"line {number}", row) for number, row in read_rows(Path(data)))
    return data_set_rows(data, subset, split)[0]


def _refuse_pipe(data: str) -> None:
    if os.path.exists(data) and not (os.path.isfile(data) or os.path.isdir(data)):
        raise InputError(f"{data} is not a regular file: it might never end, and a run that is resumed reads it again; save it as a file")


def source_name(data: str, split: str | None) -> str:
    """How messages name where rows come from."""
    return data if is_file(data) or Path(data).is_file() else f"data set {data}, split {split or 'train'}"


def is_file(data: str) -> bool:
    """Whether `--data` means a plain JSONL file (there or not) rather than a table, a compressed file or a data set."""
    suffix = Path(data).suffix
    return suffix in (".jsonl", ".json") or (Path(data).is_file() and suffix not in TABLES and suffix not in COMPRESSED)


def is_packed(name: str) -> bool:
    """Whether a file is there that is read whole: a table, or compressed."""
    path = Path(name)
    return path.is_file() and (path.suffix in TABLES or path.suffix in COMPRESSED)


def data_set_rows(data: str, subset: str | None, split: str) -> tuple[Iterator[tuple[str, dict[str, Any]]], int]:
    """The (place, row) pairs of a data set's split or of a file that is no plain JSONL, and how many there are.

    Raises InputError where it cannot be read.
    """
    if (missing := missing_place(data)) is not None:
        raise InputError(missing)
    path = Path(data)
    if path.suffix in COMPRESSED and (path.is_file() or Path(path.stem).suffix in (".jsonl", ".json")):
        lines = list(_compressed_rows(path))
        return iter(lines), len(lines)
    try:
        rows = _rows_of(data, subset, split)
    except InputError:
        raise
    except Exception as error:  # the hub, the network, the split, a builder: one line of it is what the user needs
        if path.is_file():
            raise InputError(f"{data} cannot be read as a {TABLES[path.suffix]} table: {first_line(error)}") from error
        near = missing_place(data, tried=True)
        raise InputError(
            f"{near or data}; as a data set's name, `datasets` cannot load it (split {split}): {first_line(error)}; give a .jsonl file, a "
            "folder or a hub name, and --split or --subset"
        ) from error
    return ((f"row {number}", row) for number, row in enumerate(rows)), len(rows)


def _rows_of(data: str, subset: str | None, split: str) -> Any:
    from datasets import DatasetDict, disable_progress_bars, load_dataset, load_from_disk

    disable_progress_bars()
    path = Path(data)
    if path.is_file():
        options = {"sep": "\t"} if path.suffix == ".tsv" else {}
        return load_dataset(TABLES[path.suffix], data_files=str(path), split="train", **options)
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():  # what `save_to_disk` writes
        saved = load_from_disk(data)
        if not isinstance(saved, DatasetDict):
            return saved
        if split not in saved:
            raise InputError(f"{data} has no split {split!r} but {', '.join(saved)}; say which one with --split")
        return saved[split]
    return load_dataset(data, subset, split=split)


def _compressed_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a compressed JSONL file."""
    try:
        with COMPRESSED[path.suffix](path) as file:
            for number, line in enumerate(io.BufferedReader(file), 1):
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
                if text.strip():
                    yield f"line {number}", parse_row(text, f"{path}, line {number}")
    except InputError:
        raise
    except UnicodeDecodeError as error:
        raise InputError(f"{path} holds no UTF-8 text ({error.reason}); it should be JSONL, one JSON object a line") from None
    except (OSError, EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}; give a whole JSONL file") from None
