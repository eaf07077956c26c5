"""How quickly does the page of a large run open and filter? `python -m benchmarks.viewer --rollouts 200000`

Makes a run with so many rollouts (of 20 to 200 tokens, with all numbers of tokens, LaTeX problems, parts of rewards and a held-out set),
writes its page, and opens it in the system's Chromium from disk. The bar: open in less than 3 seconds, every filter in less than 0.3.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from recipes.commands.cli import main as reckon
from recipes.setup.arithmetic import make_model, make_tokenizer, save
from rl.runs.run_folder import RunFolder, append_line
from rollout.engine import Completion
from rollout.player import Group
from rollout.store import Source
from verifiers.problem import Problem, make_problem
from verifiers.verdict import Status, Verdict

BAR_OPEN, BAR_FILTER = 3.0, 0.3
PROBLEMS = 5000
FILTERS = (
    {"status": "0"}, {"status": "1", "longer": "100"}, {"problem": "f(7)"}, {"part": "0", "above": "0.5", "order": "-length"},
    {"stepFrom": "10", "stepTo": "20", "order": "score"}, {},
)  # fmt: skip

FILTER = """(asked) => {
  const began = performance.now();
  reckon.filtered(reckon.view, { ...reckon.nothing, ...asked });
  return performance.now() - began;
}"""


def make_run(
    path: Path, *, steps: int, groups: int = 32, completions: int = 16, tokens: tuple[int, int] = (20, 200), seed: int = 0
) -> Path:
    """A run with `steps` * `groups` * `completions` rollouts that nobody sampled, its numbers and a tokenizer."""
    draw, tokenizer = random.Random(seed), make_tokenizer()
    run = RunFolder.create(path, {"options": {"algorithm": {"name": "grpo"}, "lr": 1e-6, "steps": steps, "seed": seed, "run": str(path)}})
    run.rollouts.source = Source(str(path), "", False, 1.0)
    problems = [_problem(number) for number in range(PROBLEMS)]
    for step in range(steps + 1):
        skill = 0.2 + 0.6 * step / max(1, steps)
        if step:
            drawn = [_group(draw.choice(problems), tokenizer, draw, completions, tokens, skill) for _ in range(groups)]
            run.rollouts.write(step, drawn, cursor=step * groups)
            run.tokens.write(step, *_token_numbers(drawn, step))
        if step % max(1, steps // 8) == 0:
            asked = [_group(problem, tokenizer, draw, 1, tokens, skill) for problem in problems[:100]]
            run.held_out().write(step, asked, cursor=0)
        append_line(run.metrics_path, dict(_numbers(step, skill, draw)))
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder), make_model(len(tokenizer), hidden=16, layers=1), tokenizer)
        shutil.copytree(folder, path / "final")
    run.write_manifest(status="done", step=steps)
    run.close()
    return path


def _problem(number: int) -> Problem:
    return make_problem(rf"Let $f(x) = \frac{{x^{number % 9}}}{{{number + 2}}}$. What is $f({number % 13})$?", str(number % 13))


def _group(problem: Problem, tokenizer: Any, draw: random.Random, count: int, tokens: tuple[int, int], skill: float) -> Group:
    drawn = [[draw.randrange(2, len(tokenizer)) for _ in range(draw.randint(*tokens))] for _ in range(count)]
    completions = tuple(_completion(each, draw, most=tokens[1]) for each in drawn)
    verdicts = tuple(_verdict(draw, skill) for _ in drawn)
    return Group(problem, tokenizer.encode("1+1=", add_special_tokens=False), completions, tuple(tokenizer.batch_decode(drawn)), verdicts)


def _completion(tokens: list[int], draw: random.Random, *, most: int) -> Completion:
    said = [-(draw.random() ** 4) for _ in tokens]
    return Completion(tokens, said, [True] * len(tokens), "length" if len(tokens) == most else "stop", 0)


def _verdict(draw: random.Random, skill: float) -> Verdict:
    if draw.random() < 0.01:
        return Verdict(None, Status.TIMEOUT, "no verdict within 10 s")
    right, formatted = draw.random() < skill, float(draw.random() < 0.7)
    detail = "boxed: '7' equals '7'" if right else "boxed: '3' is not '7'"
    return Verdict(
        0.9 * right + 0.1 * formatted, Status.RIGHT if right else Status.WRONG, detail, {"format": formatted, "answer": float(right)}
    )


def _token_numbers(groups: Sequence[Group], seed: int) -> tuple[list[int], dict[str, np.ndarray]]:
    drawn = np.random.default_rng(seed)
    lengths = [len(completion.tokens) for group in groups for completion in group.completions]
    total = sum(lengths)
    found = {
        "advantage": np.repeat(drawn.normal(size=len(lengths)), lengths),
        "trains": np.ones(total, np.bool_),
        "entropy": drawn.exponential(0.5, total),
        "log_ratio": drawn.normal(0, 0.1, total),
        "value": drawn.random(total),
    }
    return lengths, {name: column if name == "trains" else column.astype(np.float32) for name, column in found.items()}


def _numbers(step: int, skill: float, draw: random.Random) -> Iterator[tuple[str, float]]:
    yield "step", step
    if step:
        yield from (
            ("reward", skill + draw.gauss(0, 0.03)),
            ("accuracy", skill),
            ("length", 110.0),
            ("entropy", 1.0 - skill),
            ("groups_mixed", 0.8),
        )
    yield from (("eval/accuracy", skill), ("eval/low", skill - 0.08), ("eval/high", skill + 0.08))


def browser(playwright: Any) -> Any:
    """The system's Chromium. Raises RuntimeError where there is none."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        raise RuntimeError("no Chromium is installed (Debian: apt-get install chromium)")
    return playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])  # it is often root's, in a container


