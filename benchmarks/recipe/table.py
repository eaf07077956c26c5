"""SFT, RFT, online RFT, DPO, ORPO, KTO and GRPO from one start and one store: `python -m benchmarks.recipe.table [--model FOLDER]`.

On the quickstart's tiny model with three seeds, and with --model on SmolLM2-135M-Instruct. `reckon sample` makes the store, `reckon data`
selects from it what SFT, DPO, ORPO and KTO train on; RFT, online RFT and GRPO sample for themselves. All are judged on the same held-out
problems by `held_out.py`. The bar: each beats its start. A method that cannot be run is named, with the reason, and fails it.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.parts import ended
from benchmarks.recipe.additions import checked_model
from benchmarks.recipe.held_out import judged
from benchmarks.recipe.methods import METHODS, Missing, store, trained
from benchmarks.recipe.picture import draw
from benchmarks.recipe.worlds import World, real, tiny
from verifiers.atomic_files import write_json


def compared(world: World, folder: Path, methods: Sequence[str]) -> dict[str, Any]:
    """The start, the store and each method, measured. What the folder's results hold already is not measured again."""
    asked: dict[str, Any] = {"system": world.system, "max_tokens": world.max_tokens}
    results = folder / "results.json"
    found: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    measures: dict[str, Callable[[], dict[str, Any]]] = {
        "start": lambda: judged(world.model, None, world.held_out, **asked),
        "store": lambda: store(world, folder).as_json(),
    }

    def by(method: str) -> dict[str, Any]:
        left, spent = trained(method, world, folder)
        return judged(world.model, left, world.held_out, **asked) | spent

    for name, measure in {**measures, **{method: partial(by, method) for method in methods}}.items():
        if name in found:
            continue
        try:
            found[name] = measure()
        except Missing as missing:
            found[name] = {"missing": str(missing)}
        else:
            write_json(results, {name: row for name, row in found.items() if "missing" not in row})
        print(f"{world.name}: {name}: {found[name]}", flush=True)
    return found


def failures(results: dict[str, dict[str, Any]], methods: Sequence[str]) -> list[str]:
    """Methods that are missing, or no better than their start."""
    return [
        f"{method}, {world}: {found[method].get('missing') or 'no better than its start'}"
        for world, found in results.items()
        for method in methods
        if found[method].get("accuracy", 0.0) <= found["start"]["accuracy"]
    ]


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """A table: accuracy with its interval for each world, and what the method took in the last of them."""
    lines = ["| | " + " | ".join(results) + " |", "|---" * (len(results) + 1) + "|"]
    for name in ("start", *METHODS):
        lines.append(f"| {name} | " + " | ".join(_cell(found.get(name, {})) for found in results.values()) + " |")
    return "\n".join(lines)


def _cell(row: dict[str, Any]) -> str:
    if "accuracy" not in row:
        return "not run" if not row else "missing"
    low, high = row["ci95"]
    cost = f", {row['processor_seconds']:.0f} s" if "processor_seconds" in row else ""
    return f"{row['accuracy']:.1%} ({low:.0%} to {high:.0%}){cost}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of SmolLM2-135M-Instruct, for the second half")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="of the tiny model")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--plot", type=Path, help="an SVG to draw")
    parser.add_argument("--keep", type=Path, help="the runs' folder, in which a broken off comparison goes on (default: a temporary one)")
    given = parser.parse_args()
    model = checked_model(given.model) if given.model else None
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.keep or Path(scratch)).resolve()
        worlds = [lambda seed=seed: tiny(folder / f"tiny-{seed}", seed) for seed in given.seeds]
        worlds += [lambda: real(folder / "smollm2", 0, model)] if model else []
        for make in worlds:
            world = make()
            results[world.name] = compared(world, world.train.parent, given.methods)
    print(markdown(results))
    if given.plot:
        draw(results, given.plot)
    missing = [] if model else ["SmolLM2-135M: give --model"]
    return ended({"not_measured": missing} | results, failures(results, given.methods))


if __name__ == "__main__":
    sys.exit(main())
