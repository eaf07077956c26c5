"""WARP's front against a single policy's, reward at equal KL: `python -m benchmarks.warp [--seeds 0 1 2] [--steps 20]`.

The quickstart's tiny model after its warm start. WARP: rounds of policies merged by slerp, then points on the way from the start to what
was merged. Against it one policy of the same options (the KL to its own moving average too), trained for as many steps as all of WARP's
policies together, and sampled on its way. Each point is the mean reward and KL(policy || start) of samples on held-out problems, with
standard errors. At the KL of each of WARP's points the single policy's reward is read off between its own points (or its best below); the
difference is averaged over points and seeds. A front dominates where it is better on average, and at no point worse by more than two
standard errors. An hour or more; `--seeds 0 --steps 5 --problems-per-step 16` shows that it runs.
"""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.parts import ended
from benchmarks.recipe.pace import completed
from benchmarks.recipe.worlds import RECKON, World, tiny

Point = dict[str, Any]
"""reward, reward_error, kl, kl_error, ... of one policy."""


@dataclass(frozen=True)
class Sizes:
    """How much is trained and measured."""

    rounds: int
    policies: int
    steps: int
    """Of each policy of a round."""
    problems: int
    """Problems a step."""
    completions: int
    held_out: int
    """Problems that a policy is measured on."""

    @property
    def budget(self) -> int:
        """Steps of all policies together."""
        return self.rounds * self.policies * self.steps


def options(world: World, sizes: Sizes) -> list[str]:
    """What WARP's policies and the single one are trained with."""
    online = ["--problems-per-step", str(sizes.problems), "--completions-per-problem", str(sizes.completions), "--lr", "3e-4"]
    return [*world.tune, *world.sampling, *online, "--kl-coef", "0.04", "--reference", "ema", "--ema-decay", "0.9", "--warmup", "5"]


def warp_front(world: World, folder: Path, sizes: Sizes) -> list[Point]:
    """By `reckon warp`, its own measure of its last round."""
    run = folder / "warp"
    words = ["warp", "--model", world.model, "--data", str(world.train), "--eval-data", str(world.held_out), *options(world, sizes)]
    shape = ["--rounds", str(sizes.rounds), "--policies", str(sizes.policies), "--steps", str(sizes.steps)]
    measured = ["--front", "0", "0.2", "0.4", "0.6", "0.8", "1", "--front-problems", str(sizes.held_out)]
    completed([*RECKON, *words, *shape, *measured, "--seed", str(world.seed), "--run", str(run), "--overwrite"], folder / "warp.log")
    return list(json.loads((run / f"round-{sizes.rounds:02d}" / "front.json").read_text()))


