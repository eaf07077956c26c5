"""fastText's `.bin` file, written and read without fastText: the reader checks every declared size before it allocates anything.

fastText itself believes the file: a truncated one crashes it or takes all memory. Only what a text classifier needs is read: supervised
models of words and word n-grams with softmax loss, not quantised. Such a model is *projected* while it is read: its scores depend on the
rows of the input matrix only through their products with the rows of the output matrix, so one number a row and label is kept and the
matrix (2 GB at dim 256 and 2M buckets) never enters memory. The scores are the same up to rounding.
"""

import struct
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from verifiers.input_error import InputError

Floats = npt.NDArray[np.float32]

_MAGIC, _VERSION = 793712314, 12
_HEADER = struct.Struct("<ii12id3i2q")
_SOFTMAX, _SUPERVISED = 3, 3
_LIMIT = 1 << 33  # entries or rows; more is no size but damage
_LABELS = 256
_LONGEST_NGRAM = 50
_ABSURD = 1e6  # a logit
_CHUNK = 1 << 14  # rows of the input matrix read at a time


@dataclass(frozen=True)
class Header:
    """What stands before the dictionary, in the file's order."""

    dim: int
    window: int
    epochs: int
    min_count: int
    negatives: int
    word_ngrams: int
    loss: int
    model: int
    bucket: int
    minn: int
    maxn: int
    lr_update_rate: int
    sampling: float
    size: int
    words: int
    labels: int
    tokens: int
    pruned: int


@dataclass(frozen=True)
class Projected:
    """The logits of a line's labels are the mean of `rows` over the line's features."""

    header: Header
    vocabulary: Mapping[str, int]
    labels: tuple[str, ...]
    rows: Floats


def read_projected(path: Path) -> Projected:
    """Raises InputError, one line, for anything but a whole and finite softmax classifier."""
    try:
        length = path.stat().st_size
        with path.open("rb") as file:
            return _read_model(file, length, path)
    except OSError as error:
        raise InputError(f"classifier {path}: {error.strerror or error}") from error


def write_model(path: Path, header: Header, words: Mapping[str, int], labels: Mapping[str, int], inputs: Floats, outputs: Floats) -> None:
    """`words` and `labels` with their counts, in the order of their rows."""
    with path.open("wb") as file:
        file.write(_HEADER.pack(_MAGIC, _VERSION, *astuple(header)))
        for kind, entries in enumerate((words, labels)):
            for entry, count in entries.items():
                file.write(entry.encode("utf-8", "replace") + struct.pack("<xqb", count, kind))
        for matrix in (inputs, outputs):
            file.write(struct.pack("<?qq", False, *matrix.shape))
            file.write(np.ascontiguousarray(matrix).data)  # `tofile` says of a full disk only that it is not enough


def supervised_header(
    *, dim: int, epochs: int, min_count: int, word_ngrams: int, bucket: int, words: int, labels: int, tokens: int
) -> Header:
    """Of a softmax classifier without sub-words; the rest are fastText's defaults, which such a model does not use."""
    return Header(
        dim, 5, epochs, min_count, 5, word_ngrams, _SOFTMAX, _SUPERVISED, bucket, 0, 0, 100, 1e-4, words + labels, words, labels, tokens, -1
    )


