"""`reckon mine`: what its commands print and write, and one clear line for what the user got wrong."""

import fcntl
import io
import json
import re
import resource
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from data_pipeline.commands import mine_command
from data_pipeline.commands.demo_pages import SEED_HOST
from data_pipeline.commands.demo_web import BENCHMARK, web, write_web
from data_pipeline.commands.terminal_output import Progress, aligned_table
from data_pipeline.loop.run_settings import CHOICES, Settings, fields, from_mapping, read_config, to_mapping
from tests.data_pipeline import stand_ins as mining_stand_ins
from verifiers.input_error import InputError

SHARE = 0.2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A web and the documents extracted from it by the command."""
    folder = tmp_path_factory.mktemp("cli")
    archives = write_web(folder / "web", share=SHARE)
    assert mine_command.main(["extract", *map(str, archives), "--out", str(folder / "docs.jsonl")]) == 0
    return folder


@pytest.fixture(scope="module")
def finished(folder):
    from data_pipeline.loop import mining_round, spread_work

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mining_round, "train", mining_stand_ins.train)
        patch.setattr(spread_work, "TASK", "tests.data_pipeline.loop.quick_tasks:page_task")
        config = folder / "config.toml"
        config.write_text(f'inputs = ["{folder}/web/demo-0*.warc.gz"]\nseed_domains = ["{SEED_HOST}"]\nrounds = 1\nproblems = false\n')
        assert mine_command.main(["run", str(config), "--out", str(folder / "run"), "--benchmarks", str(folder / "web" / BENCHMARK)]) == 0
    return folder / "run"


def documents(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def error_of(capsys, *arguments: str) -> str:
    """The one line of a refused command."""
    capsys.readouterr()
    assert mine_command.main(list(arguments)) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1:]
    assert len(said) == 1
    assert said[0].startswith("error: ")
    return said[0]


# Commands -------------------------------------------------------------------------------------------------------------------------------


def test_extract_writes_one_object_a_page_kept_or_not(folder, tmp_path):
    rows = documents(folder / "docs.jsonl")
    assert sorted(row["url"] for row in rows) == sorted(page.url for page in web(share=SHARE))
    assert all({"url", "text", "formulas", "dropped"} <= set(row) for row in rows)
    lesson = next(row for row in rows if SEED_HOST in row["url"])
    assert sum(lesson["formulas"].values()) >= 5
    assert "$" in lesson["text"]
    assert not list(folder.glob(".*")), "nothing is left beside the output"


def test_extract_takes_single_pages_and_folders(tmp_path):
    (tmp_path / "pages" / "deep").mkdir(parents=True)
    (tmp_path / "pages" / "deep" / "a.html").write_text(
        "<html><body><p>The square of \\(a+b\\) is larger than we thought it was.</p></body></html>"
    )
    (tmp_path / "b.html").write_text("<html><body></body></html>")
    assert mine_command.main(["extract", str(tmp_path / "pages"), str(tmp_path / "b.html"), "--out", str(tmp_path / "out.jsonl")]) == 0
    by_name = {row["url"].rsplit("/", 1)[-1]: row for row in documents(tmp_path / "out.jsonl")}
    assert "$a+b$" in by_name["a.html"]["text"]
    assert by_name["a.html"]["dropped"] is None
    assert by_name["b.html"]["dropped"]


PAGE = "<html><body><p>The square of \\(a+b\\) is larger than we thought it was.</p></body></html>"


def test_extract_keeps_the_order_of_its_inputs_and_forgets_those_of_an_earlier_attempt(tmp_path, monkeypatch):
    for name in "cab":
        (tmp_path / f"{name}.html").write_text(PAGE)
    named = [str(tmp_path / f"{name}.html") for name in "cab"]
    monkeypatch.setattr("data_pipeline.commands.extract_command.write_docs", _interrupt)
    assert mine_command.main(["extract", *named, "--out", str(tmp_path / "out.jsonl")]) == 130
    assert not (tmp_path / "out.jsonl").exists()
    monkeypatch.undo()
    assert mine_command.main(["extract", *named[:2], "--out", str(tmp_path / "out.jsonl")]) == 0
    assert [row["url"][-6:] for row in documents(tmp_path / "out.jsonl")] == ["c.html", "a.html"]


def _interrupt(*_):
    raise KeyboardInterrupt


def test_a_damaged_archive_is_named_with_what_is_wrong(capsys, folder, tmp_path):
    whole = (folder / "web" / "demo-00.warc.gz").read_bytes()
    (tmp_path / "cut.warc.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "none.warc").write_bytes(b"")
    out = str(tmp_path / "out.jsonl")
    assert mine_command.main(["extract", str(tmp_path / "cut.warc.gz"), str(tmp_path / "none.warc"), "--out", out]) == 0
    said = capsys.readouterr().err
    assert "damaged: 2 archives" in said
    assert re.search(r"cut\.warc\.gz: truncated archive 1", said)
    assert re.search(r"none\.warc: no archive 1", said)
    assert documents(tmp_path / "out.jsonl")


def test_nothing_is_left_of_an_extraction_that_could_not_begin(capsys, tmp_path):
    (tmp_path / "none.warc").write_bytes(b"")
    assert "is empty" in error_of(capsys, "extract", str(tmp_path / "none.warc"), "--out", str(tmp_path / "out.jsonl"))
    assert [path.name for path in tmp_path.iterdir()] == ["none.warc"]


def test_two_commands_do_not_write_one_file(capsys, tmp_path):
    (tmp_path / "a.html").write_text(PAGE)
    (tmp_path / ".out.jsonl.parts").mkdir()
    with (tmp_path / ".out.jsonl.parts" / ".command").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "another process is writing it" in error_of(
            capsys, "extract", str(tmp_path / "a.html"), "--out", str(tmp_path / "out.jsonl")
        )


@pytest.mark.parametrize("kilobytes", [80, pytest.param(20, marks=pytest.mark.slow)])
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(folder, tmp_path, kilobytes):
    """The largest file that may be written stands in for the disk: the same error comes from the same calls."""
    archive, out = str(folder / "web" / "demo-00.warc.gz"), tmp_path / "out.jsonl"
    command = [sys.executable, "-m", "data_pipeline.commands.mine_command", "extract", archive, "--out", str(out)]
    limit = kilobytes << 10
    done = subprocess.run(
        command, capture_output=True, text=True, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)), check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert re.match("error: .*File too large", done.stderr.splitlines()[-1])
    assert mine_command.main(["extract", archive, "--out", str(out)]) == 0
    ids = [row["id"] for row in documents(out)]
    assert len(ids) == len(set(ids)) == sum(row["archive"] == archive for row in documents(folder / "docs.jsonl"))


def test_dedup_marks_copies_and_drops_them_on_request(folder, tmp_path):
    assert mine_command.main(["dedup", str(folder / "docs.jsonl"), "--out", str(tmp_path / "marked.jsonl")]) == 0
    assert mine_command.main(["dedup", str(folder / "docs.jsonl"), "--out", str(tmp_path / "left.jsonl"), "--drop"]) == 0
    marked, left = documents(tmp_path / "marked.jsonl"), documents(tmp_path / "left.jsonl")
    assert len(marked) == len(documents(folder / "docs.jsonl"))
    assert [row["id"] for row in left] == [row["id"] for row in marked if not row["dropped"]]
    assert len(marked) - len(left) >= 6
    assert {path.name for path in tmp_path.iterdir()} == {"marked.jsonl", "left.jsonl"}


def test_decontaminate_removes_the_planted_question(folder, tmp_path):
    before = (folder / "docs.jsonl").read_text()
    assert "17 rows of tulips" in before
    benchmark = str(folder / "web" / BENCHMARK)
    assert (
        mine_command.main(["decontaminate", str(folder / "docs.jsonl"), "--benchmarks", benchmark, "--out", str(tmp_path / "clean.jsonl")])
        == 0
    )
    assert "17 rows of tulips" not in (tmp_path / "clean.jsonl").read_text()
    assert len(documents(tmp_path / "clean.jsonl")) == len(before.splitlines())


def test_decontaminate_lists_its_hits_and_cleans_problems_and_chats(folder, tmp_path, capsys):
    benchmark, docs = str(folder / "web" / BENCHMARK), str(folder / "docs.jsonl")
    hits = tmp_path / "hits.jsonl"
    common = ["--benchmarks", benchmark, "--out", str(tmp_path / "clean.jsonl"), "--hits", str(hits)]
    assert mine_command.main(["decontaminate", docs, *common]) == 0
    planted = [row["id"] for row in documents(folder / "docs.jsonl") if "17 rows of tulips" in row["text"]]
    assert {row["id"] for row in documents(hits)} == set(planted)
    question = documents(folder / "web" / BENCHMARK)[0]["problem"]
    rows = [{"id": "a", "prompt": question, "answer": "1"}, {"id": "b", "prompt": "What is $2+2$?", "answer": "4"},
            {"messages": [{"role": "user", "content": f"Now: {question}"}]}]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert mine_command.main(["decontaminate", str(tmp_path / "rows.jsonl"), "--rows", *common]) == 0
    assert documents(tmp_path / "clean.jsonl") == [rows[1]]
    assert {row["id"] for row in documents(hits)} == {"a", f"{tmp_path / 'rows.jsonl'}:3"}
    (tmp_path / "rows.jsonl").write_text("[1]\n")
    assert "rows.jsonl:1: not a JSON object" in error_of(capsys, "decontaminate", str(tmp_path / "rows.jsonl"), "--rows", *common)


def test_difficulty_without_measured_rates_is_refused(folder, tmp_path, capsys):
    arguments = ["problems", str(folder / "docs.jsonl"), "--out", str(tmp_path / "p.jsonl"), "--least", "0.2"]
    assert "--solve-rates" in error_of(capsys, *arguments)


def test_problems_are_written_with_true_answers(folder, tmp_path):
    lessons = tmp_path / "lessons.jsonl"
    chosen = [row for row in documents(folder / "docs.jsonl") if SEED_HOST in row["url"]][:3]
    lessons.write_text("".join(json.dumps(row) + "\n" for row in chosen))
    assert mine_command.main(["problems", str(lessons), "--out", str(tmp_path / "problems.jsonl")]) == 0
    found = documents(tmp_path / "problems.jsonl")
    assert found
    for row in found:
        a, b, c = map(int, re.search(r"(\d+)x \+ (\d+) = (\d+)", row["prompt"]).groups())
        assert a * int(row["answer"]) + b == c


@pytest.mark.slow
def test_train_and_score_put_mathematics_above_the_rest(folder, tmp_path):
    truth = {page.url: page.mathematical for page in web(share=SHARE)}
    files = {kind: tmp_path / f"{kind}.jsonl" for kind in (True, False)}
    for kind, file in files.items():
        file.write_text("".join(json.dumps(row) + "\n" for row in documents(folder / "docs.jsonl") if truth[row["url"]] is kind))
    model = tmp_path / "model.bin"
    assert mine_command.main(["train", str(files[True]), "--negatives", str(files[False]), "--out", str(model), "--preset", "small"]) == 0
    assert mine_command.main(["score", str(folder / "docs.jsonl"), "--model", str(model), "--out", str(tmp_path / "scored.jsonl")]) == 0
    scores = {row["url"]: row["scores"]["math"] for row in documents(tmp_path / "scored.jsonl") if not row["dropped"]}
    good = [score for url, score in scores.items() if truth[url]]
    bad = [score for url, score in scores.items() if not truth[url]]
    assert sum(score > 0.5 for score in good) > 0.9 * len(good)
    assert sum(score > 0.5 for score in bad) < 0.1 * len(bad)


def test_run_reads_a_configuration_that_options_override(finished):
    config = json.loads((finished / "config.json").read_text())
    assert config["settings"]["seed_domains"] == [SEED_HOST]
    assert config["settings"]["benchmarks"][0].endswith(BENCHMARK)
    assert (finished / "corpus" / "manifest.json").is_file()


def test_a_report_is_drawn_again_and_stats_name_the_damaged(finished, folder, capsys, tmp_path):
    (finished / "report.html").unlink()
    assert mine_command.main(["report", str(finished)]) == 0
    page = (finished / "report.html").read_text()
    assert "Cost of a billion pages" in page
    steps = {row["step"]: row for row in json.loads((finished / "funnel.json").read_text())["steps"]}
    assert steps["extract"]["processes"] >= 1
    assert steps["round-01"]["training_seconds"] >= 0
    assert 0 <= steps["round-01"]["training_core_seconds"] <= steps["round-01"]["core_seconds"]
    assert "is no run's folder" in error_of(capsys, "report", str(folder))


def test_archives_that_come_later_are_told_and_left_out(finished, folder, capsys):
    new = folder / "web" / "demo-09.warc.gz"
    new.write_bytes((folder / "web" / "demo-00.warc.gz").read_bytes())
    before = (finished / "config.json").read_bytes()
    arguments = ["run", str(folder / "config.toml"), "--out", str(finished), "--benchmarks", str(folder / "web" / BENCHMARK)]
    assert mine_command.main(arguments) == 0
    new.unlink()
    assert "1 of 3 sources came after this run" in capsys.readouterr().err
    assert (finished / "config.json").read_bytes() == before


def test_stats_of_a_run_and_of_documents(finished, folder, capsys):
    assert mine_command.main(["stats", str(finished), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["step"] for row in found["steps"]][:3] == ["extract", "duplicates", "round-01"]
    assert found["rounds"][0]["collected"] > 0
    assert mine_command.main(["stats", str(folder / "docs.jsonl"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    rows = documents(folder / "docs.jsonl")
    assert found["documents"] == len(rows)
    assert found["characters"] == sum(len(row["text"]) for row in rows if not row["dropped"])
    assert found["hosts"][SEED_HOST] == sum(SEED_HOST in row["url"] for row in rows if not row["dropped"])
    assert mine_command.main(["stats", str(finished)]) == 0
    assert "round-01" in capsys.readouterr().out


def test_inspect_tells_a_documents_way_through_the_run(finished, capsys):
    copies = [row for path in sorted((finished / "duplicates").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    copy = next(row for row in copies if row["reason"] != "duplicate: record")
    assert mine_command.main(["inspect", f"{copy['id']:016x}", "--in", str(finished), "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert stages[1] == {"stage": "duplicates", "outcome": copy["reason"], "kept": copy["kept"]}
    assert len(stages) == 2
    assert mine_command.main(["inspect", copy["kept"], "--in", str(finished), "--json"]) == 0
    assert [row["outcome"] for row in json.loads(capsys.readouterr().out)["stages"]][:3] == ["kept", "kept", "collected"]


def test_inspect_finds_by_url_and_by_line(folder, capsys):
    rows = documents(folder / "docs.jsonl")
    for name in (rows[4]["url"], rows[4]["url"] + "#part", "5", rows[4]["id"]):
        assert mine_command.main(["inspect", name, "--in", str(folder / "docs.jsonl"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["document"]["id"] == rows[4]["id"]


# Wrong input ----------------------------------------------------------------------------------------------------------------------------


def test_unknown_names_get_the_nearest_one(capsys, tmp_path):
    assert "did you mean extract?" in error_of(capsys, "extrac")
    assert "did you mean --rounds?" in error_of(capsys, "run", "x.warc", "--out", str(tmp_path / "o"), "--round", "3")
    config = tmp_path / "c.toml"
    config.write_text("domain_shares = 0.2\n")
    assert "did you mean domain_share?" in error_of(capsys, "run", str(config), "--out", str(tmp_path / "o"))
    assert "did you mean deepseekmath?" in error_of(capsys, "run", "x.warc", "--out", str(tmp_path / "o"), "--preset", "deepseek-math")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [("rounds = [", "not readable as TOML"), ('rounds = "3"', "should be int"), ("rounds = true", "should be int"),
     ("rounds = 0", "less than 1"),
     ("domain_share = 10", "between 0 and 1"), ("seed = [1]", "list of strings"), ("inputs = 3", "list of paths"),
     ("budget = 5\nthreshold = 0.5", "give one of them"), ("\x00", "not readable as TOML")],
)  # fmt: skip
def test_a_wrong_configuration_is_one_line(capsys, tmp_path, text, said):
    config = tmp_path / "c.toml"
    config.write_text(text)
    assert said in error_of(capsys, "run", str(config), "--out", str(tmp_path / "o"))


def test_missing_and_misplaced_files_are_one_line(capsys, tmp_path, folder):
    docs = str(folder / "docs.jsonl")
    assert "missing" in error_of(capsys, "run", "missing.warc.gz", "--seed-domains", "a.org", "--out", str(tmp_path / "o"))
    assert "missing.toml" in error_of(capsys, "run", "missing.toml", "--out", str(tmp_path / "o"))
    assert "missing" in error_of(capsys, "extract", "missing.warc.gz", "--out", str(tmp_path / "x.jsonl"))
    assert ".jsonl" in error_of(capsys, "extract", docs, "--out", str(tmp_path / "x.txt"))
    assert "is one of the inputs" in error_of(capsys, "dedup", docs, "--out", docs)
    assert "no benchmarks" in error_of(capsys, "decontaminate", docs, "--out", str(tmp_path / "x.jsonl"))
    assert "missing" in error_of(capsys, "stats", "missing")
    assert "no document" in error_of(capsys, "inspect", "0123456789abcdef", "--in", docs)
    assert "missing.bin" in error_of(capsys, "score", docs, "--model", "missing.bin", "--out", str(tmp_path / "x.jsonl"))
    assert "no inputs" in error_of(capsys, "run", "--out", str(tmp_path / "o"))
    assert "--out" in error_of(capsys, "run", docs)


def test_a_demo_does_not_replace_a_folder_of_something_else(capsys, tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    assert "something else" in error_of(capsys, "demo", "--out", str(tmp_path))
    assert (tmp_path / "thesis.tex").exists()


# Small parts ----------------------------------------------------------------------------------------------------------------------------


def test_settings_survive_a_round_trip_and_every_field_is_explained():
    settings = Settings(seed=("a", "b"), budget=7, domain_share=0.25)
    assert from_mapping(to_mapping(settings), where="x") == settings
    assert all(entry.metadata["help"] and entry.metadata["step"] for entry in fields().values())
    assert all(getattr(Settings(), name) in choices for name, choices in CHOICES.items())


def test_a_single_string_is_a_list_of_one(tmp_path):
    config = tmp_path / "c.toml"
    config.write_text('inputs = "x.warc"\nseed = "y.jsonl"\n')
    assert read_config(config) == (Settings(seed=("y.jsonl",)), ["x.warc"], None)
    with pytest.raises(InputError, match="no such configuration"):
        read_config(tmp_path / "none.toml")


def test_the_progress_line_by_hand():
    progress = Progress(io.StringIO(), live=False)
    progress.begin("scoring", 1000)
    line = progress.line(200, 4_000_000, {"kept": 150, "a: x": 20, "b: y": 30}, 2.0)
    assert line == "scoring: 200 of 1,000 pages | 100/s | 2.0 MB/s | kept 150 | b: y 30 | a: x 20 | 8 s left"
    progress.begin("extracting 3 sources")
    assert progress.line(200, 0, {}, 10.0, 0.25) == "extracting 3 sources: 200 pages | 20/s | 30 s left"


def test_a_log_gets_a_line_only_now_and_then():
    stream = io.StringIO()
    progress = Progress(stream, live=False)
    progress.begin("scoring", 1000)
    for done in range(1000):
        progress.advance(done)
    progress.note("done")
    assert stream.getvalue().splitlines() == ["scoring: 1,000 pages", "done"]


def test_tables_are_aligned():
    assert aligned_table(["a", "n", "why"], [["x", "1", "because"], ["long", "22", ""]]) == [
        "a      n  why",
        "----  --  -------",
        "x      1  because",
        "long  22",
    ]


def test_a_package_that_is_not_installed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name="selectolax.lexbor")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(InputError, match=r"selectolax\.lexbor is missing; mining needs: pip install 'reckon-rl\[data\]'"):
        mine_command.command(["stats", "x"])


def test_pages_are_read_only_from_where_the_lists_say(tmp_path: Path) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    for name in ("good", "bad"):
        (pages / f"{name}.html").write_text(f"<html><body><p>The {name} page has a sentence of its own.</p></body></html>")
    addresses = [json.loads(line)["url"] for line in extracted(pages, tmp_path / "all.jsonl")]
    bad = next(url for url in addresses if url.endswith("bad.html"))
    (tmp_path / "block.txt").write_text(f"# not these\n{bad}\n")
    (tmp_path / "allow.txt").write_text(f"{bad}\n")

    def outcome(option: str, name: str) -> dict[str, str | None]:
        rows = map(json.loads, extracted(pages, tmp_path / f"{name}.jsonl", option, str(tmp_path / name)))
        return {row["url"].rsplit("/", 1)[-1]: row["dropped"] for row in rows}

    assert outcome("--block", "block.txt") == {"good.html": None, "bad.html": "prefilter: blocked"}
    assert outcome("--allow", "allow.txt") == {"good.html": "prefilter: not allowed", "bad.html": None}
    with pytest.raises(InputError, match=r"none\.txt.*give a text file with a host or address a line"):
        extracted(pages, tmp_path / "x.jsonl", "--block", str(tmp_path / "none.txt"))


def extracted(inputs: Path, out: Path, *options: str) -> list[str]:
    assert mine_command.command(["extract", str(inputs), "--out", str(out), *options]) == 0
    return out.read_text().splitlines()


def test_megamaths_curve_can_be_asked_for() -> None:
    from data_pipeline.cleaning.duplicates import MEGAMATH
    from data_pipeline.loop.extracted_pages import duplicates_of
    from data_pipeline.loop.run_settings import Settings

    assert duplicates_of(Settings(lsh="11x10")) == MEGAMATH
    assert duplicates_of(Settings(near_threshold=0.8)).threshold == 0.8
    with pytest.raises(InputError, match="lsh = '5x5' is none of 6x20, 11x10"):
        Settings(lsh="5x5")
