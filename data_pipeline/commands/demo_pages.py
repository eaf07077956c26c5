"""The sites of the demo's made-up web: how their pages are worded and marked up.

Sentences are drawn from templates with slots, so that a language identifier takes them for English and no two pages are near-copies
unless they are meant to be. Formulas are drawn too and written the way the site writes them. Exercises come with true answers.
"""

import html
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

Chance = random.Random
Markup = Callable[[str, bool], str]


class Site(NamedTuple):
    host: str
    mathematical: bool
    page: Callable[[Chance, int], tuple[str, str]]
    """(path, HTML) of the n-th page."""
    pages: int


# Formulas -------------------------------------------------------------------------------------------------------------------------------


def formula(chance: Chance) -> str:
    a, b, n = chance.randint(2, 19), chance.randint(2, 19), chance.randint(2, 9)
    x, y = chance.choice("xtuz"), chance.choice("abcn")
    shapes = [
        rf"\int_{{0}}^{{{a}}} {x}^{{{n}}} \, d{x}", rf"\frac{{{a}{x}+{b}}}{{{x}^{{{n}}}-{b}}}", rf"\sum_{{k=1}}^{{n}} k^{{{n}}}",
        rf"{a}{x}^2 + {b}{x} = {a * b}", rf"\lim_{{{x} \to {a}}} f({x})", rf"\sqrt{{{x}^2 + {a * a}}}", rf"{y}_{{n+1}} = {a}{y}_n - {b}",
        rf"\det(A - \lambda I) = {a}", rf"f({x}) = {a}{x}^{{{n}}} - {b}", rf"\alpha^{{{n}}} \leq {a}\beta", rf"\gcd({a * n}, {b * n})",
    ]  # fmt: skip
    return chance.choice(shapes)


def mathjax(tex: str, display: bool) -> str:
    return html.escape(f"\\[{tex}\\]" if display else f"\\({tex}\\)", quote=False)


def katex(tex: str, display: bool) -> str:
    safe = html.escape(tex, quote=False)
    inner = (
        f'<span class="katex"><span class="katex-mathml"><math><semantics><mrow><mi>x</mi></mrow>'
        f'<annotation encoding="application/x-tex">{safe}</annotation></semantics></math></span>'
        f'<span class="katex-html" aria-hidden="true"><span class="base"><span class="mord">x</span></span></span></span>'
    )
    return f'<span class="katex-display">{inner}</span>' if display else inner


def image(tex: str, display: bool) -> str:
    picture = f'<img class="tex" src="/img/{len(tex)}.png" alt="{html.escape(tex)}">'
    return f'<div class="eq">{picture}</div>' if display else picture


def script(tex: str, display: bool) -> str:
    return f'<script type="math/tex{"; mode=display" if display else ""}">{tex}</script>'


def mathml(tex: str, display: bool) -> str:
    mode = ' display="block"' if display else ""
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML"{mode} alttext="{html.escape(tex)}"><mi>x</mi></math>'


# Sentences ------------------------------------------------------------------------------------------------------------------------------


def word_list(text: str) -> list[str]:
    return text.split()


THINGS = word_list("function sequence matrix polynomial integral set group vector space derivative series mapping triangle graph prime")
TRAITS = word_list("continuous bounded symmetric finite convergent linear differentiable positive compact invertible monotone cyclic")
NAMES = word_list("Taylor Euler Gauss Cauchy Noether Abel Lagrange Fermat Riemann Galois Hilbert Banach")

MATHEMATICS = [
    "Let {f} be given, and suppose that the {thing} is {trait} on the whole domain.",
    "By the theorem of {name}, every {trait} {thing} satisfies {f} for all large indices.",
    "To prove the lemma we substitute {f} into the definition of the {thing} and compare coefficients.",
    "It follows that the {thing} is {trait}, and the proof is complete once we bound {f} from above.",
    "The {thing} in the example is {trait}, because {f} holds whenever the variable is positive.",
    "A student should check that {f} does not depend on the choice of the {thing}.",
    "We now solve the equation {f} by induction, using that each {thing} is {trait}.",
    "Recall that {name} showed how a {trait} {thing} can be approximated by {f} with a small error.",
    "If the {thing} were not {trait}, then {f} would have two different solutions, which is a contradiction.",
    "The corollary states that {f} is an upper bound for any {trait} {thing} of the same degree.",
    "Differentiating both sides gives {f}, hence the {thing} attains its minimum at the origin.",
    "Multiply the inequality by the {trait} {thing} and use {f} to simplify the remaining terms.",
]


