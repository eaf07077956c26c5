"""Draws the pictures of the viewer, in a Chromium of the system: `python -m docs.draw_viewer runs/seed-0 runs/seed-1 runs/seed-2`.

Made with the quickstart's runs, which `for s in 0 1 2; do reckon quickstart --seed $s --run runs/seed-$s; done` leaves.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from benchmarks.viewer import browser
from recipes.commands.cli import main as reckon

FOLDER = Path(__file__).parent
SIZE = {"width": 1180, "height": 700}


def draw(runs: Sequence[str], folder: Path = FOLDER) -> None:
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        every, one = Path(place) / "all", Path(place) / "one"
        if reckon(["view", *runs, "--out", str(every)]) or reckon(["view", runs[0], "--explain", "600", "--out", str(one)]):
            raise SystemExit(2)
        chromium = browser(playwright)
        curves = _opened(chromium, every, "light")
        curves.wait_for_selector(".chart >> nth=5 >> canvas")
        _save(curves, folder / "viewer-curves.png")
        tokens = _opened(chromium, one, "dark")
        tokens.click("[data-tab=rollouts]")
        tokens.select_option("[name=set]", label="train")
        tokens.fill("[name=stepFrom]", "20")
        tokens.select_option("[name=status]", label="wrong")
        tokens.wait_for_timeout(1000)
        tokens.click(".rollout >> nth=2")
        tokens.wait_for_selector(".card")
        tokens.click("[data-as=tokens]")
        tokens.hover(".card >> nth=2 >> .token >> nth=3")
        _save(tokens, folder / "viewer-tokens.png")
        problem = _opened(chromium, one, "light")
        problem.click("[data-tab=problems]")
        problem.click(".rollout >> nth=1")
        problem.wait_for_selector(".pair .card")
        _save(problem, folder / "viewer-problem.png")
        chromium.close()


def _opened(chromium: Any, folder: Path, scheme: str) -> Any:
    page = chromium.new_page(viewport=SIZE, color_scheme=scheme)
    page.goto((folder / "index.html").resolve().as_uri())
    page.wait_for_selector("html[data-ready]")
    return page


def _save(page: Any, path: Path) -> None:
    """With few colours: a third of the bytes."""
    page.screenshot(path=path)
    Image.open(path).convert("RGB").quantize(160, dither=Image.Dither.NONE).save(path, optimize=True)


if __name__ == "__main__":
    draw(sys.argv[1:])
