"""What `--model` may be, and what it comes down to: base weights, the adapters on them, a tokenizer. Nothing is loaded.

A hub id, the folder of a model, a GGUF file, an earlier run (its `final/`, else its newest checkpoint), a checkpoint of one, or an adapter;
a stage of a recipe so begins where the last one ended. An adapter names its base, which may itself be any of these: the chain is
followed down to weights that stand alone. The tokenizer, and with it the chat template, is that of the last stage which has one.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from verifiers.atomic_files import read_file
from verifiers.input_error import InputError, first_line, missing_place

ADAPTER = "adapter_config.json"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
NEEDS_GGUF = "reading GGUF needs the package gguf; pip install 'reckon-rl[gguf]'"
IN_MEMORY = "in-memory/"
"""How the place begins of what is an object of a Python program."""
BASES = "bases"
"""Folder of a run with adapters that restart: the models that its checkpoints and what it learnt stand on."""
START, MERGED, FINAL, WARM_START = "start", "base", "final", "warm_start"
"""Folders of a run: the adapter that it began with, the model (merged, or of a Python program), what it learnt, quickstart's beginning."""


@dataclass(frozen=True)
class ModelSource:
    """Where a model comes from. Every place is a hub id or an absolute path."""

    given: str
    """What the user gave."""
    base: str
    """The weights that stand alone."""
    tokenizer: str
    gguf: str | None = None
    """The file in `base` that holds the weights and the tokenizer, where that is GGUF."""
    merged: tuple[str, ...] = ()
    """Adapters that are part of the starting point, from the base upwards: they are merged into it before anything is trained."""
    adapter: str | None = None
    """The adapter that goes on being trained."""

    @property
    def adapters(self) -> tuple[str, ...]:
        """All of them, from the base upwards."""
        return self.merged if self.adapter is None else (*self.merged, self.adapter)

    @property
    def stages(self) -> tuple[str, ...]:
        """Where weights of it lie, the newest first."""
        return (*reversed(self.adapters), self.base)

    @property
    def record(self) -> str:
        """What an adapter trained from here names as its base: what `find_model` would find the same weights by."""
        return self.merged[-1] if self.merged else str(Path(self.base) / self.gguf) if self.gguf else self.base

    def in_words(self) -> str:
        """One line, such as "/models/qwen + adapter /runs/sft/final"."""
        weights = str(Path(self.base) / self.gguf) if self.gguf else self.base
        return " + adapter ".join([weights, *self.adapters])

    def load_tokenizer(self) -> Any:
        """The tokenizer with its chat template. Raises InputError where there is none."""
        from rollout.chat import load_tokenizer

        if not self.gguf or self.tokenizer != self.base:
            return load_tokenizer(self.tokenizer)
        try:
            return load_tokenizer(self.tokenizer, gguf_file=self.gguf)
        except ImportError as error:
            raise InputError(f"{self.gguf}: {NEEDS_GGUF}") from error

    def load_shape(self) -> Any:
        """The transformers config. Raises InputError where there is none."""
        from transformers import AutoConfig

        from rollout.chat import own_code

        try:
            return AutoConfig.from_pretrained(self.base, trust_remote_code=False, **({"gguf_file": self.gguf} if self.gguf else {}))
        except ImportError as error:
            raise InputError(f"{self.gguf}: {NEEDS_GGUF}") from error
        except Exception as error:  # each model's own code has its own for a file that is none of its
            gone = f"{absent}, and " if (absent := missing_place(self.base, tried=True)) else ""
            said = own_code(self.base, error) or f"{gone}cannot read a model's config from {self.record!r}: {first_line(error)}"
            raise InputError(said) from error

    def generation_stops(self) -> tuple[int, ...]:
        """Token ids that end generation by the model's own defaults, such as <end_of_turn>."""
        from rollout.chat import generation_stops

        return generation_stops(self.base)

    def load_model(self, dtype: Any = "fp32", *, lora: bool = False, judges: bool = False, trains: bool = True) -> Any:
        """The weights, what is to be merged merged, with the adapter that goes on. Raises InputError for files that do not fit.

        `judges`: it says values or scores and nothing else, so that a sequence classifier will do. `trains`: a Python program's model,
        which is its own, is made as wide as `dtype` and `lora` say; where nothing is learnt it stays as it is.
        """
        from rl.learning.starting_model import load_start

        return load_start(self.base, gguf_file=self.gguf, merged=self.merged, adapter=self.adapter, dtype=dtype, lora=lora, judges=judges)


