"""The configuration of a mining run: one frozen dataclass, filled from a TOML file, from the command line, or from both.

A field says in its metadata from which step on it matters: `extract` (what the cached pages are), `duplicates`, `loop` (the rounds),
`corpus` (what is done with the collection), or `machine` (speed only). A run may be continued with another value of a field as long as
no step that the field touches is done; afterwards the output folder belongs to the earlier value, and the difference is named in one line.
That is why a budget that turned out too large can be corrected without extracting again.

Paths are taken relative to the current directory, in the file as on the command line. Left out: how a step works. Each part has its own
settings with its own defaults, and only what a run of the whole loop must decide stands here.
"""

import dataclasses
import json
import tomllib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from data_pipeline.archives.named_inputs import COMMON_CRAWL
from data_pipeline.subjects.named_subject import subject_of
from verifiers.input_error import InputError, did_you_mean

NEAR = 0.75
STEPS = ("extract", "duplicates", "loop", "corpus")  # in the order in which they run


def _option(default: Any, step: str, text: str) -> Any:
    return field(default=default, metadata={"step": step, "help": text})


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run does. Every field has a default but the seed, which only the user can know."""

    subject: str = _option("math", "loop", "what is looked for: math, code (code documentation), or a Subject of yours as FILE.py:NAME")
    seed: tuple[str, ...] = _option(
        (), "loop", "known-good pages: documents (.jsonl, .parquet), pages (.html, WARC), URL lists (.txt), a model (.bin)"
    )
    seed_domains: tuple[str, ...] = _option((), "loop", "hosts whose pages in the pool are known good")
    rounds: int = _option(4, "loop", "rounds of train, score, collect, look at domains, at most")
    stop_overlap: float = _option(0.98, "loop", "stop when this share of a round's collection was already in the round before")
    budget: int = _option(0, "loop", "tokens to collect in a round, best pages first; 0: by threshold")
    threshold: float = _option(0.0, "loop", "least score of a collected page; 0: by calibration on held-out seed pages")
    domain_share: float = _option(0.10, "loop", "a domain is about the subject when more than this share of its pages was collected")
    domain_pages: int = _option(3, "loop", "and it has at least this many pages in the pool")
    pattern_share: float = _option(0.5, "loop", "a URL pattern inside such a domain is accepted when this share of its pages was collected")
    pattern_pages: int = _option(3, "loop", "and it has at least this many pages")
    seed_pages: int = _option(500_000, "loop", "positive examples, and as many negative ones, at most")
    preset: str = _option(
        "auto",
        "loop",
        "the classifier: deepseekmath (its settings; 2 GB of memory, and of disk a round), small (55 MB), or auto: small up to "
        "100,000 pages",
    )
    random_seed: int = _option(0, "loop", "fixes every random choice: the same seed gives the same bytes")
    prefilter: bool = _option(False, "extract", "drop pages without the subject's markup before extraction")
    block: tuple[str, ...] = _option((), "extract", "files of hosts and addresses, one a line, whose pages are dropped unread")
    allow: tuple[str, ...] = _option((), "extract", "files of hosts and addresses: pages from anywhere else are dropped unread")
    page_seconds: float = _option(2.0, "extract", "a page that takes longer is dropped and counted")
    page_megabytes: int = _option(1024, "extract", "memory that the extraction of a page may take")
    near: bool = _option(True, "duplicates", "drop near-duplicates, not only equal URLs and texts")
    near_threshold: float = _option(NEAR, "duplicates", "Jaccard similarity from which pages are near-duplicates (of verified pairs)")
    lsh: str = _option(
        "6x20", "duplicates", "MinHash rows x bands: 6x20, its pairs verified; or 11x10 as in MegaMath, unverified, which finds fewer"
    )
    languages: tuple[str, ...] = _option(("en",), "corpus", "languages to keep (ISO 639); empty: all")
    quality: bool = _option(True, "corpus", "apply the quality rules")
    benchmarks: tuple[str, ...] = _option(
        (), "corpus", "benchmark files (.jsonl, .parquet); text that shares a 10-gram with them is removed"
    )
    unit: str = _option("segment", "corpus", "what a benchmark's words cost: the segment or the document")
    problems: bool = _option(True, "corpus", "look for question-answer pairs")
    format: str = _option("parquet", "corpus", "of the corpus: parquet, jsonl or jsonl.zst")
    tokenizer: str = _option("", "corpus", "name or path of a tokenizer that counts the corpus's tokens; empty: an estimate")
    keep_rejects: bool = _option(False, "extract", "keep the text of dropped pages too")
    on: str = _option("", "machine", "where the work is done: empty for this machine, ray or ray://HOST:PORT, slurm")
    fetch_index: tuple[str, ...] = _option(
        (),
        "loop",
        "Common Crawl's index, as for `reckon mine fetch`: after a round, pages under its patterns that the pool lacks are fetched",
    )
    fetch_base: str = _option(COMMON_CRAWL, "loop", "where the index's file names begin")
    fetch_pages: int = _option(10_000, "loop", "pages that are fetched after a round, at most")
    fetch_hosts: int = _option(0, "loop", "unknown hosts of which a few pages are fetched after a round, to judge them")
    workers: int = _option(0, "machine", "processes; 0: one a core")
    retry: bool = _option(False, "machine", "try again the files that were set aside because their process broke again and again")

    def __post_init__(self) -> None:
        """Raises SettingError for the first value that no run can mean, and for one that the others make idle.

        InputError for a subject that is not there; a user's file runs here.
        """
        subject_of(self.subject)
        for name, choices in CHOICES.items():
            value = getattr(self, name)
            if value not in choices:
                raise SettingError(
                    f"{{}} is none of {', '.join(choices)}{did_you_mean(str(value).replace('-', '_'), choices)}", name, value=value
                )
        for name in SHARES:
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise SettingError("{} is not between 0 and 1", name, value=getattr(self, name))
        for name, least in COUNTS.items():
            if getattr(self, name) < least:
                raise SettingError(f"{{}} is less than {least}", name, value=getattr(self, name))
        if not 0.01 <= self.page_seconds <= 3600:
            raise SettingError("{} is not between 0.01 and 3600", "page_seconds", value=self.page_seconds)
        if self.budget and self.threshold:
            raise SettingError("{} and {} both choose how much is collected; give one of them", "budget", "threshold")
        if self.near_threshold != NEAR and self.lsh != "6x20":
            raise SettingError(
                "{} has no effect with {} 11x10, whose pairs are not verified; leave it out, or take 6x20", "near_threshold", "lsh"
            )
        if self.near_threshold != NEAR and not self.near:
            raise SettingError("{} has no effect without {}; leave it out", "near_threshold", "near")


CHOICES = {
    "preset": ("auto", "small", "deepseekmath"),
    "unit": ("segment", "document"),
    "lsh": ("6x20", "11x10"),
    "format": ("parquet", "jsonl", "jsonl.zst"),
}
SHARES = ("stop_overlap", "threshold", "domain_share", "pattern_share", "near_threshold")
COUNTS = {"rounds": 1, "budget": 0, "domain_pages": 1, "pattern_pages": 1, "seed_pages": 10, "page_megabytes": 64, "fetch_pages": 0,
          "fetch_hosts": 0, "workers": 0}  # fmt: skip


class SettingError(InputError):
    """A value that no run can mean. The message spells the settings as a file does; `spelled` as whoever gave them did."""

    def __init__(self, text: str, *names: str, value: object = None) -> None:
        self.text, self.names, self.value = text, names, value
        super().__init__(self.spelled())

    def spelled(self, option: Callable[[str], str] | None = None) -> str:
        """The message; `{}` in its text are the settings, by their name or as an option, the first with its value where that is wrong."""
        first, *others = map(option or str, self.names)
        if self.value is not None:
            first = f"{first} {self.value}" if option else f"{first} = {self.value!r}"
        return self.text.format(first, *others)


def fields() -> dict[str, dataclasses.Field[Any]]:
    return {entry.name: entry for entry in dataclasses.fields(Settings)}


def from_mapping(values: Mapping[str, Any], *, where: str) -> Settings:
    """Settings from parsed TOML or JSON. Raises InputError with the nearest name for an unknown key, and for a value of another kind."""
    known = fields()
    for key in values:
        if key not in known:
            raise InputError(
                f"{where}: unknown key {key!r}{did_you_mean(key.replace('-', '_'), known) or '; there are ' + ', '.join(known)}"
            )
    try:
        return Settings(**{key: _setting_value(known[key], value, where) for key, value in values.items()})
    except SettingError as error:
        raise InputError(f"{where}: {error}") from None


def _setting_value(entry: dataclasses.Field[Any], value: Any, where: str) -> Any:
    wanted = entry.type
    if _is_strings(wanted):
        if isinstance(value, str):
            return (value,)
        if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise InputError(f"{where}: {entry.name} = {value!r} should be a list of strings")
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(wanted, type) or not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise InputError(f"{where}: {entry.name} = {value!r} should be {getattr(wanted, '__name__', wanted)}")
    return value


def _is_strings(wanted: Any) -> bool:
    return isinstance(wanted, types.GenericAlias) and typing.get_origin(wanted) is tuple


class Configured(NamedTuple):
    """What a configuration file holds."""

    settings: Settings
    inputs: list[str]
    out: Path | None


def read_config(path: Path) -> Configured:
    """The settings, the inputs and the output folder of a TOML (or JSON) file; the latter two may stand on the command line instead."""
    if not path.is_file():
        raise InputError(f"{path}: there is no such configuration file")
    try:
        text = path.read_text(encoding="utf-8")
        values = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (UnicodeDecodeError, ValueError) as error:  # TOMLDecodeError and JSONDecodeError are ValueErrors
        raise InputError(f"{path}: not readable as {'JSON' if path.suffix == '.json' else 'TOML'}: {str(error).splitlines()[0]}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: should hold keys and values")
    inputs = values.pop("inputs", [])
    if isinstance(inputs, str):
        inputs = [inputs]
    if not isinstance(inputs, list) or not all(isinstance(item, str) for item in inputs):
        raise InputError(f"{path}: inputs should be a list of paths")
    out = values.pop("out", None)
    if out is not None and not (isinstance(out, str) and out):
        raise InputError(f"{path}: out should be the path of the run's folder")
    return Configured(from_mapping(values, where=str(path)), inputs, Path(out) if out else None)


def to_mapping(settings: Settings) -> dict[str, Any]:
    """As JSON holds it (lists for tuples)."""
    return {name: _as_json(value) for name, value in dataclasses.asdict(settings).items()}


def differences(before: Mapping[str, Any], now: Mapping[str, Any], steps: Iterable[str]) -> list[str]:
    """Names of the settings of these steps whose values differ; a key that one side does not know counts as its default there."""
    wanted = set(steps)
    return [
        name for name, entry in fields().items()
        if entry.metadata["step"] in wanted and before.get(name, _as_json(entry.default)) != now.get(name, _as_json(entry.default))
    ]  # fmt: skip


def _as_json(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
