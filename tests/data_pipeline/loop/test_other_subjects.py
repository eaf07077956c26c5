"""The loop looking for something else than mathematics: code documentation on sites that the seed does not name, and a user's subject."""

import json
import random
from pathlib import Path

import pytest

from data_pipeline.commands.demo_web import warc_records
from data_pipeline.commands.mine_command import command
from data_pipeline.documents.document_files import read_docs
from data_pipeline.loop.mining_run import mine
from data_pipeline.loop.run_settings import Settings
from verifiers.input_error import InputError
from verifiers.programs.python_tests import verify
from verifiers.rewards.problem_file import read_problems

MANUALS = {  # hosts, and words that no other host has
    "docs.shelf.example": "shelf book title author loan",
    "manual.river.example": "channel packet route signal frame",
    "reference.loom.example": "thread pattern weave colour bobbin",
}
OTHERS = {
    "news.example": "mayor council bridge festival traffic parade harvest village",
    "kitchen.example": "onion butter oven pepper simmer garlic flour dough",
    "garden.example": "tulip compost hedge pruning seedling orchard lawn frost",
}
PROSE = "Last week the {0} near the old {1} was opened again, and many people who had waited for the {2} came to see it at last."
FUNCTION = '''def {name}(items):
    """The {word}s of a list that come more than once, in order.

    >>> {name}([1, 2, 1])
    [1]
    >>> {name}([])
    []
    >>> {name}([3, 3, 2, 2])
    [3, 2]
    """
    return [item for place, item in enumerate(items) if item in items[:place]]
'''


def manual(words: list[str], chance: random.Random, number: int) -> str:
    one, two, three = chance.sample(words, 3)
    name = f"{chance.choice(('open', 'read', 'merge', 'count'))}_{one}_{number}"
    code = f"int {name}(struct {two} *s, int n) {{\n  return s->{three}[n];\n}}"
    if number == 0:
        code = FUNCTION.format(name=f"{one}_twice", word=one)
    return (
        f"<html><head><title>{name}</title></head><body><h1>{name}</h1><p>The call <code>{name}(s, n)</code> gives the {two} of a {one}, "
        f"counted from zero. With <code>--no-{three}</code> nothing is written. Set <code>{one}.{two}</code> to keep the {three} of every "
        f"{one} as it was before the call, whatever the {two} says.</p><pre>{code}</pre>"
        f"<p>The {three} is freed by <code>free_{one}()</code>. "
        f"It is an error to name a {two} that is not there, and the {one} is then left as it was.</p></body></html>"
    )


def article(words: list[str], chance: random.Random, number: int) -> str:
    said = " ".join(PROSE.format(*chance.sample(words, 3)) for _ in range(5))
    head = f"<html><head><title>{words[0]} {number}</title></head>"
    return f"{head}<body><h1>{chance.choice(words)} of the week</h1><p>{said}</p></body></html>"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> str:
    chance, pages = random.Random(1), []
    for make, sites, count in ((manual, MANUALS, 14), (article, OTHERS, 20)):
        for host, words in sites.items():
            pages += [(f"https://{host}/{number}.html", make(words.split(), chance, number)) for number in range(count)]
    path = tmp_path_factory.mktemp("web") / "pages.warc.gz"
    path.write_bytes(b"".join(warc_records(url, html.encode()) for url, html in pages))
    return str(path)


@pytest.fixture(scope="module")
def run(archive: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "code"
    seed = ("docs.shelf.example",)
    mine(Settings(subject="code", seed_domains=seed, rounds=1, workers=2, preset="small", near=False), [archive], out)
    return out


def test_the_loop_finds_manuals_that_the_seed_does_not_name(run: Path) -> None:
    kept = {doc.url: doc for doc in read_docs(run / "corpus") if doc.dropped is None}
    assert {doc.url.split("/")[2] for doc in kept.values()} == MANUALS.keys()
    assert len(kept) >= 36
    assert all("code" in doc.scores and "math" not in doc.scores for doc in kept.values())
    assert json.loads((run / "round-01" / "training.json").read_text())["documents"]["code"] == 14
    assert b"__label__code" in (run / "round-01" / "model.bin").read_bytes()


def test_its_problems_are_what_the_examples_show(run: Path) -> None:
    """One of three that are nearly the same."""
    (problem,) = read_problems(run / "problems.jsonl", trust_verifiers=True)
    name = problem.meta["fn_name"]
    assert name.endswith("_twice")
    assert problem.meta["inputs"] == [[[1, 2, 1]], [[]], [[3, 3, 2, 2]]]
    assert problem.meta["outputs"] == [[1], [], [3, 2]]
    prompt = str(problem.prompt)
    assert f">>> {name}([1, 2, 1])" in prompt
    assert f"{name}([3, 3, 2, 2])" not in prompt
    assert "enumerate" not in prompt
    assert verify(problem, f"```python\n{problem.answer}\n```").score == 1.0
    assert verify(problem, f"```python\ndef {name}(items):\n    return [1] if items else []\n```").score == 0.0


def test_a_model_of_another_subject_is_refused(run: Path, archive: str, tmp_path: Path) -> None:
    settings = Settings(seed=(str(run / "round-01" / "model.bin"),), seed_domains=("docs.shelf.example",), rounds=1, workers=1, near=False)
    with pytest.raises(InputError, match=r"its labels are __label__\w+, __label__\w+; say which of them mean mathematics"):
        mine(settings, [archive], tmp_path / "out")


def test_a_prefilter_of_the_subject(archive: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "pages.jsonl"
    assert command(["extract", archive, "--out", str(out), "--subject", "code", "--prefilter", "--workers", "1"]) == 0
    reasons = [doc.dropped for doc in read_docs(out)]
    assert reasons.count("prefilter: no code documentation") == 60
    assert reasons.count(None) == 42
    mine_file = tmp_path / "own.py"
    mine_file.write_text(
        "from data_pipeline.subjects.subject import Subject\n"
        "def has_butter(body):\n    return b'butter' in body\n"
        f"FOOD = Subject(name='food', noun='food', adjective='culinary', markup='{mine_file}:has_butter')\n"
        "BARE = Subject(name='bare', noun='bare', adjective='bare')\n"
    )
    words = ["extract", archive, "--prefilter", "--workers", "1", "--out"]
    assert command([*words, str(tmp_path / "f.jsonl"), "--subject", f"{mine_file}:FOOD"]) == 0
    kept = [doc.url for doc in read_docs(tmp_path / "f.jsonl") if doc.dropped is None]
    assert 0 < len(kept) <= 20
    assert all("kitchen.example" in url for url in kept)
    with pytest.raises(InputError, match="nothing is known of the markup of bare"):
        command([*words, str(tmp_path / "g.jsonl"), "--subject", f"{mine_file}:BARE"])