@dataclass(frozen=True)
class ModelInMemory(ModelSource):
    """A model that a Python program has loaded or made, with its tokenizer. It is trained in place."""

    model: Any = None
    own_tokenizer: Any = None

    @cached_property
    def place(self) -> str | None:
        """Where the same model lies on the disk; None where that is nowhere. Asked before anything is learnt: later it is another model.

        The name that transformers writes into a model says where it came from, not what has become of it: the weights are compared.
        """
        from rl.learning.starting_model import stands_at

        name = str(getattr(self.model.config, "name_or_path", "") or "")
        if not name or not stands_at(self.model, name):
            return None
        return str(Path(name).resolve()) if Path(name).exists() else name

    @property
    def record(self) -> str:
        return self.place or ""

    def load_tokenizer(self) -> Any:
        return self.own_tokenizer

    def load_shape(self) -> Any:
        return self.model.config

    def generation_stops(self) -> tuple[int, ...]:
        stops = getattr(getattr(self.model, "generation_config", None), "eos_token_id", None)
        return tuple(stops) if isinstance(stops, list) else () if stops is None else (stops,)

    def load_model(self, dtype: Any = "fp32", *, lora: bool = False, judges: bool = False, trains: bool = True) -> Any:
        """The object itself; to be trained, as wide as it would be if it were read from the disk, where a resumed run finds it.

        float64 stays where nothing narrower is asked for. What is merged comes frozen, and then thaws.
        """
        import torch

        from rl.learning.starting_model import as_if_read

        if not trains:
            return self.model
        if not lora and not any(parameter.requires_grad for parameter in self.model.parameters()):
            self.model.requires_grad_(True)
        return as_if_read(self.model, torch.bfloat16 if dtype == "bf16" and lora else torch.float32, wider=dtype == "fp32")


_IN_MEMORY: dict[str, ModelInMemory] = {}


@contextmanager
def in_memory(model: Any, tokenizer: Any, name: str | None = None) -> Iterator[str]:
    """A name under which `find_model` gives this model and tokenizer, for as long as the context lasts: options hold names.

    `name`: that of an earlier life of a run, which its options still hold. Raises InputError where another run has it now.
    """
    # the first that is free: contexts may end in any order
    name = name or next(free for n in count(1) if (free := f"{IN_MEMORY}model-{n}") not in _IN_MEMORY)
    if name in _IN_MEMORY:
        raise InputError(f"{name} is the model of another run that this program is at; resume one after the other")
    _IN_MEMORY[name] = ModelInMemory(name, name, name, model=model, own_tokenizer=tokenizer)
    try:
        yield name
    finally:
        del _IN_MEMORY[name]


def find_model(place: str, *, gguf_file: str | None = None) -> ModelSource:
    """What stands at a place that a user gave. Raises InputError, one line with the remedy, where no model does."""
    if place.startswith(IN_MEMORY):
        if place not in _IN_MEMORY:
            raise InputError(f"--model {place} was an object of a Python program, which has ended; save it and give its folder")
        return _IN_MEMORY[place]
    return _find(place, place, (), gguf_file)


# --- what stands at a place ---


def _find(place: str, given: str, seen: tuple[str, ...], gguf_file: str | None = None) -> ModelSource:
    path = Path(place).expanduser()
    if not path.exists():
        return _on_the_hub(place, given, seen, gguf_file)
    path = path.resolve()
    _refuse_odd_files(path, given)
    if path.is_file():
        return _gguf_source(path, given)
    if gguf_file:
        return _gguf_source(path / gguf_file, given)
    if is_run(path):
        return _of_run(path, given, seen)
    if (path / "position.json").is_file() and (path / "model").is_dir():
        path = path / "model"
    return replace(_of_folder(path, given, seen), tokenizer=_tokenizer_of(path, given, seen))