def mathematics(chance: Chance, markup: Markup, count: int) -> list[str]:
    """Paragraphs."""
    found = []
    for _ in range(count):
        sentences = [_mathematical(chance, markup) for _ in range(chance.randint(3, 5))]
        found.append(f"<p>{' '.join(sentences)}</p>")
        if chance.random() < 0.4:
            found.append(f"<p>{markup(formula(chance), True)}</p>")
    return found


def _mathematical(chance: Chance, markup: Markup) -> str:
    template = chance.choice(MATHEMATICS)
    return template.format(
        f=markup(formula(chance), False), thing=chance.choice(THINGS), trait=chance.choice(TRAITS), name=chance.choice(NAMES)
    )


class Topic(NamedTuple):
    """What a site that is not about mathematics talks about."""

    nouns: Sequence[str]
    places: Sequence[str]
    sentences: Sequence[str]


RECIPES = Topic(
    word_list("onion garlic carrot butter flour cinnamon pumpkin salmon lentil mushroom tomato cheese pepper spinach walnut"),
    ["in a heavy pan", "in the oven", "over a low flame", "on a baking tray", "in a large bowl", "under a wet towel"],
    ["Chop the {a} and leave it {p} until it is golden and smells sweet.", "Add the {a} together with {n} spoons of {b} and stir well.",
     "My grandmother always kept the {a} {p} for {n} minutes before dinner.", "Serve the {a} warm, with a little {b} and fresh bread.",
     "You can replace the {a} by {b} when the market has none.", "Season the {b} with salt, then rest it {p} while you wash the {a}.",
     "Guests asked me for the {a} again, so I wrote down how the {b} is cooked."],
)  # fmt: skip
NEWS = Topic(
    word_list("council minister strike harbour hospital bridge budget railway school election museum stadium festival police farmers"),
    ["in the capital", "near the coast", "after a long debate", "on Tuesday morning", "despite the rain", "in front of reporters"],
    ["The {a} was discussed {p}, and {n} people signed a letter about the {b}.", "Officials said that the {a} would reopen {p}.",
     "A spokesman for the {b} declined to comment on the {a} {p}.", "Residents fear that the {a} will cost more than the {b} did.",
     "About {n} visitors waited {p} until the {a} was finished.", "The mayor praised the {b} and promised help for the {a}."],
)  # fmt: skip
SHOP = Topic(
    word_list("jacket backpack kettle lamp sofa blanket headphones camera bicycle tent mattress watch scarf boots umbrella"),
    ["for the whole family", "with free delivery", "while stocks last", "in four colours", "at a lower price", "for cold evenings"],
    ["Our {a} is made from recycled cotton and sold {p}.", "Customers who bought the {a} also liked the {b}.",
     "Order the {b} before noon and it ships {p} within {n} days.", "The {a} has a soft lining, two pockets and a strong zip.",
     "Return the {a} within {n} days if it does not match your {b}.", "This season we offer the {a} and the {b} {p}."],
)  # fmt: skip
TRAVEL = Topic(
    word_list("beach village monastery harbour valley castle market waterfall lighthouse vineyard island temple garden ferry canyon"),
    ["at sunset", "after breakfast", "along the old road", "with local guides", "far from the crowds", "in late spring"],
    ["We reached the {a} {p} and stayed for {n} nights in a small hotel.", "The walk from the {a} to the {b} is lovely {p}.",
     "Bring good shoes, since the {a} is steep and the {b} is often wet.", "Locals told us to visit the {b} {p} instead of the {a}.",
     "A bus leaves the {a} every {n} minutes during the summer.", "Do not miss the {a}: the view over the {b} is unforgettable."],
)  # fmt: skip
MANUALS = Topic(
    word_list("printer router battery filter cable screen adapter sensor keyboard antenna charger speaker switch cartridge drive"),
    ["from the power supply", "behind the cover", "with a dry cloth", "in the settings menu", "before the first use", "next to the label"],
    ["Disconnect the {a} {p} and wait {n} seconds before you continue.", "Press the button next to the {a} until the {b} light blinks.",
     "If the {a} does not respond, reset the {b} {p}.", "Keep the {a} away from water and clean the {b} {p}.",
     "The warranty covers the {a} for {n} months, but not the {b}.", "Install the latest driver for the {b} before you attach the {a}."],
)  # fmt: skip


