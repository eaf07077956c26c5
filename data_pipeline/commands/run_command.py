"""`reckon mine run` and `reckon mine demo`."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

from data_pipeline.commands.command_options import Parser, add_fields, with_fields
from data_pipeline.commands.demo_pages import SEED_HOST
from data_pipeline.commands.demo_web import BENCHMARK, write_web
from data_pipeline.commands.terminal_output import Progress, funnel_table, rounds_table
from data_pipeline.loop.mining_run import Outcome, mine
from data_pipeline.loop.run_settings import Configured, Settings, read_config
from data_pipeline.reports.run_report import write_report
from verifiers.input_error import InputError


def run(arguments: Sequence[str]) -> int:
    parser = Parser("run", "The whole loop, from archives to a corpus and problems. A run that was stopped goes on when called again.")
    parser.add_argument("inputs", nargs="*", help="a configuration (.toml, .json), or archives, pages, folders, globs, lists of paths")
    parser.add_argument("--out", type=Path, help='the run\'s folder (or out = "DIR" in the configuration)')
    parser.add_argument("--review", action="store_true", help="stop after each round for a person to edit patterns.json")
    add_fields(parser)
    values = parser.parse(arguments)
    settings, inputs, out = _configured(values.inputs)
    settings = with_fields(settings, values)
    if not inputs:
        raise InputError("no inputs; give archives, pages or folders, or a configuration file that names its inputs")
    folder = values.out or out
    if folder is None:
        raise InputError("no folder for the run; give --out DIR, or a configuration file that names its out")
    return _mine(settings, inputs, folder, review=values.review)


def _configured(inputs: Sequence[str]) -> Configured:
    """A configuration file among the inputs, with the other inputs (the file's own where there are none)."""
    configs = [name for name in inputs if name.endswith((".toml", ".json"))]
    others = [name for name in inputs if name not in configs]
    if len(configs) > 1:
        raise InputError(f"{len(configs)} configurations ({', '.join(configs)}); give one")
    if not configs:
        return Configured(Settings(), others, None)
    found = read_config(Path(configs[0]))
    return found._replace(inputs=others or found.inputs)


def _mine(settings: Settings, inputs: Sequence[str], out: Path, *, review: bool = False) -> int:
    start = time.monotonic()
    outcome = mine(settings, inputs, out, watch=Progress(), review=review)
    print("\n".join([*funnel_table(out), "", *rounds_table(out), "", *_ending(outcome, time.monotonic() - start)]))
    return 0


def _ending(outcome: Outcome, seconds: float) -> list[str]:
    if outcome.review:
        return [
            f"Round {outcome.rounds} waits for you: set 'accept' to true or false in {outcome.review}, then give the same command again."
        ]
    found = f"{outcome.problems:,} problems in {outcome.out / 'problems.jsonl'}"
    lines = [f"{outcome.kept:,} documents in {outcome.out / 'corpus'}, {found} ({seconds:.0f} s)"]
    return [*lines, f"report: {write_report(outcome.out)}"]


def demo(arguments: Sequence[str]) -> int:
    parser = Parser("demo", "Two rounds of the loop on a small made-up web: what a run does and what it leaves, in under a minute.")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("mine-demo"),
        help="folder of the web and of the run; an earlier demo there is replaced (default: mine-demo)",
    )
    out = parser.parse(arguments).out
    _clear(out)
    inputs = [str(archive) for archive in write_web(out / "web")]
    benchmark = str(out / "web" / BENCHMARK)
    settings = Settings(seed_domains=(SEED_HOST,), preset="small", rounds=2, stop_overlap=1.0, benchmarks=(benchmark,))
    (out / "run").mkdir()
    print(f"a made-up web of {len(inputs)} archives: {out / 'web'}; the seed is one site of it, {settings.seed_domains[0]}")
    return _mine(settings, inputs, out / "run")


def _clear(out: Path) -> None:
    """Remove an earlier demo; refuses a folder that is something else."""
    if not out.exists():
        return
    if not out.is_dir() or {entry.name for entry in out.iterdir()} - {"web", "run"}:
        raise InputError(f"{out}: holds something else than a demo; give another --out")
    shutil.rmtree(out)
