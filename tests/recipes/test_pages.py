"""docs/ and the README against the code: every command, link, example, table and name in a menu."""

import importlib.util
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from docs import draw_flow, draw_names
from recipes.commands.cli import main
from tests.recipes.page_commands import FENCE, ROOT, check_line, command_lines, spoken_commands

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
RUN = re.compile(r"<!-- run -->\n\n```sh\n(.*?)\n```", re.DOTALL)
NAMED = re.compile(r"^```python\n# ([\w.]+\.py)(?:, in ([\w/]+)/)?\n(.*?)\n```$", re.MULTILINE | re.DOTALL)
TITLED = re.compile(r'^```\w+ title="([\w.]+)"\n(.*?)\n```$', re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_would_be_taken(page: Path) -> None:
    for line in [*command_lines(page), *spoken_commands(page)]:
        try:
            check_line(line, page)
        except Exception as error:
            raise AssertionError(f"{line}: {error}") from error


def test_no_command_is_passed_by() -> None:
    """Every line of a page that begins with `reckon` is one that the test above has read, wherever it stands."""
    for page in PAGES:
        seen = set(map(str.strip, command_lines(page)))
        joined = re.sub(r"\\\n\s*", " ", read(page))
        lines = [line for line in joined.splitlines() if re.match(r"(    )?(reckon|make) [a-z-]", line)]
        assert [line for line in lines if line.strip() not in seen] == [], name_of(page)


@pytest.mark.parametrize(
    "line",
    [
        "reckon grpo-mth --model m",
        "reckon grpo-math --modle m --data d",
        "reckon grpo-math --model m --data d --steps many",
        "reckon plan dpo --modell m",
        "reckon data pears runs/sample",
        "reckon mine extract page.html --ott pages.jsonl",
        "reckon mine digg",
        "cat answers.jsonl | reckon verify - --verifyer exact",
        "make demmo",
        "make demo MODELL=smollm2",
        "python -m recipes.nothing",
        "python -m recipes.smollm2_additions --stepps 3",
        "python -m benchmarks.update --modell m",
        "python nowhere.py",
        "pip install '.[everything]'",
        "frobnicate the model",
    ],
)
def test_a_broken_command_on_a_page_fails(line: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"Do this:\n\n```sh\n{line}\n```\n")
    assert command_lines(page) == [line]
    with pytest.raises(Exception):  # noqa: B017  # each parser has its own
        check_line(line, page)


# --- examples, run as they stand -----------------------------------------------------------------------------------------


def files_of(page: Path, folder: Path) -> list[Path]:
    """The files that a page shows with their names, written; those with a place in the package are returned."""
    placed = []
    for name, place, body in NAMED.findall(read(page)):
        target = folder / place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(body + "\n")
        placed += [target] if place else []
    for name, body in TITLED.findall(read(page)):
        (folder / name).write_text(body + "\n")
    return placed


@pytest.fixture
def modules_as_before() -> Iterator[None]:
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "") or "").startswith(("/tmp", str(Path.home() / ".cache"))):
            del sys.modules[name]


RUNNABLE = [page for page in PAGES if RUN.search(read(page))]


@pytest.mark.parametrize("page", [page for page in RUNNABLE if page.stem != "verifier"], ids=name_of)
@pytest.mark.usefixtures("modules_as_before", "one_thread")
def test_what_a_page_runs_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    files_of(page, tmp_path)
    for block in RUN.findall(read(page)):
        for line in block.splitlines():
            program, *words = shlex.split(line, comments=True)
            if program == "python":
                runpy.run_path(words[0], run_name="__main__")
            else:
                assert (program, main(words)) == ("reckon", 0), line


