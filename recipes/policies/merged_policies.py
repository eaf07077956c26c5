"""Several policies to one plain model: what each place comes down to, what all of them began with, and how they are put together.

Adapters are merged into plain weights first, each into its own base and checked as `reckon merge` of one does it: a spherical mean of
products B A is no product of that rank, and of the factors alone it would be a mean of something else. What is plain already is read where
it lies; the others are written beside the result, in float32, and removed.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from recipes.setup.model_source import IN_MEMORY, WARM_START, ModelSource, find_model, is_run, model_option, run_of
from recipes.setup.starting_point import kept_start
from recipes.spelling.flat_options import word_of
from verifiers.input_error import InputError

if TYPE_CHECKING:  # torch
    from rl.interpolation.merged_models import Found

Precision = Literal["auto", "fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class Slerp:
    """Spherical interpolation of what was learnt (WARP), arXiv:2406.16768."""

    angle: Literal["tensor", "layer", "model"] = "tensor"
    """Whose angle it goes by: each tensor's, each layer's, or that of all weights as one vector."""


@dataclass(frozen=True, kw_only=True)
class Average:
    """The mean of the weights (model soups), arXiv:2203.05482."""


@dataclass(frozen=True, kw_only=True)
class Ties:
    """The largest changes, and of each number the sign that prevails, arXiv:2306.01708."""

    density: float = 0.2
    """Share of each tensor's changes that is kept: the largest (ties), or drawn at random (dare)."""


@dataclass(frozen=True, kw_only=True)
class Dare:
    """Changes dropped at random, the others scaled up, arXiv:2311.03099."""

    density: float = 0.1
    seed: int = 0
    """Of what is drawn."""


How = Slerp | Average | Ties | Dare


def merge_policies(
    out: Path,
    places: Sequence[str],
    how: How,
    *,
    start: str | None = None,
    shares: Sequence[float] = (),
    eta: float = 1.0,
    dtype: Precision = "auto",
    gguf_file: str | None = None,
) -> "Found | None":
    """One plain model in the folder `out`. What the weights were like, where there was a start to measure it from.

    `start`: default, what all of them began with. `shares`: default equal. Raises InputError, with nothing written.
    """
    sources = [find_model(place, gguf_file=gguf_file) for place in places]
    shared = shares_of(shares, len(places))
    _check(how, eta)
    origin = find_model(start) if start else common_start(places, sources, needed=not (isinstance(how, Average) and eta == 1))
    tokenizer, shape = sources[0].load_tokenizer(), sources[0].load_shape()
    _require_one_vocabulary([*places, *([start] if start else [])], [*sources, *([origin] if origin and start else [])], tokenizer)
    from rl.interpolation import task_vectors
    from rl.interpolation.merged_adapters import WIDTHS
    from rl.interpolation.merged_models import Blend, write_merged

    names = {width: name for name, width in WIDTHS.items()}
    width = names.get(shape.dtype, "fp32") if dtype == "auto" else dtype
    kind = getattr(task_vectors, type(how).__name__)
    blend = Blend(kind(**{field.name: getattr(how, field.name) for field in fields(how)}), shared, eta)
    with ExitStack() as opened:
        beside = Path(opened.enter_context(_room_beside(out)))
        models = [opened.enter_context(_plain(source, beside / f"model-{number}")) for number, source in enumerate(sources, 1)]
        began = opened.enter_context(_plain(origin, beside / "start")) if origin else None
        return write_merged(out, start=began, models=models, blend=blend, tokenizer=tokenizer, width=width)


def _require_one_vocabulary(places: Sequence[str], sources: Sequence[ModelSource], tokenizer: Any) -> None:
    """Raises InputError where a token has another number in one of the models: its row would be averaged with another word's.

    Tokens that only one of them has (an added pad) are let pass, and so is a model without a tokenizer beside it.
    """
    own = tokenizer.get_vocab()
    for place, source in zip(places[1:], sources[1:], strict=True):
        try:
            theirs = source.load_tokenizer().get_vocab()
        except InputError:
            continue
        if moved := sorted(token for token in own.keys() & theirs.keys() if own[token] != theirs[token]):
            raise InputError(
                f"{place} has another tokenizer than {places[0]} ({len(moved):,} tokens have other numbers, such as {moved[0]!r:.40}); "
                "merge models that began as one"
            )


