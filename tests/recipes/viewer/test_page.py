"""The page in a real Chromium, opened from disk: what it shows is what the run holds, and what a model wrote stays text."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.viewer import browser, make_run, measured
from recipes.commands.cli import main
from recipes.viewer import watch
from recipes.viewer.page_files import PageFolder
from recipes.viewer.run_data import Reader
from rl.runs.run_folder import RunFolder, append_line
from rollout.engine import Completion
from rollout.player import Group
from tests.rl.rollouts import make_groups
from verifiers.problem import make_problem
from verifiers.verdict import Status, Verdict

sync_api = pytest.importorskip("playwright.sync_api", reason="the page is tested with playwright, which is not installed")
HOSTILE = {
    "a script": "<script>document.title = 'owned'</script><img src=x onerror=\"document.title = 'owned'\">",
    "a turned text": "safe \u202e txet live \u2066 end",
    "a NUL": "be\x00fore \x1b[31mred\x07",
    "a formula that loads": r"$\includegraphics{http://example.org/x.png}$ $\href{javascript:alert(1)}{x}$ $\htmlData{a=b}{x}$",
    "a formula that grows": r"$\def\a{\a\a}\a$ and $\rule{1000em}{1000em}$",
    "half formulas": "$" * 5000 + r"\boxed{" * 3000 + "{" * 5000 + "$$x",
    "a deep formula": "$" + "{" * 240 + "}" * 240 + "$ $" + r"\frac{" * 60 + "$",
    "a megabyte": "x" * (1 << 20),
    "half a character": "\ud83d alone",
}
WAIT = 60_000
"""Milliseconds: of a machine that does other things."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        try:
            found = browser(playwright)
        except RuntimeError as error:
            pytest.skip(str(error))
        yield found
        found.close()


class Opened:
    """A page, and all that it asked for and complained of."""

    def __init__(self, chromium: Any, place: Path, **settings: Any):
        self.asked: list[str] = []
        self.complaints: list[str] = []
        self.page = chromium.new_page(**settings)
        self.page.set_default_timeout(WAIT)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(place.resolve().as_uri())
        self.page.wait_for_selector("html[data-ready]")

    def tab(self, name: str) -> None:
        self.page.click(f"[data-tab={name}]")

    def found(self, count: int) -> None:
        """Waits until so many rollouts are found."""
        self.page.wait_for_selector(f".summary >> text=/^{count} of /")

    def count(self) -> int:
        """Rollouts that are found now."""
        return int(self.page.inner_text(".summary").split(" ")[0].replace(",", ""))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("viewer") / "run", steps=4, groups=3, completions=4, tokens=(3, 12))


def made(*words: str) -> Path:
    assert main(["view", *words]) == 0
    return Path(words[-1])


@pytest.fixture(scope="module")
def page(run: Path, chromium: Any) -> Iterator[Opened]:
    assert main(["view", str(run)]) == 0
    opened = Opened(chromium, run / "view" / "index.html")
    yield opened
    opened.page.close()


