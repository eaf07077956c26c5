"""Faults of mining that nobody would have noticed: lost rows, wrong names, options that do nothing, seeds refused at the end."""

import json
import os
import random
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from data_pipeline.archives.indexed_pages import Row, read_records, requests
from data_pipeline.archives.named_inputs import expand
from data_pipeline.classifier.math_classifier import PRESETS, Training, train, training_for
from data_pipeline.classifier.training_examples import FEWEST, Example, Examples, split_examples
from data_pipeline.commands import mine_command
from data_pipeline.documents.document import Doc, Origin, to_line
from data_pipeline.extraction import archive_watcher
from data_pipeline.extraction.archive_worker import Job, Snapshot
from data_pipeline.extraction.extraction_options import ExtractionOptions
from data_pipeline.loop.mining_run import _steps_begun
from data_pipeline.loop.step_records import told_once
from data_pipeline.problems.problem_mining import write_problems
from data_pipeline.tasks.file_work import FileWork
from verifiers.atomic_files import json_text, write_json
from verifiers.input_error import InputError
from verifiers.rewards.problem_file import read_problems

MATHEMATICS = ("theorem", "lemma", "proof", "integral", "derivative", "polynomial", "matrix", "prime", "vector", "group", "ring", "field")
OTHER = ("kitchen", "football", "weather", "holiday", "recipe", "garden", "music", "traffic", "market", "hotel", "coffee", "travel")


def text(words: tuple[str, ...], number: int) -> str:
    """Thirty words, other ones for each number."""
    forms = [word + ending for word in words for ending in ("", "s", "like", "ness", "ally")]
    return " ".join(random.Random(number).sample(forms, 30))


def document(words: tuple[str, ...], number: int, host: str) -> Doc:
    url = f"https://{host}/{number}"
    return Doc(f"{zlib.crc32(url.encode()):016x}", url, text(words, number), Origin("x.warc", number))


def write_docs(path: Path, docs: list[Doc]) -> Path:
    path.write_text("".join(map(to_line, docs)))
    return path


