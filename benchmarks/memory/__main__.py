"""Memory: what `reckon plan` says against what is taken, and what each option saves: `python -m benchmarks.memory --model FOLDER [--plan]`.

Without --plan: SFT of a Llama of 33M numbers as it is and with each option, in fresh processes: memory over what is loaded when training
begins (the kernel's high-water mark of resident memory), its share of what it is compared with, seconds of processor time.

With --plan: ten configurations, `reckon plan`'s peak against the process's own, both over what is loaded. Bar: each within 15 %.

Measured with glibc told to give freed memory back at once (MALLOC_MMAP_THRESHOLD_=65536); a plan's last column is the same run with its
default, which keeps blocks of up to 32 MB for later.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks.parts import report
from benchmarks.recipe.additions import checked_model

CLOSE = 0.15


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of SmolLM2-135M-Instruct")
    parser.add_argument("--plan", action="store_true", help="compare plans with runs")
    parser.add_argument("--only", default="", help="configurations whose name has this in it")
    given = parser.parse_args()
    real = checked_model(given.model)
    from benchmarks.memory.planned import compared
    from benchmarks.memory.savings import measured
    from benchmarks.memory.worlds import make_world

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        world = make_world(folder, real)
        if not given.plan:
            return report({"savings": measured(world, folder, given.only)}, {})
        found = compared(world, folder, given.only)
    worst = max(abs(each["off"]) for each in found.values())
    result = {
        "plan_worst": round(worst, 3),
        "plan": {
            name: {key: round(value / 2**20, 1) if key != "off" else round(value, 3) for key, value in each.items()}
            for name, each in found.items()
        },
    }
    return report(result, {"plan_worst": lambda value: value <= CLOSE})


if __name__ == "__main__":
    sys.exit(main())
