"""The world of the tiny R1 stories: sums that are thought aloud in English or German, and a base model that has read them in every manner.

    A conversation between User and Assistant. [...] User: 47+38=. Assistant:
    <think>With the last digits of both we find that 7+8=15. Mit den Ziffern davor finden wir danach noch 4+3+1=8.
    </think><answer>85</answer>

The base is a model of 0.3M parameters, made at random and trained on such texts, a stand-in for pre-training: some are worked out between
tags, some without them, some give the answer at once, and each sentence of a thought is in either language. So it can do what the stories
teach, and seldom does: think, between tags, in one language. Its tokenizer has a token for each digit, tag and sentence, and for each half
of the template, which is how prompts of some hundred words cost it two tokens.
"""

import random
from collections.abc import Iterable
from typing import Any, Literal

from recipes.setup import arithmetic
from recipes.stages.sums_on_pages import held_out_problems, sums
from rl.loop.seeds import derive_seed
from verifiers.problem import Problem

Language = Literal["en", "de"]
SENTENCES: dict[Language, tuple[str, str]] = {  # before the ones, and before the tens
    "en": ("With the last digits of both we find that ", "With the digits before them we find that "),
    "de": ("Mit den letzten Ziffern von beiden finden wir ", "Mit den Ziffern davor finden wir danach noch "),
}
LANGUAGES: tuple[Language, ...] = ("en", "de")
STOP = ". "
MAX_TOKENS = 36
TRAIN = 5000
TAGGED, UNTAGGED = 0.4, 0.25
"""Shares of the base's texts that are worked out with tags and without; the others give the answer at once."""


def problems_of(seed: int, count: int = TRAIN) -> tuple[list[Problem], list[Problem]]:
    """(problems to learn from, held-out ones), disjoint."""
    held_out = held_out_problems(seed)
    known = frozenset(problem.id for problem in held_out)
    return sums(count, seed=derive_seed(seed, "train") >> 32, exclude=known), held_out


def make_tokenizer(*texts: str) -> Any:
    """The character tokenizer with a token for each sentence, and for each of `texts`."""
    tokenizer = arithmetic.make_tokenizer()
    tokenizer.add_tokens([STOP, *(sentence for sentences in SENTENCES.values() for sentence in sentences), *texts])
    return tokenizer


def thought(problem: Problem, languages: tuple[Language, Language]) -> str:
    """The steps of column addition, each in a sentence."""
    steps = arithmetic.worked_solution(problem).removeprefix("<think>").partition("</think>")[0].split()
    spoken = [SENTENCES[language][place] for place, language in enumerate(languages)]
    return "".join(f"{sentence}{step}{STOP}" for sentence, step in zip(spoken, steps, strict=True))


def worked(problem: Problem, languages: tuple[Language, Language] = ("en", "en")) -> str:
    """A thought and an answer between their tags."""
    return f"<think>{thought(problem, languages)}</think><answer>{problem.answer}</answer>"


def base_rows(problems: Iterable[Problem], template: str, seed: int) -> list[dict[str, str]]:
    """What the base reads, a text for each problem."""
    coin, rows = random.Random(derive_seed(seed, "styles")), []
    for problem in problems:
        style, languages = coin.random(), (coin.choice(LANGUAGES), coin.choice(LANGUAGES))
        text = (
            worked(problem, languages) if style < TAGGED
            else f"{thought(problem, languages)}{problem.answer}" if style < TAGGED + UNTAGGED
            else problem.answer
        )  # fmt: skip
        rows.append({"prompt": template.format(prompt=problem.prompt), "completion": text})
    return rows