def prose(chance: Chance, topic: Topic, count: int) -> list[str]:
    found = []
    for _ in range(count):
        sentences = []
        for _ in range(chance.randint(3, 5)):
            a, b = chance.sample(list(topic.nouns), 2)
            sentences.append(chance.choice(topic.sentences).format(a=a, b=b, p=chance.choice(topic.places), n=chance.randint(2, 40)))
        found.append(f"<p>{' '.join(sentences)}</p>")
    return found


# Pages ----------------------------------------------------------------------------------------------------------------------------------


def page(title: str, body: Sequence[str], *, site: str, head: str = "") -> str:
    """A whole page with the navigation and the footer of its site."""
    menu = "".join(f'<li><a href="/{name}">{name.title()}</a></li>' for name in ("home", "about", "archive", "contact"))
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title} - {site}</title>{head}</head><body>'
        f"<nav><ul>{menu}</ul></nav><main><h1>{title}</h1>{''.join(body)}</main>"
        f"<footer><p>Last changed in May. All rights reserved by {site}. <a href='/privacy'>Privacy</a></p></footer></body></html>"
    )


MATHJAX_HEAD = '<script src="https://cdn.example.org/mathjax@3/es5/tex-mml-chtml.js"></script>'


def title_of(chance: Chance) -> str:
    return f"{chance.choice(TRAITS).title()} {chance.choice(THINGS)}s and the theorem of {chance.choice(NAMES)}"


def exercises(chance: Chance, markup: Markup, count: int) -> list[str]:
    """Exercises with answers that are true."""
    found = ["<h2>Exercises</h2>"]
    for number in range(1, count + 1):
        a, b, x = chance.randint(2, 12), chance.randint(1, 30), chance.randint(2, 25)
        found.append(
            f"<h3>Exercise {number}</h3><p>Solve the equation {markup(f'{a}x + {b} = {a * x + b}', False)} for x, and check the result.</p>"
        )
        found.append(f"<h4>Solution</h4><p>Subtracting {b} and dividing by {a} gives {markup(f'x = {x}', False)}. The answer is "
                     f"{markup(chr(92) + f'boxed{{{x}}}', False)}.</p>")  # fmt: skip
    return found


def lesson(
    chance: Chance, number: int, markup: Markup, *, folder: str, site: str, head: str = "", answers: bool = False
) -> tuple[str, str]:
    title = title_of(chance)
    body = mathematics(chance, markup, chance.randint(4, 7)) + (exercises(chance, markup, chance.randint(2, 3)) if answers else [])
    return f"/{folder}/{number:03d}-{title.split()[0].lower()}", page(title, body, site=site, head=head)


def question(chance: Chance, number: int) -> tuple[str, str]:
    """A page of the questions site: mathematics under /questions, people under /users."""
    if number % 3 == 2:
        body = [*prose(chance, TRAVEL, 2), f"<p>Member for {chance.randint(1, 12)} years, likes walking and music.</p>"]
        return f"/users/{number}", page(f"User {number}", body, site="Ask Numbers")
    title = title_of(chance)
    asked = "".join(mathematics(chance, mathjax, 2))
    a, b = chance.randint(11, 99), chance.randint(11, 99)
    body = [
        f'<div class="question" itemprop="mainEntity"><div class="post-text s-prose">{asked}'
        f"<p>What is the value of {mathjax(f'{a} + {b}', False)}?</p></div></div>",
        f'<div class="answer accepted-answer"><div class="post-text s-prose">{"".join(mathematics(chance, mathjax, 1))}'
        f"<p>Adding the two numbers, the answer is {mathjax(f'{chr(92)}boxed{{{a + b}}}', False)}.</p></div></div>",
    ]
    return f"/questions/{1000 + number}/{title.split()[0].lower()}", page(title, body, site="Ask Numbers", head=MATHJAX_HEAD)


