"""The recipe of the papers, measured: `python -m benchmarks.recipe --model FOLDER [--only ...]`.

Runs, each in a process of its own: `recipe_preference_memory` (what a reference costs), `recipe_grpo_peer` (a real model by GRPO, here and
in TRL), `recipe_table` (SFT, RFT, online RFT, DPO, ORPO, KTO and GRPO from one start and one store). FOLDER holds SmolLM2-135M-Instruct.
Time nothing else meanwhile. What cannot run here is named under `not_measured`.
"""

import argparse
import sys
from typing import Any

from benchmarks.parts import benchmark, ended, verdict

PARTS = ("recipe_preference_memory", "recipe_grpo_peer", "recipe_table")
NEED_A_MODEL = frozenset(("recipe_preference_memory", "recipe_grpo_peer"))
LONGEST = 4 * 3600.0  # seconds of one part


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="folder of SmolLM2-135M-Instruct")
    parser.add_argument("--only", choices=PARTS, action="append", help="run only this part (may be given several times)")
    given = parser.parse_args()
    result: dict[str, dict[str, Any]] = {}
    for name in given.only or PARTS:
        if given.model or name not in NEED_A_MODEL:
            words = ["--model", given.model] if given.model else []
            result[name] = benchmark(name.replace("_", ".", 1), words, longest=LONGEST)
    missing = [f"{name}: {what}" for name, part in result.items() for what in part.get("not_measured", [])]
    missing += [f"{name}: left out by --only, or --model is missing" for name in PARTS if name not in result]
    for name, part in result.items():
        print(f"{name:18} {verdict(part)}")
    failed = [name for name, part in result.items() if not part.get("passed")]
    return ended({"not_measured": missing} | result, failed)


if __name__ == "__main__":
    sys.exit(main())
