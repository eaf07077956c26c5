"""A further site for the demo's web: pages of exercises that a caller brings, each with its solution as a school site would write it.

What is between the exercises is drawn by chance like the rest of the demo's web, so that the loop has to find these pages, cut them out of
their navigation and read exercises and answers off them, as it does for any other site. `reckon deepseek-math --tiny` gets its problems so.
"""

import random
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipeline.commands.demo_pages import MATHJAX_HEAD, THINGS, TRAITS, mathematics, mathjax, page
from data_pipeline.commands.demo_web import warc_records
from verifiers.atomic_files import atomic_path

HOST = "sums.example.org"
PER_PAGE = 12


class Exercise(NamedTuple):
    """A question and its solution; what stands between dollar signs is a formula."""

    question: str
    solution: str


def write_exercises(archive: Path, exercises: Sequence[Exercise]) -> None:
    """A WARC file with a page for every dozen of them; the same exercises give the same bytes."""
    pages = [_page(number, exercises[start : start + PER_PAGE]) for number, start in enumerate(range(0, len(exercises), PER_PAGE))]
    with atomic_path(archive) as temporary:
        temporary.write_bytes(b"".join(warc_records(url, html.encode()) for url, html in pages))


def _page(number: int, exercises: Sequence[Exercise]) -> tuple[str, str]:
    chance = random.Random(f"0:{HOST}:{number}")
    title = f"Practice {number + 1}: {chance.choice(TRAITS)} {chance.choice(THINGS)}s"
    body = [*mathematics(chance, mathjax, 2), "<h2>Exercises</h2>"]
    for place, exercise in enumerate(exercises, 1):
        body.append(f"<h3>Exercise {place}</h3><p>{_marked_up(exercise.question)}</p>")
        body.append(f"<h4>Solution</h4><p>{_marked_up(exercise.solution)}</p>")
    return f"https://{HOST}/practice/{number:04d}", page(title, body, site="Sums and Differences", head=MATHJAX_HEAD)


def _marked_up(text: str) -> str:
    return "".join(mathjax(part, False) if place % 2 else part for place, part in enumerate(text.split("$")))