def single_front(world: World, folder: Path, sizes: Sizes, points: int = 6) -> list[Point]:
    """One policy, sampled so often on its way to the same budget of steps."""
    run, found = folder / "single", []
    for number in range(1, points + 1):
        steps = max(number, sizes.budget * number // points)
        if number == 1:
            words = ["--model", world.model, "--data", str(world.train), *options(world, sizes), "--seed", str(world.seed)]
            words += ["--run", str(run), "--overwrite"]
        else:
            words = ["--resume", str(run)]
        completed([*RECKON, "grpo-math", *words, "--steps", str(steps)], folder / f"single-{number}.log")
        found.append({"name": f"step-{steps}", **measured(world, folder / f"single-samples-{number}", run / "final", sizes)})
    return found


def measured(world: World, samples: Path, model: Path, sizes: Sizes) -> Point:
    """As WARP measures its own points."""
    from transformers import AutoModelForCausalLM

    from rl.learning.policy import Policy
    from rl.loop.drift import drift

    words = ["--model", str(model), "--data", str(world.held_out), "--limit", str(sizes.held_out), *world.sampling]
    words += ["--completions-per-problem", str(sizes.completions), "--seed", str(world.seed), "--run", str(samples), "--overwrite"]
    completed([*RECKON, "sample", *words], samples.with_suffix(".log"))
    start = Policy(AutoModelForCausalLM.from_pretrained(world.model, trust_remote_code=False), device="cpu")
    return dict(drift(samples / "rollouts", start).as_json())


def at_equal_kl(kl: float, points: Sequence[Point]) -> tuple[float, float]:
    """(reward, its standard error) of a front at a KL: between its points in a straight line; beyond its last, the best that it has."""
    line = sorted(points, key=lambda point: point["kl"])
    if kl >= line[-1]["kl"]:
        best = max(line, key=lambda point: point["reward"])
        return best["reward"], best["reward_error"]
    above = next(n for n, point in enumerate(line) if point["kl"] > kl)
    if above == 0:
        return line[0]["reward"], line[0]["reward_error"]
    low, high = line[above - 1], line[above]
    share = (kl - low["kl"]) / (high["kl"] - low["kl"])
    return tuple((1 - share) * low[name] + share * high[name] for name in ("reward", "reward_error"))  # type: ignore[return-value]


def compared(warp: Sequence[Point], single: Sequence[Point]) -> dict[str, Any]:
    """WARP's points against the single policy at the same KL; both begin at the start."""
    line = [point for point in warp if point["eta"] is not None]
    start = next(point for point in line if point["eta"] == 0)
    rows = []
    for point in line:
        if point["eta"] > 0:
            reward, error = at_equal_kl(point["kl"], [start, *single])
            noise = math.hypot(error, point["reward_error"])
            rows.append(
                {"eta": point["eta"], "kl": point["kl"], "warp": point["reward"], "single": round(reward, 4), "error": round(noise, 4)}
            )
    gains = [row["warp"] - row["single"] for row in rows]
    return {
        "points": rows,
        "difference": round(statistics.fmean(gains), 4),
        "dominates": all(gain > -2 * row["error"] for gain, row in zip(gains, rows, strict=True)) and statistics.fmean(gains) > 0,
        "best": {"warp": max(point["reward"] for point in line), "single": max(point["reward"] for point in single)},
    }


def draw(results: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel a seed: both fronts with standard errors."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    mpl.rcParams |= {"svg.hashsalt": "warp", "svg.fonttype": "none"}
    figure, panels = plt.subplots(
        1, len(results), figsize=(1.5 + 3.2 * len(results), 3.2), sharey=True, layout="constrained", squeeze=False
    )
    for axes, result in zip(panels[0], results, strict=True):
        line = [point for point in result["warp"] if point["eta"] is not None]
        start = [point for point in line if point["eta"] == 0]
        for points, style, name, colour in (
            (sorted(line, key=lambda p: p["eta"]), "o-", "WARP, eta 0 to 1", "#1f4e8c"),
            ([point for point in result["warp"] if point["eta"] is None], "s", "its last policies", "#7a9cc6"),
            ([*start, *result["single"]], "^-", "one policy, on its way", "#b5382a"),
        ):
            values = [[point[key] for point in points] for key in ("kl", "reward", "reward_error", "kl_error")]
            axes.errorbar(*values, style, label=name, color=colour, markersize=4, linewidth=1, capsize=2)
        axes.set_title(f"seed {result['seed']}", fontsize=10)
        axes.set_xlabel("KL to the start, nats", fontsize=8)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0][0].set_ylabel("reward")
    panels[0][-1].legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(path, format="svg", metadata={"Date": None})
    plt.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    for name, default in (("rounds", 2), ("policies", 2), ("steps", 20), ("problems-per-step", 32), ("completions", 8), ("held-out", 200)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--folder", type=Path, help="keep everything there")
    parser.add_argument("--picture", type=Path, help="draw the fronts there (SVG)")
    given = parser.parse_args()
    sizes = Sizes(given.rounds, given.policies, given.steps, given.problems_per_step, given.completions, given.held_out)
    results = []
    with TemporaryDirectory() as temporary:
        for seed in given.seeds:
            folder = (given.folder or Path(temporary)) / f"seed-{seed}"
            world = tiny(folder, seed)
            warp, single = warp_front(world, folder, sizes), single_front(world, folder, sizes)
            results.append({"seed": seed, "warp": warp, "single": single, **compared(warp, single)})
            print(json.dumps({name: value for name, value in results[-1].items() if name not in ("warp", "single")}), flush=True)
    if given.picture:
        draw(results, given.picture)
    differences = [result["difference"] for result in results]
    spread = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else None
    result = {
        "difference": round(statistics.fmean(differences), 4), "error_over_seeds": spread and round(spread, 4),
        "dominates": [each["dominates"] for each in results], "steps_of_all": sizes.budget, "seeds": results,
    }  # fmt: skip
    return ended(result, [] if all(result["dominates"]) else ["dominates"])


if __name__ == "__main__":
    sys.exit(main())
