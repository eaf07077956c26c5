"""The DeepSeekMath loop: from archives to a corpus of a subject and problems, resumable at any point.

The order of the steps, and why:

1. extract: every page once, cached. The rounds read text; extraction is most of the cost.
2. duplicates: URL, exact, near. Before the rounds, as in the paper: a page that exists a thousand times would be a thousand votes in
   training, in its domain's share and in the token budget. Signatures cost a twentieth of extraction: cheap enough for the whole pool.
3. rounds: train, score, collect, domains (`mining_round.py`), until the collection is the last one's (98 %) or the rounds are used up.
   Between two, with an index of the web, the pages that its mathematical domains hold and the pool does not may be fetched, and join it.
4. corpus: language, boilerplate lines, quality, decontamination, shards, on the collection only (`collected_corpus.py`).
5. problems: question-answer pairs from the corpus's pages.

Resuming is reading: each step has a marker that is written last, and a step without one is done again from the last marker inside it (an
archive, a trained model). The same inputs, settings and random seed give the same bytes in every file but `steps/` and `funnel.json`,
which hold durations. Whatever is done with every file is a task of its own, for this machine's cores or a cluster's (`--on`); this process
only asks questions of the tables that they leave, in memory that does not grow with the corpus.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_pipeline.loop import collected_corpus, mining_round
from data_pipeline.loop.extracted_pages import extracted_files, gathered_pool
from data_pipeline.loop.fetched_pages import joined_by_fetched, own_keys
from data_pipeline.loop.mining_round import Round
from data_pipeline.loop.page_pool import PagePool
from data_pipeline.loop.run_settings import STEPS, Settings, differences, to_mapping
from data_pipeline.loop.seed_pages import Seed, read_seed, refuse_too_small, sort_seed
from data_pipeline.loop.spread_work import Spread
from data_pipeline.loop.step_records import SILENT, Watch, is_done, locked, read_json, recorded, round_folder, write_funnel
from data_pipeline.subjects.named_subject import subject_of
from verifiers.atomic_files import remove_leftovers, write_json
from verifiers.input_error import InputError

CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to."""

    out: Path
    rounds: int
    pool: int
    collected: int
    kept: int
    problems: int
    review: Path | None
    """The patterns file that waits for a person; None when the run is complete."""


def mine(settings: Settings, inputs: Sequence[str], out: Path, *, watch: Watch = SILENT, review: bool = False) -> Outcome:
    """Run the loop, or what is left of it. `review` stops after each round, for a person to edit its patterns; call again to go on."""
    seed_pages = sort_seed(settings)[2]
    refuse_too_small(settings)
    spread = Spread(settings, watch)
    with claimed_folder(out, settings, inputs):
        files = extracted_files(inputs, out / "extracted", settings, watch, out=out)
        seed_files = extracted_files(seed_pages, out / "seed", settings, watch, out=None) if seed_pages else []
        seed = read_seed(settings, out, seed_files)
        keys = own_keys(out, files)
        pool = gathered_pool(out, out, keys, seed, spread)
        _refuse_unusable_pool(pool, settings)
        if idle := seed.idle_hosts(pool):
            watch.note(f"of the seed's hosts, the inputs hold no page of {', '.join(idle)}")
        last, pool = _run_rounds(pool, seed, spread, out, review)
        waits = round_folder(out, last.number) / "patterns.json"
        write_funnel(out)
        if review and not _is_last_round(last, settings, out):
            return Outcome(out, last.number, len(pool), last.collected, 0, 0, waits)
        kept = collected_corpus.write_corpus(pool, last, spread, out)
        problems = collected_corpus.write_problem_file(pool, spread, out)
        write_funnel(out)
    return Outcome(out, last.number, len(pool), last.collected, kept, problems, None)


def _refuse_unusable_pool(pool: PagePool, settings: Settings) -> None:
    if not len(pool):
        raise InputError("the inputs hold no page that extraction keeps; `reckon mine stats OUT` shows the reasons")
    mining_round.check_budget(pool, settings)


def _run_rounds(pool: PagePool, seed: Seed, spread: Spread, out: Path, review: bool) -> tuple[Round, PagePool]:
    """All rounds that are left; with `review`, one. The last one, and the pool that it was over."""
    current, settings = mining_round.BEFORE_ALL, spread.settings
    while not _is_last_round(current, settings, out):
        number = current.number + 1
        name = f"round-{number:02d}"
        if current.number:
            pool = joined_by_fetched(pool, current, seed, spread, out)
        if not (round_folder(out, number) / "figures.json").is_file():
            with recorded(out, name) as record:
                current = mining_round.run_round(pool, seed, current, settings, out, spread, record)
                record.entered, record.kept = len(pool), current.collected
                record.dropped = {"round: not collected": record.entered - record.kept}
            about = subject_of(settings.subject).adjective
            spread.watch.note(_round_in_words(read_json(round_folder(out, number) / "figures.json"), about))
            if review:
                break
        else:
            current = mining_round.load_round(pool, out, number)
    return current, pool


def _is_last_round(current: Round, settings: Settings, out: Path) -> bool:
    """Whether this is the last round."""
    if current.number == 0:
        return False
    return current.number >= settings.rounds or bool(read_json(round_folder(out, current.number) / "figures.json")["settled"])


def _round_in_words(figures: dict[str, Any], about: str) -> str:
    return (
        f"round {figures['round']}: {figures['collected']:,} of {figures['pool']:,} pages ({figures['collected_tokens']:,} tokens) at "
        f"{figures['threshold']:.3f}, {figures['overlap']:.1%} of them in the round before; {figures['domains']} {about} domains, "
        f"{figures['patterns_accepted']} patterns accepted"
    )


# The output folder ----------------------------------------------------------------------------------------------------------------------


@contextmanager
def claimed_folder(out: Path, settings: Settings, inputs: Sequence[str]) -> Iterator[None]:
    """The folder for this run alone. Raises InputError for a folder of another run, or one that a running process holds."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; --out needs a folder")
    out.mkdir(parents=True, exist_ok=True)
    if not (out / CONFIG).is_file() and any(not entry.name.startswith(".") for entry in out.iterdir()):
        raise InputError(f"{out}: holds other files and no {CONFIG}; give --out an empty or a new folder")
    with locked(out / ".lock", f"{out}: another process is mining into it"):
        _write_config(out, {"inputs": list(inputs), "settings": to_mapping(settings)})
        remove_leftovers(out)
        yield


def _write_config(out: Path, now: dict[str, Any]) -> None:
    """Write config.json, unless the folder holds results of other settings."""
    path = out / CONFIG
    if path.is_file():
        try:
            before = json.loads(path.read_text())
            differing = differences(before["settings"], now["settings"], _steps_begun(out))
            if before["inputs"] != now["inputs"] and _steps_begun(out):
                differing = ["inputs", *differing]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: damaged ({error!r:.80}); take another --out") from error
        if differing:
            raise InputError(f"{out}: holds a run with other {', '.join(differing)}; take another --out, or the settings of {path}")
        if before == now:
            return
    write_json(path, now, indent=1)


def _steps_begun(out: Path) -> list[str]:
    """The steps that have left results: their settings may no longer change."""
    begun = {
        "extract": is_done(out, "extract") or any((out / "extracted").glob("*.json")),
        "duplicates": is_done(out, "duplicates"),
        "loop": any((out / "round-01" / name).is_file() for name in ("training.json", "figures.json")),
        "corpus": (out / "corpus" / "manifest.json").is_file(),
    }
    return [step for step in STEPS if begun[step]]