def _of_folder(path: Path, given: str, seen: tuple[str, ...]) -> ModelSource:
    if (path / ADAPTER).is_file():
        return _of_adapter(path, given, seen)
    files = sorted(file.name for file in path.glob("*.gguf"))
    if files and not (path / "config.json").exists():
        if len(files) > 1:
            raise InputError(
                f"--model {given}: {path} holds {len(files)} GGUF files ({', '.join(files):.200}); choose one with --gguf-file"
            )
        return _gguf_source(path / files[0], given)
    return ModelSource(given, str(path), str(path))


def _of_run(run: Path, given: str, seen: tuple[str, ...]) -> ModelSource:
    """A run that is done says so in its manifest; the `final/` of one that goes on is of yesterday."""
    final, checkpoints = run / FINAL, sorted(run.glob("checkpoints/step-*/model"))
    if final.is_dir() and (not checkpoints or status_of(run) == "done"):
        return _find(str(final), given, seen)
    if not checkpoints:
        raise InputError(
            f"--model {given}: the run in {run} has no checkpoint yet (or only samples), so there is no model of it; wait for one"
        )
    return _find(str(checkpoints[-1]), given, seen)


def _of_adapter(folder: Path, given: str, seen: tuple[str, ...]) -> ModelSource:
    settings = adapter_config(folder, given)
    base = settings["base_model_name_or_path"]
    if str(folder) in seen:
        raise InputError(f"--model {given}: the adapter {folder} is, by way of its bases, an adapter of itself; mend its {ADAPTER}")
    found = _moved_with(folder, base) or Path(base)
    if not found.exists() and (missing := missing_place(base)) is not None:
        raise InputError(
            f"--model {given}: the adapter {folder} is of the model {base}, and {missing}; put it back, or write its new place into "
            f"base_model_name_or_path of {folder / ADAPTER}"
        )
    below = _find(str(found) if found.exists() else base, given, (*seen, str(folder)))
    return ModelSource(given, below.base, below.tokenizer, below.gguf, below.adapters, str(folder))


def _moved_with(folder: Path, base: str) -> Path | None:
    """The base that a run keeps beside its adapters, where the run lies in another place now."""
    run = run_of(folder)
    name = MERGED if Path(base).name == MERGED else f"{BASES}/{Path(base).name}" if Path(base).parent.name == BASES else None
    kept = run / name if run and name else None
    return kept if kept and kept.is_dir() and not Path(base).exists() else None


def _on_the_hub(place: str, given: str, seen: tuple[str, ...], gguf_file: str | None) -> ModelSource:
    if (missing := missing_place(place)) is not None:
        raise InputError(f"--model: {missing}")
    if gguf_file:
        return ModelSource(given, place, place, gguf_file)
    folder = _hub_adapter(place)
    return ModelSource(given, place, place) if folder is None else _find(folder, given, seen)


@lru_cache
def _hub_adapter(name: str) -> str | None:
    """The folder in the hub's cache of a repository that is an adapter; None for a model, or where the hub cannot be asked."""
    from transformers.utils import cached_file

    try:
        settings = cached_file(name, ADAPTER, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False,
                               _raise_exceptions_for_gated_repo=False)  # fmt: skip
        if settings is None:
            return None
        from huggingface_hub import snapshot_download

        return snapshot_download(name, allow_patterns=["adapter_*", "*.json", "*.jinja", "*.model", "*.txt"])
    except Exception:  # noqa: BLE001  # no such repository, no network: whoever reads the model's config says so
        return None


