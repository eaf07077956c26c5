"""Draws docs/data_flow.svg: how a problem becomes a step. `python -m docs.draw_flow`.

Boxes are what is handed on, arrows who makes it; the file each arrow names is where to read. Colours suit light pages and dark ones.
"""

from collections.abc import Iterator
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 966, 480
BOX_WIDTH, BOX_HEIGHT = 172, 58
BOXES = {  # name -> (left, top, what is under the name)
    "Web pages": (10, 20, "WARC, HTML"),
    "Problems": (268, 20, "prompts and golds"),
    "Completions": (526, 20, "P x G, log-probabilities"),
    "Verdicts": (784, 20, "right, wrong, or none"),
    "Groups": (784, 150, "kept in RUN/rollouts"),
    "Batch": (526, 150, "tokens end to end"),
    "Credit": (526, 280, "an advantage for each token"),
    "Objective": (784, 280, "a loss and a weight"),
    "Policy": (268, 280, "adapter or all weights"),
    "Written data": (268, 150, "solutions, pairs, labels"),
    "Figures": (10, 280, "accuracy with its interval"),
    "final/": (268, 400, "model, tokenizer, model card"),
}
ARROWS = [  # from, to, what does it
    ("Web pages", "Problems", "reckon mine"),
    ("Problems", "Completions", "engine"),
    ("Completions", "Verdicts", "verifiers"),
    ("Verdicts", "Groups", "player"),
    ("Groups", "Batch", "lay out"),
    ("Batch", "Credit", "algorithm"),
    ("Credit", "Policy", "update"),
    ("Objective", "Credit", "with"),
    ("Written data", "Policy", "sft, dpo, ..."),
    ("Policy", "Figures", "reckon eval"),
    ("Policy", "final/", "at the end"),
]
SYNC = "M 268 296 C 205 270, 205 112, 330 112 L 560 112 C 600 112, 612 105, 612 80"
STORE = "M 784 200 C 730 245, 520 245, 444 202"


def centre(name: str) -> tuple[float, float]:
    left, top, _ = BOXES[name]
    return left + BOX_WIDTH / 2, top + BOX_HEIGHT / 2


def edge(start: str, end: str) -> tuple[float, float, float, float]:
    """From the border of one box to that of the other, along the axis on which they differ."""
    (x, y), (u, v) = centre(start), centre(end)
    if abs(u - x) > abs(v - y):
        side = 1 if u > x else -1
        return x + side * BOX_WIDTH / 2, y, u - side * BOX_WIDTH / 2, v
    side = 1 if v > y else -1
    return x, y + side * BOX_HEIGHT / 2, u, v - side * BOX_HEIGHT / 2


def shapes() -> Iterator[str]:
    for name, (left, top, below) in BOXES.items():
        middle = left + BOX_WIDTH / 2
        yield f'<rect x="{left}" y="{top}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="8"/>'
        yield f'<text class="name" x="{middle:g}" y="{top + 24}">{escape(name)}</text>'
        yield f'<text class="small" x="{middle:g}" y="{top + 43}">{escape(below)}</text>'
    for start, end, what in ARROWS:
        x, y, u, v = edge(start, end)
        yield f'<path d="M {x:g} {y:g} L {u:g} {v:g}"/>'
        across = abs(u - x) > abs(v - y)
        shift = (0, -6) if across else (8, 4)
        anchor = "middle" if across else "start"
        place = f'x="{(x + u) / 2 + shift[0]:g}" y="{(y + v) / 2 + shift[1]:g}"'
        yield f'<text class="arrow" text-anchor="{anchor}" {place}>{escape(what)}</text>'
    yield f'<path class="back" d="{SYNC}"/>'
    yield '<text class="arrow" x="420" y="106" text-anchor="middle">sync, then the canary</text>'
    yield f'<path class="back" d="{STORE}"/>'
    yield '<text class="arrow" x="545" y="250" text-anchor="middle">reckon data</text>'


def picture() -> str:
    style = (
        "text{font-family:system-ui,sans-serif;fill:#334}.name{font-size:15px;font-weight:600;text-anchor:middle}"
        ".small{font-size:11.5px;text-anchor:middle}.arrow{font-size:12px;fill:#3f51b5}"
        "rect{fill:#eef1fb;stroke:#3f51b5}path{fill:none;stroke:#667;marker-end:url(#tip)}.back{stroke-dasharray:5 4}"
        "@media(prefers-color-scheme:dark){text{fill:#dde}.arrow{fill:#9fa8da}rect{fill:#262b40;stroke:#9fa8da}path{stroke:#99a}}"
    )
    tip = (
        '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" style="fill:#667;stroke:none;marker-end:none"/></marker>'
    )
    body = "\n".join(shapes())
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="How a problem becomes a step">'
    return f"{head}\n<style>{style}</style>\n<defs>{tip}</defs>\n{body}\n</svg>\n"


if __name__ == "__main__":
    place = Path(__file__).with_name("data_flow.svg")
    place.write_text(picture(), encoding="utf-8")
    print(place)