def article(chance: Chance, number: int, topic: Topic, *, folder: str, site: str) -> tuple[str, str]:
    a, b = chance.sample(list(topic.nouns), 2)
    return f"/{folder}/{number:03d}-{a}", page(f"The {a} and the {b}", prose(chance, topic, chance.randint(4, 7)), site=site)


def shelf(chance: Chance, number: int) -> tuple[str, str]:
    """A library of both kinds: /mathematics and /stories."""
    if number % 2:
        return article(chance, number, NEWS, folder="stories", site="Open Shelf")
    return lesson(chance, number, script, folder="mathematics", site="Open Shelf", head=MATHJAX_HEAD)


def puzzle(chance: Chance, number: int) -> tuple[str, str]:
    """Mathematics in everyday words: what a classifier that has only seen lessons is unsure of."""
    body = [*mathematics(chance, mathjax, 1 + number % 4), *prose(chance, SHOP, 4)]
    chance.shuffle(body)
    return f"/puzzles/{number:03d}", page(f"Puzzle {number}", body, site="Daily Puzzles", head=MATHJAX_HEAD)


GERMAN = [
    "Es sei {f} gegeben, und wir nehmen an, dass die Funktion auf dem ganzen Bereich stetig ist.",
    "Nach dem Satz von {name} genügt jede beschränkte Folge der Gleichung {f} für alle großen Indizes.",
    "Um das Lemma zu beweisen, setzen wir {f} in die Definition ein und vergleichen die Koeffizienten.",
    "Daraus folgt die Behauptung, sobald wir {f} nach oben abschätzen und den Grenzwert bilden.",
]


def german(chance: Chance, number: int) -> tuple[str, str]:
    """Mathematics in German, for the language step."""
    body = []
    for _ in range(6):
        sentences = [s.format(f=mathjax(formula(chance), False), name=chance.choice(NAMES)) for s in chance.sample(GERMAN, 3)]
        body.append(f"<p>{' '.join(sentences)}</p>")
    return f"/skript/{number:02d}", page(f"Kapitel {number}: {chance.choice(NAMES)}", body, site="Skript Analysis", head=MATHJAX_HEAD)


SEED_HOST = "calculus.example.org"

SITES = (
    Site(SEED_HOST, True, lambda c, n: lesson(c, n, mathjax, folder="lessons", site="Calculus Now", head=MATHJAX_HEAD, answers=True), 40),
    Site("algebra.example.net", True, lambda c, n: lesson(c, n, katex, folder="notes", site="Algebra Notes", answers=True), 30),
    Site("numbers.example.edu", True, lambda c, n: lesson(c, n, image, folder="wiki", site="Number Wiki"), 30),
    Site("geometry.example.io", True, lambda c, n: lesson(c, n, mathml, folder="book", site="Geometry Book"), 30),
    Site("ask.example.com", True, question, 45),
    Site("shelf.example.org", True, shelf, 40),
    Site("puzzles.example.net", True, puzzle, 30),
    Site("skript.example.de", True, german, 12),
    Site("recipes.example.com", False, lambda c, n: article(c, n, RECIPES, folder="recipes", site="Warm Kitchen"), 45),
    Site("news.example.com", False, lambda c, n: article(c, n, NEWS, folder="2026", site="Harbour Times"), 45),
    Site("shop.example.com", False, lambda c, n: article(c, n, SHOP, folder="products", site="Good Things"), 45),
    Site("travel.example.com", False, lambda c, n: article(c, n, TRAVEL, folder="trips", site="Far Roads"), 45),
    Site("manuals.example.com", False, lambda c, n: article(c, n, MANUALS, folder="support", site="Help Desk"), 45),
)