def rows_of(run: Path, step: int) -> Sequence[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(RunFolder(run).rollouts.path(step)).to_pylist()
    return rows


def test_it_opens_with_curves_and_asks_for_nothing_but_its_own_files(page: Opened, run: Path) -> None:
    page.tab("curves")
    page.page.wait_for_selector(".chart >> nth=2 >> canvas")
    assert page.page.locator(".chart canvas").count() >= 3
    assert page.complaints == []
    own = (run / "view").resolve().as_uri()
    assert page.asked
    assert all(address.startswith(own) for address in page.asked)


def test_filters_find_what_the_files_hold(page: Opened, run: Path) -> None:
    rows = [row for step in range(1, 5) for row in rows_of(run, step)]
    page.tab("rollouts")
    assert page.count() == len(rows) + 100 * 5, "the held-out answers are there too"
    select = page.page.select_option
    select("[name=set]", label="train")
    assert page.count() == len(rows)
    select("[name=status]", label="right")
    assert page.count() == sum(row["status"] == "right" for row in rows)
    select("[name=status]", label="any")
    page.page.fill("[name=stepFrom]", "3")
    page.page.fill("[name=longer]", "9")
    page.found(_fitting(rows))
    select("[name=part]", label="format")
    page.page.fill("[name=above]", "0.5")
    page.found(_fitting(rows, format_=True))
    for name in ("stepFrom", "longer", "above"):
        page.page.fill(f"[name={name}]", "")
    select("[name=part]", label="any")
    words = rows[17]["response"][:5]
    page.page.fill("[name=response]", words)
    found = sum(words.lower() in row["response"].lower() for row in rows)
    page.found(found)
    page.page.fill("[name=response]", "")
    select("[name=set]", label="any")


def _fitting(rows: Sequence[dict[str, Any]], *, format_: bool = False) -> int:
    fits = [row for row in rows if row["step"] >= 3 and len(row["tokens"]) >= 9]
    return sum(not format_ or dict(row["parts"]).get("format", 0.0) >= 0.5 for row in fits)


def test_a_group_opens_and_a_token_says_its_numbers(page: Opened, run: Path) -> None:
    page.tab("rollouts")
    page.page.select_option("[name=set]", label="train")
    page.page.select_option("[name=order]", "step")
    page.page.wait_for_selector(".rollout[data-rollout='0']")
    page.page.click(".rollout[data-rollout='1']")
    page.page.wait_for_selector(".card.own")
    assert page.page.locator(".card").count() == 4
    assert page.page.locator(".card >> nth=0").get_attribute("class") == "card own", "the one that was chosen comes first, of how many ever"
    assert page.page.locator(".asked .katex").count() >= 1, "the problem's formulas are set"
    page.page.click("[data-as=tokens]")
    row = rows_of(run, 1)[1]
    tokens = page.page.locator(".card.own .token")
    assert tokens.count() == len(row["tokens"])
    assert "".join(tokens.all_inner_texts()) == row["response"]
    lengths = [len(each["tokens"]) for each in rows_of(run, 1)]
    numbers = RunFolder(run).tokens.read(1, lengths)
    for name, word in {
        "logp": "probability",
        "entropy": "entropy",
        "log_ratio": "ratio",
        "advantage": "advantage",
        "value": "value",
    }.items():
        page.page.select_option("select[aria-label='colour tokens by']", name)
        own = row["logprobs"] if name == "logp" else numbers[name][lengths[0] : lengths[0] + lengths[1]]
        place = max(range(len(own)), key=lambda n: abs(own[n]))
        token = page.page.locator(".card.own .token").nth(place)
        assert token.evaluate("node => node.style.background") != ""
        token.hover()
        told = dict(zip(page.page.locator("#tip th").all_inner_texts(), page.page.locator("#tip td").all_inner_texts(), strict=True))
        said = told[word].split("log ")[-1].rstrip(")")
        assert float(said) == pytest.approx(own[place], rel=2e-3, abs=1e-3)
    assert page.complaints == []


def test_one_problem_is_seen_over_training_and_two_steps_beside_each_other(page: Opened, run: Path, chromium: Any) -> None:
    assert page.complaints == []
    page = Opened(chromium, run / "view" / "index.html")  # where nothing is loaded yet: both sides ask for the same words at once
    page.tab("problems")
    page.page.click(".rollout >> nth=0")
    page.page.wait_for_selector(".timeline .source")
    assert page.page.locator(".timeline .source").count() >= 5, "a held-out problem is asked at every evaluation"
    assert page.page.locator(".pair .group").count() == 2
    first, last = page.page.locator(".pair .group .problem > div:first-child").all_inner_texts()
    assert "step 0" in first
    assert "step 4" in last
    page.page.close()


def test_dead_groups_and_difficulty(page: Opened) -> None:
    page.tab("groups")
    assert page.page.locator(".chart").count() == 3
    assert page.page.locator(".bars tr").count() == 24


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hostile") / "run <b>'\"\\"
    run = RunFolder.create(path, {"options": {"steps": 1, "seed": "</script><b>"}})
    completions = tuple(Completion([1, 2], [-1.0, -2.0], [True, True], "stop", 0) for _ in HOSTILE)
    verdicts = tuple(Verdict(0.0, Status.WRONG, text[:300], {text[:40] or "x": 1.0}) for text in HOSTILE.values())
    problem = make_problem("</script><script>document.title = 'owned'</script> $x^2$", "<b>1</b>")
    group = Group(problem, [1], completions, tuple(HOSTILE.values()), verdicts)
    run.rollouts.write(1, [group], cursor=1)
    append_line(run.metrics_path, {"step": 1, "reward": 0.5, "reward/<img src=x onerror=alert(1)>": 0.5, "eval/<b>x/accuracy": 0.1})
    run.held_out("a'\"><b>x").write(1, [replace(group, problem=make_problem("other", "1"))], cursor=0)
    run.write_manifest(status="done", step=1)
    run.close()
    return path


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_hostile_text_stays_text(hostile: Path, chromium: Any, tmp_path: Path, kind: str) -> None:
    place = tmp_path / ("view" if kind == "folder" else "view.html")
    made(str(hostile), "--out", str(place))
    opened = Opened(chromium, place / "index.html" if kind == "folder" else place)
    page = opened.page
    page.wait_for_selector(".chart canvas")
    opened.tab("rollouts")
    page.click(".rollout >> nth=0")
    page.wait_for_selector(".card")
    for mode in ("typeset", "plain"):
        page.click(f"[data-as={mode}]")
        cards = page.locator(".card > .text")
        shown = dict(zip(HOSTILE, cards.all_inner_texts(), strict=True))
        assert HOSTILE["a script"] == shown["a script"]
        assert "U+202E" in shown["a turned text"]
        assert "\u202e" not in shown["a turned text"]
        assert "U+0000" in shown["a NUL"]
        assert "U+001B" in shown["a NUL"]
        assert len(shown["a megabyte"]) < 30_000, "the rest comes when it is asked for"
        assert "characters more" in shown["a megabyte"]
    assert page.locator("main script, main img, main a, main b:not(#tip b), main iframe").count() == 0
    assert page.title() != "owned"
    assert not [address for address in opened.asked if not address.startswith("file:")]
    assert page.evaluate("getComputedStyle(document.querySelector('.card .text')).unicodeBidi") == "isolate"
    assert page.evaluate("Math.max(...[...document.querySelectorAll('.card')].map((card) => card.offsetHeight))") < 2000
    page.close()


def test_the_policy_lets_nothing_out_even_of_a_script(page: Opened) -> None:
    """What a hole in the page would meet: its own policy, which a browser enforces."""
    image = "const i = new Image(); i.onload = () => done('sent'); i.onerror = () => done('refused'); i.src = 'http://127.0.0.1:9/x';"
    before = len(page.complaints)
    assert page.page.evaluate(f"new Promise((done) => {{ {image} }})") == "refused"
    assert page.page.evaluate("fetch('http://127.0.0.1:9/x').then(() => 'sent', () => 'refused')") == "refused"
    said = page.complaints[before:]
    assert said
    assert all("Content Security Policy" in line for line in said)
    del page.complaints[before:]


def test_an_open_page_takes_up_what_a_watched_run_does(tmp_path: Path, chromium: Any) -> None:
    path = make_run(tmp_path / "run", steps=2, groups=1, completions=2, tokens=(2, 3))
    folder, reader = PageFolder(tmp_path / "view"), Reader([path], lambda name, text: folder.put(name, text))
    folder.begin()
    watch._update(folder, reader, 1)
    opened = Opened(chromium, folder.end("watched"))
    before = opened.page.evaluate("reckon.view.count")
    opened.page.wait_for_selector("#live >> text=step 2 of 2")
    run = RunFolder(path)
    run.rollouts.write(3, make_groups([[1.0, 0.0]]), cursor=3)
    append_line(run.metrics_path, {"step": 3, "reward": 0.5})
    watch._update(folder, reader, 2)
    opened.page.wait_for_selector("#live >> text=step 3 of 2")
    opened.tab("rollouts")
    opened.page.wait_for_selector(f".summary >> text=/of {before + 2} rollouts/")
    opened.page.fill("[name=stepFrom]", "3")
    opened.found(2)
    opened.page.click(".rollout >> nth=0")
    opened.page.wait_for_selector(".card")
    assert opened.complaints == []
    opened.page.close()


def test_what_the_benchmark_measures(run: Path, page: Opened, chromium: Any) -> None:
    found = measured(chromium, run / "view" / "index.html")
    assert found["rollouts"] == page.page.evaluate("reckon.view.count")
    assert found["requests_outside"] == 0
    assert 0 <= found["filter_seconds"] <= found["open_seconds"]


def test_seeds_are_one_line_and_other_options_another(tmp_path: Path, chromium: Any) -> None:
    runs = [make_run(tmp_path / f"seed-{seed}", steps=3, groups=1, completions=2, tokens=(2, 4), seed=seed) for seed in range(2)]
    other = make_run(tmp_path / "other", steps=3, groups=1, completions=2, tokens=(2, 4), seed=0)
    config = json.loads((other / "config.json").read_text())
    config["options"]["lr"] = 1.0
    (other / "config.json").write_text(json.dumps(config))
    place = tmp_path / "all"
    made(*map(str, [*runs, other]), "--out", str(place))
    opened = Opened(chromium, place / "index.html", color_scheme="dark")
    legends = opened.page.locator(".chart >> nth=1").locator(".u-label:visible").all_inner_texts()
    assert [text for text in legends if text and text != "step"] == ["seed-0 and 1 more seed", "other"]
    assert opened.page.locator("tr.differs th").all_inner_texts()[0] == "lr"
    dark = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    opened.page.click("#theme")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") != dark
    opened.page.close()


def test_data_shows_what_trains(tmp_path: Path, chromium: Any, run: Path) -> None:
    rows = [{"prompt": "1+1=", "chosen": "2", "rejected": "3"}, {"prompt": "2+2=", "chosen": "4", "rejected": "11"}]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made(str(tmp_path / "pairs.jsonl"), "--model", str(run), "--out", str(tmp_path / "data"))
    opened = Opened(chromium, tmp_path / "data" / "index.html")
    opened.page.click("[data-unit='1']")
    opened.page.wait_for_selector(".group:has-text('line 2')")
    for card, side in zip(opened.page.locator(".card").all(), ("4", "11"), strict=True):
        tokens = card.locator(".token")
        coloured = [token.inner_text() for token in tokens.all() if "--warm) 47%" in token.evaluate("node => node.style.background")]
        assert "".join(tokens.all_inner_texts()).startswith("2+2=" + side)
        assert "".join(coloured).startswith(side)
    opened.page.close()
