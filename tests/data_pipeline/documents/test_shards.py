"""Documents on disk: what is read back, what damage says, and corpora that others can load."""

import gzip
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from data_pipeline.documents import corpus_shards
from data_pipeline.documents.corpus_shards import write_shards
from data_pipeline.documents.document import Doc, Origin, to_line
from data_pipeline.documents.document_files import open_lines, read_docs, write_lines
from verifiers.input_error import InputError


def make(number: int, **more) -> Doc:
    text = more.pop("text", f"Page {number} says $x^{number}$.\n\nSecond paragraph.")
    return Doc(f"{number:016x}", f"https://h{number % 3}.org/{number}", text, Origin("a.warc.gz", number, "2024-05-01T10:00:00Z"), **more)


DOCS = [
    make(0),
    make(1, formulas={"script": 2}, scores={"math": 0.5}),
    make(2, dropped="quality: too short"),
    make(3, formulas={"image": 1, "delimiter": 4}, scores={"language": 0.9, "math": 0.25}, title="Three", language="en"),
]
KEPT = [doc for doc in DOCS if doc.dropped is None]


@pytest.mark.parametrize("name", ["docs.jsonl", "docs.jsonl.gz", "docs.jsonl.zst"])
def test_lines_come_back_as_they_were(tmp_path, name):
    lines = ["first", "", "third \u2028 is one line", "último"]
    assert write_lines(tmp_path / name, lines) == 4
    assert list(open_lines(tmp_path / name)) == lines


def test_documents_come_back_from_the_lines_of_a_stage(tmp_path):
    write_lines(tmp_path / "docs.jsonl.zst", [to_line(doc).rstrip("\n") for doc in DOCS])
    assert list(read_docs(tmp_path / "docs.jsonl.zst")) == DOCS


def test_a_file_of_several_frames_is_read_to_its_end(tmp_path):
    path = tmp_path / "docs.jsonl.zst"
    path.write_bytes(b"".join(zstandard.compress(to_line(doc).encode()) for doc in DOCS))
    assert list(read_docs(path)) == DOCS