def labelled(folder: Path, count: int) -> tuple[Path, Path]:
    """So many documents of mathematics and of something else, each of a site of its own."""
    good = [document(MATHEMATICS, k, f"math{k}.example.org") for k in range(count)]
    bad = [document(OTHER, k, f"other{k}.example.org") for k in range(count)]
    return write_docs(folder / "good.jsonl", good), write_docs(folder / "bad.jsonl", bad)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert mine_command.main(list(arguments)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    return lines[-1]


# Files ----------------------------------------------------------------------------------------------------------------------------------

EXERCISE = "Exercise 1. Compute the sum $3 + 4$ of two numbers.\n\nSolution. The numbers are added: $3 + 4 = 7$.\n\nAnswer: $7$"


@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.zst", "p.jsonl.gz"])
def test_problems_are_compressed_as_their_name_says(tmp_path: Path, name: str) -> None:
    counts = write_problems([Doc("00", "https://a.example/x", EXERCISE, Origin("x", 0))], tmp_path / name)
    assert counts["kept"] == 1
    raw = (tmp_path / name).read_bytes()
    if name.endswith(".zst"):
        raw = zstandard.ZstdDecompressor().decompressobj().decompress(raw)
    elif name.endswith(".gz"):
        import gzip

        raw = gzip.decompress(raw)
    (tmp_path / "plain.jsonl").write_bytes(raw)
    assert [problem.answer for problem in read_problems(tmp_path / "plain.jsonl")] == ["7"]


def test_training_runs_no_module_of_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("secrets", "random", "json", "numpy"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    examples = [Example(text(words, k), words is MATHEMATICS, f"s{k}") for words in (MATHEMATICS, OTHER) for k in range(FEWEST)]
    train(examples, tmp_path / "model.bin", Training(dim=2, bucket=100, epochs=1, min_count=1, small_seeds=False))
    assert (tmp_path / "model.bin").is_file()
    assert not (tmp_path / "ran").exists()


def test_a_missing_line_of_a_list_advises_what_exists(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("gone.warc\n")
    with pytest.raises(InputError, match=r"list\.txt:1: no such file 'gone\.warc'; relative paths begin at .*https://"):
        expand([str(tmp_path / "list.txt")])


def record(number: int) -> bytes:
    body = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>page {number}</p>".encode()
    head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://a.example/{number}\r\nContent-Type: application/http"
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body + b"\r\n\r\n"


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(0, 4), (1, 2)], [0, 1, 2, 3, 1]),  # a row inside a longer one
        ([(0, 4), (1, 2), (2, 3)], [0, 1, 2, 3, 1, 2]),  # two of them, one after the other
        ([(0, 4), (0, 1), (3, 4)], [0, 0, 1, 2, 3, 3]),  # at its beginning and at its end
        ([(0, 2), (1, 4), (2, 3), (5, 6)], [0, 1, 1, 2, 3, 2, 5]),  # overlapping, nested in the second, and after a gap
        ([(1, 2), (1, 3), (0, 3)], [0, 1, 2, 1, 1, 2]),
    ],
)
def test_index_rows_that_lie_in_a_longer_row_are_read(tmp_path: Path, rows: list[tuple[int, int]], expected: list[int]) -> None:
    records = [record(number) for number in range(6)]
    starts = [sum(map(len, records[:number])) for number in range(7)]
    (tmp_path / "a.warc").write_bytes(b"".join(records))
    lines = [{"filename": "a.warc", "offset": starts[begin], "length": starts[end] - starts[begin]} for begin, end in rows]
    (tmp_path / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    outcomes: Counter[str] = Counter()
    found = [int(page.url.rsplit("/", 1)[1]) for page in read_records(tmp_path / "index.jsonl", outcomes=outcomes)]
    assert found == expected
    assert not outcomes["nothing at offset"]


def test_a_short_row_behind_a_long_one_does_not_part_a_request() -> None:
    rows = [Row("a", 0, 9_000_000), Row("a", 10, 20), Row("a", 8_000_000, 500)]
    assert list(requests(rows)) == [rows]


def test_a_page_that_ended_as_it_was_stopped_does_not_cost_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the watcher's look at the clock and its kill the slow page may end, and another begin."""
    started: list[str | None] = []
    later = time.monotonic() + 100
    for moves in (True, False):
        file = FileWork(f"key{moves}", "x.warc", str(tmp_path), "", {})
        options = ExtractionOptions(page_seconds=1.0, page_megabytes=512)
        job = Job(file, options, tmp_path / "part", tmp_path / f"slot{moves}")
        watcher = archive_watcher.Watcher(job, lambda page: document(OTHER, 0, "x"), lambda counts: None)
        watcher._pid = os.fork()
        if watcher._pid == 0:
            time.sleep(60)
            os._exit(0)
        watcher.slot.begin(Snapshot())
        monkeypatch.setattr(archive_watcher.time, "monotonic", lambda: later)
        end = watcher._end

        def kill(watcher: Any = watcher, end: Any = end, moves: bool = moves) -> None:
            if moves:
                watcher.slot.end()
                watcher.slot.begin(Snapshot(number=1))
            end()

        monkeypatch.setattr(watcher, "_end", kill)
        monkeypatch.setattr(watcher, "_start", started.append)
        watcher._look()
        watcher.slot.close()
        monkeypatch.undo()
    assert started == [None, "extract: too slow"]


# Options --------------------------------------------------------------------------------------------------------------------------------


def test_a_threshold_that_megamaths_bands_ignore_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    docs = write_docs(tmp_path / "d.jsonl", [document(OTHER, 0, "a.example")])
    out = str(tmp_path / "o.jsonl")
    said = refusal(capsys, "dedup", str(docs), "--out", out, "--lsh", "11x10", "--near-threshold", "0.9")
    assert "--near-threshold has no effect with --lsh 11x10" in said
    said = refusal(capsys, "dedup", str(docs), "--out", out, "--no-near", "--near-threshold", "0.9")
    assert "--near-threshold has no effect without --near" in said
    assert mine_command.main(["dedup", str(docs), "--out", out, "--lsh", "11x10"]) == 0
    assert mine_command.main(["dedup", str(docs), "--out", out, "--near-threshold", "0.9"]) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--threshold", "1.5"], "--threshold 1.5 is not between 0 and 1"),
        (["--rounds", "0"], "--rounds 0 is less than 1"),
        (["--budget", "5", "--threshold", "0.5"], "--budget and --threshold both choose"),
        (["--page-seconds", "0"], "--page-seconds 0.0 is not between"),
        (["--domain-share", "7"], "--domain-share 7.0 is not between"),
        (["--preset", "smal"], "--preset smal is none of auto, small, deepseekmath; did you mean small?"),
        ([], "--seed FILES or --seed-domains HOSTS"),
    ],
)
def test_a_message_to_a_command_line_speaks_of_options(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    message = refusal(capsys, "run", "x.warc", "--out", str(tmp_path / "o"), *options)
    assert said in message
    assert " = " not in message


def test_a_message_about_a_file_names_the_file_and_its_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "c.toml"
    config.write_text("threshold = 1.5\n")
    assert f"{config}: threshold = 1.5 is not between 0 and 1" in refusal(capsys, "run", str(config), "--out", str(tmp_path / "o"))


def test_the_runs_folder_may_stand_in_the_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f'inputs = "x.warc"\nseed_domains = "a.example"\nout = "{tmp_path}/run"\n')
    assert "x.warc" in refusal(capsys, "run", str(config))
    assert (tmp_path / "run" / "config.json").is_file()
    assert "x.warc" in refusal(capsys, "run", str(config), "--out", str(tmp_path / "other"))
    assert (tmp_path / "other" / "config.json").is_file()
    config.write_text('inputs = "x.warc"\nseed_domains = "a.example"\n')
    assert "no folder for the run; give --out" in refusal(capsys, "run", str(config))
    config.write_text("out = 3\n")
    assert "out should be the path" in refusal(capsys, "run", str(config))