def _gguf_source(file: Path, given: str) -> ModelSource:
    if not file.is_file():
        raise InputError(f"--gguf-file: there is no {file.name} in {file.parent}")
    if file.suffix != ".gguf":
        raise InputError(f"--model {given} is a file, and not a .gguf; give the folder of a model, a hub id, a run or an adapter")
    return ModelSource(given, str(file.parent), str(file.parent), file.name)


# --- what a folder says of itself ---


def is_run(path: Path) -> bool:
    """Whether a folder is a run's: its config.json holds options, a model's holds a model_type."""
    config = path / "config.json"
    try:
        values = json.loads(read_file(config)) if config.exists() else None
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and isinstance(values.get("options"), dict)


def run_of(path: Path) -> Path | None:
    """The run that a folder of weights lies in: RUN/final, RUN/checkpoints/step-000120/model, RUN/base, RUN/start."""
    return next((parent for parent in list(path.parents)[:3] if is_run(parent)), None)


def _tokenizer_of(path: Path, given: str, seen: tuple[str, ...]) -> str:
    """Its own, else that of its run, else that of what its run began with, or of its base."""
    if _has_tokenizer(path) or not (run := run_of(path)):
        own = _has_tokenizer(path) or not (path / ADAPTER).is_file()
        return str(path) if own else _of_folder(path, given, seen).tokenizer
    for name in (FINAL, START, MERGED, WARM_START):
        if _has_tokenizer(run / name):
            return str(run / name)
    model = model_option(run)
    return _find(model, given, seen).tokenizer if model else str(path)


def _has_tokenizer(path: Path) -> bool:
    return any((path / name).is_file() for name in TOKENIZER_FILES)


def status_of(run: Path) -> Any:
    """How a run stands by its manifest: "running", "interrupted", "stopped" or "done"; None where it does not say."""
    try:
        return json.loads(read_file(run / "manifest.json")).get("status")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


def model_option(run: Path) -> str | None:
    """The `--model` of a run (`is_run`); None where it had none."""
    model = json.loads(read_file(run / "config.json"))["options"].get("model")
    return model if isinstance(model, str) and model else None


def say_quantization(source: ModelSource) -> None:
    """One line where an adapter's run trained it on a base of 4 bits: here the base is whole, so that it says other numbers."""
    for folder in source.adapters:
        if (run := run_of(Path(folder))) is None:
            continue
        options = json.loads(read_file(run / "config.json"))["options"]
        tune = options.get("tune")
        if isinstance(tune, dict) and tune.get("quantization"):
            print(f"the adapter {folder} learnt on a base of 4 bits; on a whole one it says slightly other numbers", file=sys.stderr)


def adapter_config(folder: Path, given: str) -> dict[str, Any]:
    """An adapter's settings. Raises InputError for what is no LoRA of a model with a name."""
    place = folder / ADAPTER
    try:
        settings = json.loads(read_file(place))
        if not isinstance(settings, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"--model {given}: {place} cannot be read ({error}); restore it") from error
    if settings.get("peft_type") != "LORA":
        raise InputError(f"--model {given}: {folder} is an adapter of peft's type {settings.get('peft_type')}; only LoRA and DoRA are read")
    if settings.get("revision") not in (None, "main"):
        raise InputError(
            f"--model {given}: {folder} is an adapter of revision {settings['revision']} of its base; save that revision in a folder, and "
            f"write the folder into base_model_name_or_path of {place}, without a revision"
        )
    if not isinstance(settings.get("base_model_name_or_path"), str) or not settings["base_model_name_or_path"]:
        raise InputError(f"--model {given}: {place} does not say which model it is an adapter of; write it into base_model_name_or_path")
    return settings


def _refuse_odd_files(path: Path, given: str) -> None:
    """A pipe among a model's files would be waited for, for ever."""
    odd = [entry for entry in path.iterdir() if not (entry.is_file() or entry.is_dir())] if path.is_dir() else []
    if odd or not (path.is_dir() or path.is_file()):
        name = odd[0].name if odd else path.name
        raise InputError(f"--model {given}: {name} is not a regular file, and reading it could wait for ever; remove it")
