"""Columns of pages against the pages, and texts by frame and line in files of every kind."""

import gzip
import json
import random
from pathlib import Path

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from data_pipeline.columns.minhash import Lsh, shingles, signature
from data_pipeline.columns.page_columns import columns_work, id_key, id_text, read_columns, read_signatures, write_columns
from data_pipeline.documents.addresses import host
from data_pipeline.documents.document import Doc, Origin, doc_id, to_line
from data_pipeline.documents.document_files import docs_in, placed_docs, read_docs, write_lines
from data_pipeline.documents.framed_lines import framed, zstd_chunks
from verifiers.input_error import InputError

LSH = Lsh(rows=3, bands=4)


def pages(count: int) -> list[Doc]:
    draw = random.Random(3)
    found = []
    for number in range(count):
        origin = Origin("a.warc.gz", number, "2024-05-06T07:08:09Z" if number % 3 else "")
        url = f"https://Site{number % 7}.org/p/{number}?utm_source=x"
        text = " ".join(draw.choices(["sum", "$x^2$", "prime", "求", "\n\n"], k=draw.randint(0, 300)))
        dropped = "quality: too short" if number % 11 == 5 else None
        found.append(Doc(doc_id(url, origin), url, text, origin, formulas={"tex": number % 4}, dropped=dropped))
    return found


def lines_of(docs: list[Doc]) -> list[str]:
    return [to_line(doc)[:-1] for doc in docs]


def written(docs: list[Doc], file: Path) -> Path:
    """The documents in a file of the kind that its name says: many frames, one, cut anywhere, plain, gzip or Parquet."""
    text = "".join(line + "\n" for line in lines_of(docs)).encode()
    if file.name == "framed.jsonl.zst":
        file.write_bytes(b"".join(framed((line + b"\n" for line in text.split(b"\n")[:-1]), size=5000)))
    elif file.name == "cut.jsonl.zst":  # frames that end in the middle of lines
        file.write_bytes(b"".join(zstandard.compress(text[start : start + 1999]) for start in range(0, len(text), 1999)))
    elif file.name == "one.jsonl.zst":
        file.write_bytes(zstandard.compress(text))
    elif file.name == "unended.jsonl":
        file.write_bytes(text[:-1])
    elif file.name.endswith(".gz"):
        file.write_bytes(gzip.compress(text))
    elif file.name.endswith(".parquet"):
        rows = [{"id": doc.id, "url": doc.url, "text": doc.text, "dropped": doc.dropped, "date": doc.origin.date} for doc in docs]
        pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=17)
    else:
        file.write_bytes(text)
    return file


KINDS = ("framed.jsonl.zst", "cut.jsonl.zst", "one.jsonl.zst", "plain.jsonl", "unended.jsonl", "packed.jsonl.gz", "table.parquet")


@pytest.mark.parametrize("kind", KINDS)
def test_chosen_texts_come_back_from_files_of_every_kind(tmp_path, kind):
    file = written(pages(120), tmp_path / kind)
    docs = list(read_docs(file))
    placed = list(placed_docs(file))
    assert [doc for _, _, doc in placed] == docs
    assert [number for _, number, _ in placed] == list(range(1, 121))
    for rows in ([], [0], [119], [3, 4, 5, 60, 60, 118], list(range(120))):
        frames, lines = [placed[row][0][0] for row in rows], [placed[row][0][1] for row in rows]
        assert list(docs_in(file, frames, lines)) == [docs[row] for row in rows]
    if kind == "framed.jsonl.zst":
        assert len({place[0] for place, _, _ in placed}) > 10


@pytest.mark.parametrize("kind", ["plain.jsonl", "frames.jsonl.zst", "table.parquet"])
def test_rows_without_ids_are_the_same_documents_by_their_numbers(tmp_path, kind):
    file = tmp_path / kind
    rows = [{"text": f"text {number}", **({"id": number} if number % 2 else {})} for number in range(50)]
    if kind == "table.parquet":
        pq.write_table(pa.Table.from_pylist([{**row, "id": None} for row in rows]), file)
    else:
        text = [json.dumps(row) + "\n" for row in rows]
        text.insert(7, "\n")  # a blank line counts as a line
        file.write_bytes("".join(text).encode() if kind == "plain.jsonl" else b"".join(framed((t.encode() for t in text), size=100)))
    docs = list(read_docs(file))
    placed = list(placed_docs(file))[10:40:3]
    frames, lines, numbers = ([place[0] for place, *_ in placed], [place[1] for place, *_ in placed], [number for _, number, _ in placed])
    assert list(docs_in(file, frames, lines, numbers)) == docs[10:40:3]
    with pytest.raises(ValueError, match="numbers alone"):
        list(docs_in(file, frames, lines))


def test_only_the_frames_that_are_asked_for_are_decoded(tmp_path):
    file = written(pages(120), tmp_path / "framed.jsonl.zst")
    placed = list(placed_docs(file))
    starts = sorted({place[0] for place, _, _ in placed})
    content = bytearray(file.read_bytes())
    for frame in starts[:5] + starts[7:]:
        content[frame : frame + 4] = b"gone"
    file.write_bytes(content)
    (place, _, doc) = next(entry for entry in placed if entry[0][0] == starts[6])
    assert list(docs_in(file, [place[0]], [place[1]])) == [doc]
    with pytest.raises(InputError, match="broken"):
        list(docs_in(file, [starts[8]], [0]))


def test_places_of_another_file_are_one_line(tmp_path):
    file = written(pages(30), tmp_path / "framed.jsonl.zst")
    with pytest.raises(InputError, match="no line 4000 in the frame at byte 0"):
        list(docs_in(file, [0], [4000]))
    table = written(pages(30), tmp_path / "table.parquet")
    with pytest.raises(InputError, match="no row 99 in row group 1"):
        list(docs_in(table, [1], [99]))