def shares_of(given: Sequence[float], count: int) -> tuple[float, ...]:
    """Of each model; they sum to 1. Raises InputError for numbers that cannot be."""
    if not given:
        return (1 / count,) * count
    if len(given) != count:
        raise InputError(f"--shares has {len(given)} numbers for {count} models; give one for each")
    if not all(0 <= share < float("inf") for share in given) or not sum(given):
        raise InputError(f"--shares {' '.join(map(str, given))} must be 0 or more, and not all 0")
    return tuple(share / sum(given) for share in given)


def _check(how: How, eta: float) -> None:
    if not 0 <= eta <= 2:
        raise InputError(f"--eta must be from 0 (the start) to 1 (what was merged), or a little beyond, not {eta}")
    density = getattr(how, "density", 1.0)
    if not 0 < density <= 1:
        raise InputError(f"--density must be above 0 and at most 1, not {density}")


@contextmanager
def _room_beside(out: Path) -> Iterator[str]:
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".tmp-plain-", dir=out.parent) as folder:
        yield folder


@contextmanager
def _plain(source: ModelSource, folder: Path) -> Iterator[Path]:
    """Where its weights lie as plain safetensors: where they are, or written to `folder` for as long as the context lasts."""
    from rl.interpolation.weight_files import has_weights

    if not source.adapters and not source.gguf and has_weights(Path(source.base)):
        yield Path(source.base)
        return
    from rl.interpolation.merged_adapters import write_plain_model

    stored = None if source.gguf else source.load_shape().dtype
    write_plain_model(
        folder, base=source.base, adapters=source.adapters, tokenizer=source.load_tokenizer(), stored=stored, width="fp32",
        gguf_file=source.gguf,
    )  # fmt: skip
    yield folder


# --- what they began with ---


def common_start(places: Sequence[str], sources: Sequence[ModelSource], *, needed: bool) -> ModelSource | None:
    """What all of these began with; None where that is not known and not needed. Raises InputError."""
    starts = [began_with(place, source) for place, source in zip(places, sources, strict=True)]
    found = {(start.base, start.gguf, start.adapters) if start else None for start in starts}
    if len(found) == 1 and starts[0] is not None:
        return starts[0]
    if not needed:
        return None
    if None in found:
        place = next(place for place, start in zip(places, starts, strict=True) if start is None)
        raise InputError(f"{place} does not say what it began with, which its changes are measured from; give that with --start")
    said = " and ".join(sorted({start.in_words() for start in starts if start}))
    raise InputError(f"these models began as different ones ({said}); give what their changes are to be measured from with --start")


def began_with(place: str, source: ModelSource) -> ModelSource | None:
    """What a run, or an adapter, started from; None for a model that does not say."""
    path = Path(place).expanduser()
    run = path if is_run(path) else run_of(Path(source.adapter or source.base))
    if run is not None:
        kept = kept_start(run) or (str(run / WARM_START) if (run / WARM_START).is_dir() else None)
        model = kept or model_option(run)
        return None if model is None or model.startswith(IN_MEMORY) else find_model(model)  # an object of a Python program is gone
    return replace(source, adapter=None, merged=source.adapters[:-1]) if source.adapters else None


def in_words(how: How, shares: Sequence[float], eta: float) -> str:
    """How models were put together, in a few words."""
    even = len(set(shares)) == 1
    said = f"{word_of(type(how))} of {len(shares)}" + ("" if even else f" with shares {', '.join(f'{share:.3g}' for share in shares)}")
    settings: dict[str, Any] = {field.name: getattr(how, field.name) for field in fields(how)}
    return ", ".join([said, *(f"{name} {value}" for name, value in settings.items()), *([f"eta {eta:g}"] if eta != 1 else [])])