# Seeds and the classifier ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [10, 11, 12, 15, 18, 19, 40])
def test_small_seeds_hold_out_what_they_can_spare(tmp_path: Path, count: int) -> None:
    examples = [Example(text(words, k), words is MATHEMATICS, f"{words[0]}{k}") for words in (MATHEMATICS, OTHER) for k in range(count)]
    with (tmp_path / "lines").open("w+b") as file:
        written = Examples.write(examples, file)
    assert sum(written.positive) == count
    parts = split_examples(written, None, 0)
    left = Counter(written.positive[row] for row in parts["train"])
    assert min(left[True], left[False]) >= FEWEST
    held = Counter(written.positive[row] for row in parts["held_out_sources"])
    assert held[True] == held[False] == min(count - FEWEST, FEWEST)


def test_a_seed_of_ten_trains_through_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = labelled(tmp_path, FEWEST)
    assert mine_command.main(["train", str(good), "--negatives", str(bad), "--out", str(tmp_path / "m.bin")]) == 0
    assert json.loads((tmp_path / "m.json").read_text())["training"]["bucket"] == PRESETS["small"].bucket
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_a_seed_of_documents_that_is_too_small_is_refused_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    docs = [document(MATHEMATICS, k, "a.example") for k in range(9)] + [document(MATHEMATICS, 0, "b.example")]
    short = [Doc(f"{k:016x}", f"https://c.example/{k}", f"lemma {k}", Origin("x", k)) for k in range(20)]
    seed = write_docs(tmp_path / "seed.jsonl", docs + short)
    said = refusal(capsys, "run", "nowhere.warc", "--seed", str(seed), "--out", str(tmp_path / "o"))
    assert "the seed has 9 usable documents" in said
    assert "it needs 10" in said
    assert not (tmp_path / "o").exists()


def test_a_round_that_could_not_train_leaves_the_seed_to_be_changed(tmp_path: Path) -> None:
    (tmp_path / "round-01").mkdir()
    assert "loop" not in _steps_begun(tmp_path)
    (tmp_path / "round-01" / "training.json").write_text("{}")
    assert "loop" in _steps_begun(tmp_path)


def test_the_preset_follows_the_number_of_pages() -> None:
    assert training_for("auto", 800, 3) == Training(dim=64, bucket=200_000, seed=3)
    assert training_for("auto", 100_000, 0) == PRESETS["small"]
    assert training_for("auto", 100_001, 0) == PRESETS["deepseekmath"]
    assert training_for("deepseekmath", 800, 0) == PRESETS["deepseekmath"]


