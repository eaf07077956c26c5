"""All methods from one start with one budget of sampled completions: `python -m benchmarks.compare [--keep FOLDER]`.

SFT, RFT, online RFT, DPO, ORPO, PPO with each critic, and GRPO by outcome, by process, by a reward model and iterated, on the sums of
`benchmarks/recipe/chains.py` with three seeds (`contest.py` says which world and why). Bar: each method is right more often than its
start. The paper's order (RFT < online RFT < GRPO by outcome <= by process) is compared in pairs and said as it comes out. A quarter of
an hour of a core for each seed. With --keep a comparison that was broken off goes on; `--only METHOD --seed S` runs one, and seeds may
run side by side.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.compare.answers import SAMPLES, said
from benchmarks.compare.contest import BESIDE, CONTROL, METHODS, ORDERS, SELECTIONS, START, sums
from benchmarks.compare.intervals import difference, over_seeds, verdict
from benchmarks.compare.picture import draw
from benchmarks.parts import ended
from benchmarks.recipe.methods import Missing, store, trained
from benchmarks.recipe.worlds import World
from verifiers.atomic_files import write_json

STORE = "store"
Found = dict[str, dict[str, Any]]
"""What was measured of each method with one seed."""


def measured(folder: Path, seed: int, methods: Sequence[str]) -> Found:
    """Start, store and methods with one seed; what the folder's results hold already is not measured again. A missing one says why."""
    world, results = sums(folder, seed), folder / "results.json"
    found: Found = json.loads(results.read_text()) if results.exists() else {}
    missing: Found = {}
    for name in (START, STORE, *methods):
        if name in found:
            continue
        try:
            found[name] = _measure(name, world, folder)
        except Missing as reason:
            missing[name] = {"missing": str(reason)}
        else:
            write_json(results, found)
        shown = {key: value for key, value in (found | missing)[name].items() if key != "right"}
        print(f"{world.name}: {name}: {shown}", flush=True)
    return found | missing


def _measure(name: str, world: World, folder: Path) -> dict[str, Any]:
    if name == START:
        return said(world, None)
    if name == STORE:
        return store(world, folder, SELECTIONS).as_json()
    place, spent = trained(name, world, folder, METHODS)
    return said(world, place) | spent


def rows_of(results: Mapping[int, Found], methods: Sequence[str]) -> Found:
    """Means over the seeds with which a method was measured."""
    rows: Found = {}
    for name in (START, *methods):
        own = [found[name] for found in results.values() if "accuracy" in found.get(name, {})]
        if own:
            costs = ("processor_seconds", "sampled_tokens", "trained_tokens")
            mean = {key: round(statistics.fmean(each[key] for each in own), 4) for key in ("lines", "careful", *costs) if key in own[0]}
            greedy = round(statistics.fmean(each["greedy"]["accuracy"] for each in own), 4)
            rows[name] = {"seeds": [each["accuracy"] for each in own], **over_seeds([each["accuracy"] for each in own])}
            rows[name] |= {"wilson": [each["ci95"] for each in own], "greedy": greedy, **mean}
    return rows


def pairs_of(results: Mapping[int, Found], pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Those of which both were measured, over the seeds that have both."""
    told = []
    for one, other in pairs:
        both = [found for found in results.values() if all("right" in found.get(name, {}) for name in (one, other))]
        if both:
            gap = difference([found[one]["right"] for found in both], [found[other]["right"] for found in both], SAMPLES)
            told.append({"one": one, "other": other, **gap, "one_is": verdict(gap)})
    return told


def failures(results: Mapping[int, Found], methods: Sequence[str]) -> list[str]:
    """Methods that are missing, or not right more often than the start with some seed."""
    return [
        f"{name}, seed {seed}: {found[name].get('missing') or 'no better than its start'}"
        for seed, found in results.items() for name in methods
        if name in found and name != CONTROL and found[name].get("accuracy", 0.0) <= found[START]["accuracy"]
    ]  # fmt: skip


def markdown(results: Mapping[int, Found], rows: Found, told: Sequence[dict[str, Any]]) -> str:
    """Two tables: every method, and the pairs."""
    lines = ["| | " + " | ".join(f"seed {seed}" for seed in results) + " | mean | greedy | lines right | sampled | trained | processor s |"]
    lines.append("|---" * (len(results) + 7) + "|")
    for name, row in rows.items():
        cells = [_share(found.get(name, {})) for found in results.values()]
        costs = [f"{row[key]:,.0f}" if key in row else "" for key in ("sampled_tokens", "trained_tokens", "processor_seconds")]
        lines.append(
            f"| {name} | " + " | ".join([*cells, f"{row['mean']:.1%}", f"{row['greedy']:.1%}", f"{row['lines']:.1%}", *costs]) + " |"
        )
    lines += ["", "| | less | points | over seeds | over problems | |", "|---|---|---|---|---|---|"]
    for pair in told:
        ends = [f"{100 * low:+.1f} to {100 * high:+.1f}" for low, high in (pair["over_seeds"].get("ci95", (0, 0)), pair["over_problems"])]
        lines.append(
            f"| {pair['one']} | {pair['other']} | {100 * pair['over_seeds']['mean']:+.1f} | " + " | ".join(ends) + f" | {pair['one_is']} |"
        )
    return "\n".join(lines)


def _share(row: Mapping[str, Any]) -> str:
    if "accuracy" not in row:
        return "missing" if row else "not run"
    low, high = row["ci95"]
    return f"{row['accuracy']:.1%} ({100 * low:.0f} to {100 * high:.0f})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="METHOD", choices=list(METHODS), action="append", help=f"of {', '.join(METHODS)}; repeatable")
    parser.add_argument("--seed", type=int, action="append", help="default: 0, 1 and 2; repeatable")
    parser.add_argument("--keep", type=Path, help="the runs' folder, in which a comparison that was broken off goes on")
    parser.add_argument("--plot", type=Path, help="an SVG to draw")
    given = parser.parse_args()
    methods, results = given.only or list(METHODS), {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.keep or Path(scratch)).resolve()
        for seed in given.seed or (0, 1, 2):
            (folder / f"seed-{seed}").mkdir(parents=True, exist_ok=True)
            results[seed] = measured(folder / f"seed-{seed}", seed, methods)
    rows = rows_of(results, methods)
    order = pairs_of(results, [(later, earlier) for names in ORDERS for earlier, later in pairwise(names)])
    told = pairs_of(results, BESIDE)
    print(markdown(results, rows, told))
    if given.plot:
        draw(rows, given.plot)
    said_of_order = {f"{pair['one']} over {pair['other']}": pair["one_is"] for pair in order}
    return ended({"methods": rows, "order": said_of_order, "pairs": told, "store": {s: f.get(STORE) for s, f in results.items()}},
                 failures(results, methods))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