def _read_model(file: BinaryIO, length: int, path: Path) -> Projected:
    raw = file.read(_HEADER.size)
    if len(raw) < _HEADER.size or struct.unpack_from("<i", raw)[0] != _MAGIC:
        raise InputError(f"classifier {path}: this is no fastText model (.bin)")
    fields = _HEADER.unpack(raw)
    header = Header(*fields[2:])
    _refuse_other_kinds(header, fields[1], path)
    vocabulary, labels = _read_dictionary(file, header, length, path)
    rows, width = _read_shape(file, length, path)
    if rows != header.words + header.bucket or width != header.dim:
        raise InputError(f"classifier {path}: the matrix has {rows} x {width} entries, not those of its header; the file is damaged")
    start = file.tell()
    file.seek(start + 4 * rows * width)
    labelled, out_width = _read_shape(file, length, path)
    if (labelled, out_width) != (header.labels, width):
        raise InputError(f"classifier {path}: {labelled} x {out_width} output weights, not {header.labels} x {width}; the file is damaged")
    outputs = np.fromfile(file, dtype="<f4", count=labelled * width).reshape(labelled, width)
    file.seek(start)
    projected = _project(file, rows, outputs)
    if not np.isfinite(projected).all() or float(np.abs(projected).max(initial=0)) > _ABSURD:
        raise InputError(f"classifier {path}: weights that are not numbers or absurdly large; the training went wrong, train it again")
    return Projected(header, vocabulary, labels, projected)


def _refuse_other_kinds(header: Header, version: int, path: Path) -> None:
    sizes = (header.dim, header.size, header.words, header.labels, header.bucket, header.word_ngrams, header.tokens)
    if (
        not 11 <= version <= _VERSION
        or min(sizes) < 0
        or max(sizes[:-1]) > _LIMIT
        or header.dim == 0
        or header.word_ngrams > _LONGEST_NGRAM
        or header.size != header.words + header.labels
    ):
        raise InputError(f"classifier {path}: sizes in its header that make no sense; the file is damaged")
    if header.model != _SUPERVISED or header.loss != _SOFTMAX or not 2 <= header.labels <= _LABELS:
        raise InputError(f"classifier {path}: not a classifier with softmax loss and 2 to {_LABELS} labels; train one with `-loss softmax`")
    if header.maxn > 0 or header.pruned >= 0:
        raise InputError(
            f"classifier {path}: sub-word or pruned models are not supported; train with `-minn 0 -maxn 0` and do not quantise"
        )


def _read_dictionary(file: BinaryIO, header: Header, length: int, path: Path) -> tuple[dict[str, int], tuple[str, ...]]:
    if header.size * 10 > length:
        raise InputError(f"classifier {path}: shorter than its dictionary; the file is truncated")
    entries: list[str] = []
    buffer, at = b"", 0
    while len(entries) < header.size:
        end = buffer.find(b"\0", at)
        if end < 0 or len(buffer) < end + 10:
            more = file.read(1 << 20)
            if not more or len(buffer) - at > 1 << 22:
                raise InputError(f"classifier {path}: ends inside its dictionary; the file is truncated or damaged")
            buffer, at = buffer[at:] + more, 0
            continue
        entries.append(buffer[at:end].decode("utf-8", "replace"))
        at = end + 10  # behind the zero: a count of 8 bytes and the kind
    file.seek(at - len(buffer), 1)
    return {word: row for row, word in enumerate(entries[: header.words])}, tuple(entries[header.words :])


def _read_shape(file: BinaryIO, length: int, path: Path) -> tuple[int, int]:
    raw = file.read(17)
    if len(raw) < 17:
        raise InputError(f"classifier {path}: ends before its weights; the file is truncated")
    quantised, rows, width = struct.unpack("<?qq", raw)
    if quantised:
        raise InputError(f"classifier {path}: quantised models (.ftz) are not supported; use the .bin it was made from")
    if not 0 < rows <= _LIMIT or not 0 < width <= 1 << 20 or file.tell() + 4 * rows * width > length:
        raise InputError(f"classifier {path}: shorter than its {rows} x {width} weights; the file is truncated")
    return rows, width


def _project(file: BinaryIO, rows: int, outputs: Floats) -> Floats:
    projected = np.empty((rows, len(outputs)), dtype=np.float32)
    with np.errstate(all="ignore"):  # damaged weights are reported by the caller, not warned of
        for start in range(0, rows, _CHUNK):
            part = np.fromfile(file, dtype="<f4", count=min(_CHUNK, rows - start) * outputs.shape[1])
            np.matmul(part.reshape(-1, outputs.shape[1]), outputs.T, out=projected[start : start + _CHUNK])
    return projected