def measured(chromium: Any, page_file: Path) -> dict[str, Any]:
    """Seconds of a page, and how many requests left it."""
    page = chromium.new_page()
    outside: list[str] = []
    page.on("request", lambda request: outside.append(request.url) if not request.url.startswith("file:") else None)
    began = time.perf_counter()
    page.goto(page_file.resolve().as_uri())
    page.wait_for_selector("html[data-ready]", timeout=120_000)
    opened = time.perf_counter() - began
    page.click("[data-tab=rollouts]")
    page.wait_for_selector(".rollout")
    count = page.evaluate("reckon.view.count")
    filters = [page.evaluate(FILTER, asked) / 1000 for asked in FILTERS]
    shown = []
    for status in ("0", "1", ""):
        page.select_option("[name=status]", status)
        shown.append(page.evaluate("new Promise((done) => requestAnimationFrame(() => done(reckon.filterTook)))") / 1000)
    began = time.perf_counter()
    page.click(".rollout >> nth=3")
    page.wait_for_selector(".card")
    group = time.perf_counter() - began
    page.close()
    return {
        "rollouts": count, "open_seconds": round(opened, 2), "filter_seconds": round(max(filters), 3),
        "filter_and_list_seconds": round(max(shown), 3), "group_seconds": round(group, 2), "requests_outside": len(outside),
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rollouts", type=int, default=200_000)
    parser.add_argument("--keep", type=Path, help="make the run here, and leave it")
    arguments = parser.parse_args()
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        run = arguments.keep or Path(folder) / "run"
        if not run.exists():
            make_run(run, steps=max(1, round(arguments.rollouts / 512)))
        began = time.perf_counter()
        if reckon(["view", str(run)]):
            return 1
        built = time.perf_counter() - began
        size = sum(file.stat().st_size for file in (run / "view").rglob("*") if file.is_file())
        with sync_playwright() as playwright:
            found = measured(browser(playwright), run / "view" / "index.html")
        result = {**found, "build_seconds": round(built, 1), "megabytes": round(size / 2**20, 1)}
    passed = result["open_seconds"] < BAR_OPEN and result["filter_and_list_seconds"] < BAR_FILTER and not result["requests_outside"]
    print(f"RESULT {json.dumps({'passed': passed, **result})}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