def test_frames_end_at_lines_hold_a_megabyte_and_are_the_same_bytes_again(tmp_path):
    lines = [f"{number} " + "x" * 30_000 for number in range(150)]
    assert write_lines(tmp_path / "a.jsonl.zst", lines) == 150
    write_lines(tmp_path / "b.jsonl.zst", iter(lines))
    assert (tmp_path / "a.jsonl.zst").read_bytes() == (tmp_path / "b.jsonl.zst").read_bytes()
    frames: dict[int, bytes] = {}
    for start, chunk in zstd_chunks(tmp_path / "a.jsonl.zst"):
        frames[start] = frames.get(start, b"") + chunk
    assert b"".join(frames.values()).decode() == "".join(line + "\n" for line in lines)
    assert all(text.endswith(b"\n") for text in frames.values())
    assert all(1 << 20 <= len(text) < (1 << 20) + 40_000 for text in list(frames.values())[:-1])
    assert write_lines(tmp_path / "none.jsonl.zst", []) == 0
    assert list(placed_docs(tmp_path / "none.jsonl.zst")) == []
    assert zstandard.decompress((tmp_path / "none.jsonl.zst").read_bytes()) == b""


def test_columns_say_what_the_kept_pages_are(tmp_path):
    docs = pages(1200)
    source = tmp_path / "docs.jsonl.zst"
    write_lines(source, lines_of(docs))
    told: list[int] = []
    work = columns_work("docs", source, tmp_path / "columns", LSH)
    counts = write_columns(work, lambda so_far: told.append(so_far["pages"]))
    kept = [doc for doc in docs if doc.dropped is None]
    assert counts == {"pages": len(kept)}
    assert told == [500, 1000]
    table = read_columns(tmp_path / "columns", "docs", ["id", "name", "url", "host", "tokens", "formulas", "length", "date", "words"])
    for row, doc in zip(table.to_pylist(), kept, strict=True):
        assert id_text(row["id"], row["name"]) == doc.id
        assert (row["url"], row["host"], row["length"]) == (doc.url, host(doc.url), len(doc.text))
        assert row["tokens"] == max(1, round(len(doc.text) / 3.5))
        assert row["formulas"] == doc.formulas["tex"]
        assert row["date"] == (20240506070809 if doc.origin.date else 99999999999999)
        assert row["words"] == bool(doc.text.split())
    places = read_columns(tmp_path / "columns", "docs", ["frame", "line"])
    assert list(docs_in(source, places["frame"].to_pylist(), places["line"].to_pylist())) == kept
    signatures = read_signatures(tmp_path / "columns", "docs", LSH)
    assert (signatures[17] == signature(shingles(kept[17].text), LSH.permutations())).all()
    before = {path.name: path.read_bytes() for path in (tmp_path / "columns").iterdir()}
    write_columns(work, lambda so_far: None)
    assert {path.name: path.read_bytes() for path in (tmp_path / "columns").iterdir()} == before
    assert set(before) == {"docs.parquet", "docs.signatures"}


def test_columns_are_the_same_bytes_in_a_store(tmp_path):
    source = tmp_path / "docs.jsonl.zst"
    write_lines(source, lines_of(pages(60)))
    write_columns(columns_work("docs", source, tmp_path / "here", LSH), lambda so_far: None)
    store = fsspec.filesystem("memory")
    store.pipe_file("/columns-in/docs.jsonl.zst", source.read_bytes())
    write_columns(columns_work("docs", "memory://columns-in/docs.jsonl.zst", "memory://columns-out", LSH), lambda so_far: None)
    for name in ("docs.parquet", "docs.signatures"):
        assert store.cat_file(f"/columns-out/{name}") == (tmp_path / "here" / name).read_bytes()
    write_columns(columns_work("docs", source, "memory://columns-out", None), lambda so_far: None)
    assert not store.exists("/columns-out/docs.signatures")


def test_ids_of_others_keep_their_text_and_addresses_need_not_be_unicode(tmp_path):
    source = tmp_path / "docs.jsonl"
    source.write_text(json.dumps({"id": "mine", "text": "a", "url": "http://a.org/\ud800"}) + "\n" + json.dumps({"text": "b"}) + "\n")
    write_columns(columns_work("k", source, tmp_path, None), lambda so_far: None)
    mine, hashed = read_columns(tmp_path, "k", ["id", "name", "url", "url_key"]).to_pylist()
    assert (mine["name"], mine["id"], mine["url"]) == ("mine", id_key("mine"), "http://a.org/?")
    assert hashed["name"] is None
    assert hashed["url_key"] == 0
    with pytest.raises(InputError, match="without signatures"):
        read_signatures(tmp_path, "k", LSH)


def test_the_configuration_changes_with_what_decides_the_outputs():
    configs = {
        columns_work("k", "s", "o", lsh, of=of).config for lsh, of in ((LSH, ""), (None, ""), (Lsh(seed=2), ""), (LSH, "extraction 2"))
    }
    assert len(configs) == 4
    assert columns_work("other", "t", "p", LSH).config in configs


def test_damaged_columns_are_one_line(tmp_path):
    source = tmp_path / "docs.jsonl"
    source.write_text('{"text": "a b c"}\n')
    write_columns(columns_work("k", source, tmp_path, LSH), lambda so_far: None)
    np.zeros(5, np.uint8).tofile(tmp_path / "k.signatures")
    with pytest.raises(InputError, match="5 bytes for 1 pages"):
        read_signatures(tmp_path, "k", LSH)
    (tmp_path / "k.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="broken columns"):
        read_columns(tmp_path, "k", ["id"])