def test_the_verifier_of_its_page_is_found_by_its_name(tmp_path: Path) -> None:
    """In a tree of its own, since a module of ours has its place in ours."""
    page = DOCS / "writing" / "verifier.md"
    for folder in ("verifiers", "recipes", "rollout", "rl", "data_pipeline"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert len(files_of(page, tmp_path)) == 1
    # before any other tree, in workers too: a developer's environment may put its own first
    (tmp_path / "sitecustomize.py").write_text(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\n")
    said = []
    for line in RUN.findall(read(page))[0].splitlines():
        words = [sys.executable, "-m", "recipes.commands.cli", *shlex.split(line)[1:]]
        done = subprocess.run(words, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stdout)
    assert '"status": "right"' in said[0]
    assert "read '5000' as digits, at most 3; wanted 5" in said[1]
    assert re.search(r"^digits\b.*longest", said[2], re.MULTILINE)


# --- links, menus, tables --------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", read(page)), re.MULTILINE)
    return {re.sub(r"[\s]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", read(page))):
        if target.startswith(("http:", "https:")):
            continue
        place, _, anchor = target.partition("#")
        found = (page.parent / place).resolve() if place else page
        assert found.exists(), target
        if DOCS in page.parents:
            assert found == page or DOCS in found.parents, f"{target} lies outside of the site"
        if anchor:
            assert anchor in anchors(found), target


def test_the_readme_begins_with_a_sentence_a_command_a_picture_and_figures_and_stays_short() -> None:
    text = read(ROOT / "README.md")
    first = re.sub(r"\(docs/[\w.]+\)", "(picture)", text).splitlines()[:24]
    places = [next(n for n, line in enumerate(first) if line.startswith(begin)) for begin in ("Reckon ", "```sh", "![", "| measured")]
    assert places == sorted(places)
    assert len(text.splitlines()) < 200


def test_every_page_is_in_the_menu_once_and_everything_in_the_menu_is_there() -> None:
    def pages(entry: object) -> Iterator[str]:
        if isinstance(entry, str):
            yield entry
        for inner in entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else ():
            yield from pages(inner)

    named = list(pages(yaml.safe_load(read(ROOT / "mkdocs.yml"))["nav"]))
    assert sorted(named) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def test_the_reference_names_modules_that_are_there() -> None:
    named = [name for page in (DOCS / "reference").glob("*.md") for name in re.findall(r"^::: (\S+)$", read(page), re.MULTILINE)]
    assert len(named) > 30
    assert [name for name in named if importlib.util.find_spec(name) is None] == []
    assert len(named) == len(set(named))


@pytest.mark.parametrize("name", draw_names.TABLES)
def test_the_tables_of_other_names_are_of_today(name: str) -> None:
    page = read(DOCS / "from" / f"{name}.md")
    assert draw_names.filled(page, draw_names.TABLES[name]) == page, "python -m docs.draw_names"


def test_the_picture_of_the_data_flow_is_of_today() -> None:
    assert draw_flow.picture() == read(DOCS / "data_flow.svg"), "python -m docs.draw_flow"
    assert {end for arrow in draw_flow.ARROWS for end in arrow[:2]} == draw_flow.BOXES.keys()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_rows_of_data_are_json(page: Path) -> None:
    for found in FENCE.finditer(read(page)):
        if found["language"] == "json":
            for line in found["body"].splitlines():
                json.loads(line)


def test_alarms_and_statuses_stand_in_the_page_of_symptoms() -> None:
    from rl.loop.alarms import ALARMS
    from verifiers.verdict import Status

    page = read(DOCS / "troubleshooting.md")
    table = page.partition("| alarm |")[2].partition("\n\n")[0].strip().splitlines()[2:]
    assert len(table) == len(ALARMS)
    assert [status for status in Status if status.name in ("TIMEOUT", "CRASH", "BAD_GOLD") and status.value not in page] == []


@pytest.mark.slow
def test_the_site_is_built_without_a_warning_and_takes_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path / "site")]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1"}
    done = subprocess.run(words, cwd=ROOT, env=quiet, capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if not line.startswith("INFO")]
    assert (done.returncode, done.stdout, said) == (0, "", [])
    for page in (tmp_path / "site").rglob("*.html"):
        assert not re.search(r'<(?:script|img|iframe)[^>]*src="(?:https?:)?//|<link[^>]*href="(?:https?:)?//', page.read_text()), page
