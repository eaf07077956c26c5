"""A step at its limits, against TRL in the same run: `python -m benchmarks.update --cases NAME ... [--model FOLDER]`.

Cases, each with a bar: `gradients` (against padded sequences and whole logits), `head` (its memory), `tails`, `dead`, `uniform` (updates
of a made-up model on made-up rollouts), `quickstart`, and with SmolLM2-135M-Instruct at `--model` `sft`, `dpo`, `short`, `long` (whole
steps). Both sides run at the same time, each in a process of its own on a core and a thread of its own; seconds are of processor time,
memory is the most resident. With a GPU, `--gpu` measures the update there and writes `benchmarks/results/` (`on_gpu.py`);
`--gpu --device cpu --shapes tiny --lengths 64 --tokens 1024` tries it anywhere.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.parts import ended, report
from benchmarks.recipe.additions import checked_model
from benchmarks.update.gradients import worst_differences
from benchmarks.update.head import head_gigabytes
from benchmarks.update.offline import OFFLINE, measured_offline
from benchmarks.update.on_gpu import LENGTHS, RESULTS, SHAPES, measure_all
from benchmarks.update.steps import STEPS, measured_quickstart, measured_steps, quickstart_holds
from benchmarks.update.updates import UPDATES, measured_update

NO_MODEL = ("gradients", "head", *UPDATES, "quickstart")
DEFAULT_STEPS = dict.fromkeys(UPDATES, 2) | {"quickstart": 5, "short": 10, "long": 2}
BARS: dict[str, Callable[[Any], bool]] = {
    "gradients": lambda worst: max(worst.values()) <= 1e-5,
    "head": lambda sizes: max(sizes.values()) <= 1.5,
    "quickstart": quickstart_holds,
    **{name: case.holds for name, case in {**UPDATES, **OFFLINE, **STEPS}.items()},
}


def _measure(name: str, folder: Path, model: str, steps: int) -> Any:
    if name == "gradients":
        return worst_differences()
    if name == "head":
        return head_gigabytes()
    if name in UPDATES:
        return measured_update(UPDATES[name], folder, steps)
    if name in OFFLINE:
        return measured_offline(name, OFFLINE[name], model, folder)
    if name in STEPS:
        return measured_steps(STEPS[name], model, steps, folder)
    return measured_quickstart(steps, folder)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="*", choices=list(BARS), help="default: all, without --model those that need none")
    parser.add_argument("--model", help="folder of SmolLM2-135M-Instruct")
    parser.add_argument("--steps", type=int, help="steps of each case that has them")
    parser.add_argument("--keep", type=Path, help="a new folder for the runs (default: a temporary one)")
    parser.add_argument("--gpu", action="store_true", help="the update on a GPU instead")
    parser.add_argument("--device", default="cuda", help="with --gpu (default: cuda)")
    parser.add_argument("--shapes", nargs="+", choices=list(SHAPES), default=["0.5B", "1.5B"], help="with --gpu")
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS, help="with --gpu: tokens of a sequence")
    parser.add_argument("--tokens", type=int, default=131_072, help="with --gpu: of a step, about")
    parser.add_argument("--results", type=Path, default=RESULTS, help="with --gpu: where its file goes")
    given = parser.parse_args(arguments)
    if given.gpu:
        found = measure_all(given.device, given.shapes, given.lengths, given.tokens, results=given.results)
        return ended(found, [row for row in found["rows"] if row.get("out_of_memory")])
    cases = given.cases or (list(BARS) if given.model else list(NO_MODEL))
    model = checked_model(given.model) if set(cases) - set(NO_MODEL) else ""
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in cases:
            steps = given.steps or DEFAULT_STEPS.get(name, 1)
            result[name] = _measure(name, (given.keep or Path(scratch)) / name, model, steps)
            print(f"{name}: {result[name]}", file=sys.stderr, flush=True)
    return report(result, BARS)


if __name__ == "__main__":
    sys.exit(main())