def test_training_takes_pages_and_parquet_as_a_seed_does(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    for number in range(FEWEST):
        paragraphs = "".join(f"<p>{text(MATHEMATICS, number + 20 * k)}.</p>" for k in range(4))
        (pages / f"{number}.html").write_text(f"<html><body><h1>Page {number}</h1>{paragraphs}</body></html>")
    rows = [{"text": document(OTHER, k, "x").text, "url": f"https://b{k}.example/"} for k in range(FEWEST)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "bad.parquet")
    assert mine_command.main(["train", str(pages), "--negatives", str(tmp_path / "bad.parquet"), "--out", str(tmp_path / "m.bin")]) == 0
    documents = json.loads((tmp_path / "m.json").read_text())["documents"]
    assert (documents["math"], documents["other"]) == (FEWEST, FEWEST)
    assert not (tmp_path / ".m.bin.parts").exists()
    (tmp_path / "urls.txt").write_text("https://a.example/1\nhttps://a.example/2\n")
    bad = str(tmp_path / "bad.parquet")
    out = str(tmp_path / "n.bin")
    assert "holds addresses, not texts" in refusal(capsys, "train", str(tmp_path / "urls.txt"), "--negatives", bad, "--out", out)
    assert "nothing to train on" in refusal(capsys, "train", str(tmp_path / "m.bin"), "--negatives", bad, "--out", out)


# What is told ---------------------------------------------------------------------------------------------------------------------------


def test_decontamination_says_what_it_read_and_what_it_removed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    question = "A farmer has seventeen sheep and all but nine of them run away during the cold night"
    (tmp_path / "bench.jsonl").write_text(
        "".join(json.dumps({"problem": row}) + "\n" for row in (question, "Find every such x now", "1+1"))
    )
    kept = "Something else stands here, which no benchmark has ever asked of anybody at all."
    texts = [f"{kept}\n\n{question}.", kept, f"{question}.\n\n{question}."]
    docs = [Doc(f"{k:016x}", f"https://a.example/{k}", text, Origin("x", k)) for k, text in enumerate(texts)]
    arguments = [str(write_docs(tmp_path / "d.jsonl", docs)), "--benchmarks", str(tmp_path / "bench.jsonl"), "--out"]
    assert mine_command.main(["decontaminate", *arguments, str(tmp_path / "o.jsonl")]) == 0
    said = capsys.readouterr().err
    assert "benchmarks: 3 texts of 1 file; 1 of fewer than 3 words cannot be looked for" in said
    gone = 3 * (len(question) + 1) + 2 * 2
    assert f"decontaminate: removed 3 paragraphs ({gone} characters) in 2 documents" in said


def test_the_corpus_step_does_not_repeat_what_its_stages_dropped() -> None:
    steps = [
        {"step": "extract", "dropped": {"extract: empty": 2}},
        {"step": "language", "dropped": {"language: other": 12, "language: none": 1}},
        {"step": "quality", "dropped": {"quality: short": 3}},
        {"step": "corpus", "dropped": {"language: other": 12, "language: none": 1, "quality: short": 3, "corpus: else": 4}},
    ]
    shown = told_once(steps)
    assert shown[-1]["dropped"] == {"corpus: else": 4}
    assert shown[:-1] == steps[:-1]
    assert told_once([steps[0], steps[3]])[-1] == steps[3]


def test_hosts_of_the_seed_that_match_nothing_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pages = tmp_path / "a.warc"
    pages.write_bytes(b"".join(record(number) for number in range(6)))
    out = str(tmp_path / "run")
    hosts = ["a.example", "www.a.example", "nowhere.example.org"]
    assert mine_command.main(["run", str(pages), "--out", out, "--seed-domains", *hosts]) in (0, 2)  # six tiny pages: too few to train on
    said = capsys.readouterr().err
    assert "hold no page of nowhere.example.org, www.a.example (did you mean a.example?)" in said


def test_an_archive_whose_name_is_no_text_is_mined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its name stands in the run's configuration and its markers, which are UTF-8."""
    place = os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.warc")
    Path(place).write_bytes(b"".join(record(number) for number in range(6)))
    out = tmp_path / "run"
    assert mine_command.main(["run", place, "--out", str(out), "--seed-domains", "a.example"]) == 2  # six tiny pages: too few to train on
    assert "the seed" in capsys.readouterr().err.strip().splitlines()[-1]
    assert json.loads((out / "config.json").read_text())["inputs"] == [place]
    assert json.loads((out / "steps" / "extract.json").read_text())["in"] == 6


def test_json_that_is_no_utf_8_is_escaped_and_all_other_stays_as_it_is(tmp_path: Path) -> None:
    for value, written in ({"a": "ü ∫"}, '{"a": "ü ∫"}'), ({"a": "ü\udcff"}, '{"a": "\\u00fc\\udcff"}'):
        assert json_text(value) == written
        write_json(tmp_path / "a.json", value)
        assert json.loads((tmp_path / "a.json").read_text(encoding="utf-8")) == value