@pytest.mark.parametrize("suffix", [".zst", ".gz"])
def test_a_truncated_file_is_one_line_with_its_place(tmp_path, suffix):
    data = "".join(f"{to_line(make(number, text=str(hash((number, 1))) * 50))}" for number in range(3000)).encode()
    path = tmp_path / f"docs.jsonl{suffix}"
    packed = zstandard.compress(data) if suffix == ".zst" else gzip.compress(data)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(InputError, match=rf"docs\.jsonl{suffix}:\d+: .*truncated") as caught:
        list(read_docs(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "1", "te', "not a line of JSON"),
        ("[1, 2]", "JSON object is needed, not list"),
        ('{"id": "1", "url": "u"}', 'needs "text"'),
        ('{"text": 3}', 'needs "text"'),
        ("[" * 100_000, "not a line of JSON"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, says):
    path = tmp_path / "docs.jsonl"
    path.write_text(to_line(DOCS[0]) + line + "\n")
    with pytest.raises(InputError, match=rf"docs\.jsonl:2: .*{says}"):
        list(read_docs(path))


def test_bytes_that_are_no_utf8_are_named(tmp_path):
    (tmp_path / "docs.jsonl").write_bytes(b'{"text": "a"}\n{"text": "\xff"}\n')
    with pytest.raises(InputError, match=r"docs\.jsonl:2: not UTF-8"):
        list(read_docs(tmp_path / "docs.jsonl"))


def test_broken_parquet_is_named(tmp_path):
    pq.write_table(pa.table({"text": ["a" * 1000] * 50}), tmp_path / "docs.parquet")
    whole = (tmp_path / "docs.parquet").read_bytes()
    (tmp_path / "docs.parquet").write_bytes(whole[:-20])
    with pytest.raises(InputError, match=r"docs\.parquet: truncated or broken"):
        list(read_docs(tmp_path / "docs.parquet"))


@pytest.mark.parametrize("name", ["missing", "notes.txt"])
def test_what_holds_no_documents_is_said_so(tmp_path, name):
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=name):
        list(read_docs(tmp_path / name))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no documents in this folder"):
        list(read_docs(tmp_path / "empty"))


def test_foreign_rows_get_ids_of_their_place(tmp_path):
    (tmp_path / "data.jsonl").write_text('{"text": "one"}\n\n{"text": "one", "label": 3}\n')
    docs = list(read_docs(tmp_path / "data.jsonl"))
    assert [doc.text for doc in docs] == ["one", "one"]
    assert docs[0].id != docs[1].id
    assert docs == list(read_docs(tmp_path / "data.jsonl"))


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "jsonl.zst"])
def test_a_corpus_is_whole_counted_and_the_same_every_time(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(corpus_shards, "SHARD_BYTES", 60)
    manifests = [write_shards(DOCS, tmp_path / name, suffix=suffix, config={"seed": 3}) for name in ("one", "two")]
    files = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    assert list(read_docs(tmp_path / "one")) == KEPT
    manifest = json.loads(files["manifest.json"])
    assert manifest == manifests[0]
    assert [shard["file"] for shard in manifest["shards"]] == [f"part-0000{n}.{suffix}" for n in range(2)]
    assert all(shard["sha256"] == hashlib.sha256(files[shard["file"]]).hexdigest() for shard in manifest["shards"])
    assert all(shard["bytes"] == len(files[shard["file"]]) for shard in manifest["shards"])
    assert [shard["documents"] for shard in manifest["shards"]] == [2, 1]
    assert (manifest["documents"], manifest["words"], manifest["tokens"]) == (3, 18, None)
    assert manifest["formulas"] == {"delimiter": 4, "script": 2, "image": 1}
    assert manifest["drops"] == {"quality: too short": 1}
    assert manifest["config"] == {"seed": 3}


@pytest.mark.parametrize("suffix", ["parquet", "jsonl", "jsonl.zst"])
def test_datasets_loads_the_folder_with_every_column(tmp_path, suffix, monkeypatch):
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    monkeypatch.setattr(corpus_shards, "SHARD_BYTES", 60)
    write_shards(DOCS, tmp_path / "corpus", suffix=suffix)
    loaded = datasets.load_dataset(str(tmp_path / "corpus"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 3}
    row = loaded["train"][2]
    assert (row["id"], row["title"], row["archive"], row["offset"]) == (DOCS[3].id, "Three", "a.warc.gz", 3)
    assert {pair["name"]: pair["value"] for pair in row["scores"]} == {"language": 0.9, "math": 0.25}
    assert loaded["train"][0]["formulas"] == []


def test_an_exception_leaves_no_manifest_and_no_half_shard(tmp_path, monkeypatch):
    write_shards(DOCS, tmp_path / "corpus")

    def broken():
        yield from DOCS
        raise RuntimeError("power cut")

    monkeypatch.setattr(corpus_shards, "SHARD_BYTES", 60)
    with pytest.raises(RuntimeError, match="power cut"):
        write_shards(broken(), tmp_path / "corpus")
    assert not (tmp_path / "corpus" / "manifest.json").exists()
    assert not list((tmp_path / "corpus").glob(".tmp-*"))


def test_shards_of_an_earlier_run_go_and_other_files_stay(tmp_path, monkeypatch):
    with monkeypatch.context() as small:
        small.setattr(corpus_shards, "SHARD_BYTES", 60)
        write_shards([make(number) for number in range(9)], tmp_path)
    (tmp_path / "notes.md").write_text("mine")
    manifest = write_shards(DOCS, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"part-00000.parquet", "manifest.json", "README.md", "notes.md"}
    assert manifest["documents"] == 3


def test_an_empty_corpus_has_a_shard_and_a_manifest(tmp_path):
    assert write_shards([], tmp_path)["documents"] == 0
    assert list(read_docs(tmp_path)) == []


def test_half_surrogates_and_numbers_that_are_none_can_be_written(tmp_path):
    odd = make(7, text="broken \udc80 text\x00", scores={"math": float("nan")}, title="\ud800")
    for suffix in ("parquet", "jsonl"):
        write_shards([odd], tmp_path / suffix, suffix=suffix)
        (back,) = read_docs(tmp_path / suffix)
        assert (back.text, back.scores) == ("broken ? text\x00", {})


def test_tokens_are_counted_by_the_chosen_tokenizer(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")  # a token for each character
    (tmp_path / "tok").mkdir()
    tokenizer.save(str(tmp_path / "tok" / "tokenizer.json"))
    manifest = write_shards([make(1, text="abc"), make(2, text="défg")], tmp_path / "corpus", tokenizer=str(tmp_path / "tok"))
    assert manifest["tokens"] == {"tokenizer": "tok", "count": 7}
    assert pq.read_table(tmp_path / "corpus" / "part-00000.parquet")["tokens"].to_pylist() == [3, 4]


@pytest.mark.parametrize("content", [None, "{", '{"model": {"type": "Nonsense"}}'])
def test_a_tokenizer_that_cannot_be_loaded_is_one_line(tmp_path, content):
    folder = tmp_path / "tok"
    folder.mkdir()
    if content:
        (folder / "tokenizer.json").write_text(content)
    with pytest.raises(InputError, match="cannot be loaded") as caught:
        write_shards(DOCS, tmp_path / "corpus", tokenizer=str(folder))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "corpus").exists()


def test_the_card_tells_sources_and_settings_without_being_broken_by_them(tmp_path):
    docs = [make(1), make(2, dropped="duplicate: near"), Doc("5", "http://evil|host<b>.org/\n# Free", "text", Origin("w", 1, "2020"))]
    write_shards(docs, tmp_path, config={"threshold": 0.75, "note": "a\n---\nb"})
    card = Path(tmp_path / "README.md").read_text()
    assert "| `threshold`" not in card
    assert "| threshold | `0.75` |" in card
    assert "| duplicate: near | 1 |" in card
    assert "keeps the licence and the rights of its authors" in card
    assert card.count("\n---\n") == 1
    assert "\n# Free" not in card


def test_a_folder_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        write_shards(DOCS, tmp_path / "file")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("url", 5), ("url", ["a"]), ("title", None), ("language", 5), ("dropped", False), ("dropped", ""), ("date", 20200101),
        ("offset", "x"), ("offset", 10**30), ("archive", {}), ("scores", "x"), ("scores", [1, 2]), ("scores", {"math": "x", "b": None}),
        ("scores", [{"name": 3, "value": 1}]), ("formulas", {"a": "x", "b": 10**30}), ("formulas", [{"name": "a"}]),
    ],
)  # fmt: skip
def test_somebody_elses_column_of_our_name_is_passed_over(tmp_path, column, value):
    file = tmp_path / "theirs.jsonl"
    file.write_text(json.dumps({"text": "Some words.", column: value}) + "\n")
    (read,) = read_docs(file)
    assert (read.text, read.url, read.title, read.dropped, dict(read.scores), dict(read.formulas)) == ("Some words.", "", "", None, {}, {})
    assert write_shards([read], tmp_path / "out")["documents"] == 1


def test_numbered_rows_of_two_files_stay_apart_and_a_byte_order_mark_is_no_text(tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_bytes(b'\xef\xbb\xbf{"id": 7, "text": "one"}\n')
    assert [doc.id for doc in read_docs(tmp_path)] == ["a.jsonl:7", "b.jsonl:7"]
