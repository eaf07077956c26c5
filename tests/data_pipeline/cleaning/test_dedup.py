"""Copies: against brute force over sets of words, and what goes and what stays; lines that sites repeat."""

import random
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from data_pipeline.cleaning.duplicates import MEGAMATH, Dedup, copies_of, dedup, drop_duplicates, find_copies, lookup
from data_pipeline.cleaning.near_pairs import bucket_pairs
from data_pipeline.cleaning.repeated_lines import find_boilerplate, remove_boilerplate
from data_pipeline.cleaning.searched_pages import SearchedPages
from data_pipeline.cleaning.spilled_rows import Spill, chunks_of, in_order, sorted_rows
from data_pipeline.columns.minhash import Lsh, jaccard, shingles, signature, spread, word_hashes
from data_pipeline.columns.page_columns import columns_work, id_text, write_columns
from data_pipeline.documents.document import Doc, Origin, doc_id, to_line
from data_pipeline.documents.document_files import write_lines
from verifiers.atomic_files import write_json
from verifiers.input_error import InputError

DEFAULT = Dedup()


def make(text: str, number: int, url: str = "", **more) -> Doc:
    url = url or f"https://site.org/{number}"
    origin = Origin("a.warc.gz", number, more.pop("date", ""))
    return Doc(more.pop("id", doc_id(url, origin)), url, text, origin, **more)


def written(docs, folder: Path, files: int = 1) -> list[Path]:
    inputs = [folder / f"docs-{file}.jsonl.zst" for file in range(files)]
    for file, path in enumerate(inputs):
        write_lines(path, [to_line(doc).rstrip("\n") for doc in docs[file::files]])
    return inputs


def run(docs, folder: Path, settings: Dedup = DEFAULT, files: int = 1, **more) -> Path:
    dedup(written(docs, folder, files), folder / "work", settings, **more)
    return folder / "work"


def rows(work: Path) -> list[dict[str, str]]:
    tables = [copies_of(work, path.stem) for path in sorted(work.glob("*.parquet"))]
    return [{name: row[name] for name in ("id", "reason", "of", "kept")} for row in ids(pa.concat_tables(tables))]


def ids(table: pa.Table) -> list[dict]:
    return [{**row, "id": id_text(row["id"], row["name"])} for row in table.to_pylist()]


def counts(work: Path) -> Counter[str]:
    return Counter(row["reason"] for row in rows(work))


def grams(text: str) -> set[tuple[str, ...]]:
    words = text.lower().split()
    return {tuple(words[place : place + 5]) for place in range(max(1, len(words) - 4))} if words else set()


def similarity(left: set, right: set) -> float:
    return len(left & right) / len(left | right)


def families(seed: int, count: int) -> list[str]:
    """Random texts and edited copies of them, so that similarities lie on both sides of the threshold."""
    draw = random.Random(seed)
    vocabulary = [f"w{number}" for number in range(3000)]
    texts = []
    for _ in range(count):
        base = [draw.choice(vocabulary) for _ in range(draw.randint(25, 400))]
        texts.append(" ".join(base))
        for _ in range(draw.randint(0, 6)):
            rate = draw.choice([0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1])
            texts.append(" ".join(word if draw.random() > rate else draw.choice(vocabulary) for word in base))
    return texts


def test_words_are_what_white_space_separates_in_lower_case():
    text = "The  Sum\n of\t$x^2$ and\u00a0x, Ärger ÉTÉ 𝔸 x^2 the THE"
    hashes = word_hashes(text)
    words = text.lower().split()
    assert len(hashes) == len(words)
    assert [hashes[i] == hashes[j] for i, j in combinations(range(len(words)), 2)] == [
        left == right for left, right in combinations(words, 2)
    ]
    assert list(word_hashes("x^2")) == [hashes[words.index("x^2")]]  # wherever it stands


def test_words_without_spaces_between_them_are_characters():
    assert len(word_hashes("求 x 的值")) == 4
    assert len(word_hashes("求x的值")) == 4


@pytest.mark.parametrize("text", ["", " \n\t ", "one", "one two three four", "a b c d e", "a b c d e f " * 9, "$x$ " * 50 + "end"])
def test_shingles_are_the_word_5_grams(text):
    assert len(np.unique(shingles(text))) == len(grams(text))


def test_long_texts_are_hashed_in_pieces_that_do_not_show():
    draw = random.Random(1)
    words = ["".join(draw.choices("abcdefgh", k=draw.randint(1, 12))) for _ in range(90_000)]
    assert len(np.unique(word_hashes("  ".join(words)))) == len(set(words))
    assert len(word_hashes("x" * 600_000)) == 3  # one "word" of three pieces: bounded, not equal


def test_exact_jaccard_is_that_of_the_sets():
    for left, right in pairwise(families(5, 30)):
        expected = similarity(grams(left), grams(right))
        assert jaccard(np.unique(shingles(left)), np.unique(shingles(right))) == pytest.approx(expected, abs=1e-12)


def test_signatures_agree_with_probability_j():
    lsh = Lsh()
    permutations = lsh.permutations()
    errors = []
    for left, right in pairwise(families(6, 250)):
        true = similarity(grams(left), grams(right))
        if 0 < true < 1:
            agree = (signature(shingles(left), permutations) == signature(shingles(right), permutations)).mean()
            errors.append((agree - true) / spread(true, lsh.hashes))
    assert len(errors) > 300
    assert abs(np.mean(errors)) < 0.2  # unbiased, 4 standard errors
    assert 0.85 < np.std(errors) < 1.15


@pytest.mark.parametrize("seed", [1, 2])
def test_near_duplicates_against_brute_force(tmp_path, seed):
    docs = [make(text, number) for number, text in enumerate(families(seed, 160))]
    sets = {doc.id: grams(doc.text) for doc in docs}
    true = {}
    for left, right in combinations(docs, 2):
        if sets[left.id] & sets[right.id] and (j := similarity(sets[left.id], sets[right.id])) >= 0.75:
            true[frozenset((left.id, right.id))] = j
    assert sum(0.75 <= j < 0.9 for j in true.values()) > 40  # hard ones are among them
    found = rows(run(docs, tmp_path, Dedup(by_text=False), files=3))
    assert {row["reason"] for row in found} == {"duplicate: near"}
    wrong = [row for row in found if frozenset((row["id"], row["of"])) not in true]
    assert len(wrong) <= 0.01 * len(found)
    gone = {row["id"] for row in found}
    missed = [pair for pair in true if not pair & gone]
    assert len(missed) <= 0.05 * len(true)
    assert not gone & {row["kept"] for row in found}


def test_formulas_are_words_like_others(tmp_path):
    exercise = "Find the derivative of the function with respect to the variable and simplify the result as far as you can : {} and then {}"
    one, two = (
        make(exercise.format(*formulas), number) for number, formulas in enumerate((("$x^2+1$", "$e^x$"), ("$x^3-1$", "$\\sin x$")))
    )
    assert not rows(run([one, two], tmp_path))


def test_the_better_copy_stays_and_chains_do_not_pull_others_along(tmp_path):
    words = [f"w{number}" for number in range(200)]
    texts = [" ".join([f"{name}{n}" for n in range(cut)] + words[cut:]) for name, cut in (("a", 0), ("b", 22), ("c", 44))]
    texts[1], texts[2] = " ".join([f"c{n}" for n in range(22)] + words[22:]), texts[2]
    a, b, c = (make(text, number, formulas={"x": 9 - number}) for number, text in enumerate(texts))
    assert similarity(grams(a.text), grams(b.text)) > 0.75
    assert similarity(grams(b.text), grams(c.text)) > 0.75
    assert similarity(grams(a.text), grams(c.text)) < 0.75
    found = rows(run([c, b, a], tmp_path))
    assert [(row["id"], row["of"]) for row in found] == [(b.id, a.id)]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"formulas": {"a": 2, "b": 1}, "scores": {"math": 0.1}}, {"formulas": {"a": 2}, "scores": {"math": 0.9}}),
        ({"scores": {"math": 0.9}, "date": "2024-02-01"}, {"scores": {"math": 0.8}, "date": "2023-01-01"}),
        ({"pad": "\n\n", "date": "2024-02-01"}, {"date": "2023-01-01"}),
        ({"date": "2023-01-01T00:00:00Z"}, {"date": "2023-01-02"}),
        ({"date": "2023-01-01T00:00:00Z"}, {"date": ""}),
        ({"id": "0" * 15 + "1"}, {"id": "f" * 16}),
    ],
)
@pytest.mark.parametrize("first", [0, 1])
def test_the_copy_that_stays_is_the_same_in_any_order(tmp_path, better, worse, first):
    good, bad = (
        make("one two three" + kind.get("pad", ""), n, **{k: v for k, v in kind.items() if k != "pad"})
        for n, kind in enumerate((better, worse))
    )
    (row,) = rows(run([good, bad] if first == 0 else [bad, good], tmp_path))
    assert row == {"id": bad.id, "reason": "duplicate: exact", "of": good.id, "kept": good.id}


def test_addresses_texts_and_records(tmp_path):
    docs = [
        make("first text of this page, with $x$", 0, "http://a.org/p", formulas={"x": 5}),
        make("quite another text by now", 1, "http://a.org/p#top"),
        make("QUITE  another\ntext by now", 2, "http://b.org/q"),
        make("no copy at all", 3),
        make("dropped before", 4, "http://a.org/p", dropped="quality: too short"),
    ]
    work = run([*docs, docs[3], docs[3]], tmp_path)
    assert lookup(work, docs[1].id) == ("duplicate: url", docs[0].id)
    assert lookup(work, docs[2].id) is None  # what it copies by text has gone already
    assert lookup(work, docs[3].id) is None
    after = list(drop_duplicates([tmp_path / "docs-0.jsonl.zst"], work))
    assert [doc.dropped for doc in after] == [
        None, "duplicate: url", None, None, "quality: too short", "duplicate: record", "duplicate: record",
    ]  # fmt: skip
    assert counts(work) == Counter({"duplicate: record": 2, "duplicate: url": 1})


def test_a_copy_of_a_copy_names_both(tmp_path):
    words = [f"w{number}" for number in range(100)]
    best = make(" ".join(words), 0, formulas={"x": 3})
    near = make(" ".join([*words[:-1], "end"]), 1, formulas={"x": 2})
    by_url = make("something else", 2, near.url + "#x", formulas={"x": 1})
    found = {row["id"]: row for row in rows(run([by_url, near, best], tmp_path))}
    assert (found[by_url.id]["of"], found[by_url.id]["kept"]) == (near.id, best.id)
    assert (found[near.id]["of"], found[near.id]["kept"]) == (best.id, best.id)


def test_every_copy_but_one_of_a_large_cluster_goes(tmp_path):
    draw = random.Random(4)
    base = [f"w{number}" for number in range(300)]
    docs = []
    for number in range(400):  # more than are compared all with all
        words = list(base)
        words[draw.randrange(300)] = f"n{number}"
        docs.append(make(" ".join(words), number))
    work = run(docs, tmp_path)
    assert counts(work) == {"duplicate: near": 399}
    after = drop_duplicates([tmp_path / "docs-0.jsonl.zst"], work)
    assert Counter(doc.dropped or "kept" for doc in after) == {"kept": 1, "duplicate: near": 399}


def test_pairs_of_a_bucket_are_linear_in_its_size():
    hashes = np.concatenate([np.zeros(5000, np.uint64), np.full(3, 7, np.uint64), np.array([9], np.uint64)])
    members = np.arange(5004)
    pairs = {(int(b), int(w)) for better, worse in bucket_pairs(hashes, members) for b, w in zip(better, worse, strict=True)}
    assert len(pairs) < 21 * 5004
    assert {(5000, 5001), (5000, 5002), (5001, 5002)} <= pairs
    assert all((0, worse) in pairs for worse in range(1, 5000))
    assert all(better < worse and hashes[better] == hashes[worse] for better, worse in pairs)
    assert not any(5003 in pair for pair in pairs)


def test_the_same_copies_whatever_the_order_and_files(tmp_path):
    docs = [make(text, number) for number, text in enumerate(families(9, 40))]
    shuffled = random.Random(2).sample(docs, len(docs))
    found = [rows(run(some, tmp_path / str(n), files=files)) for n, (some, files) in enumerate([(docs, 1), (shuffled, 3)])]
    assert sorted(map(str, found[0])) == sorted(map(str, found[1]))
    assert len(found[0]) > 20
    assert sorted(path.name for path in (tmp_path / "0" / "work").iterdir()) == ["00000.parquet", "counts.json"]


@pytest.mark.parametrize("settings", [DEFAULT, MEGAMATH, Dedup(by_text=False, lsh=Lsh(rows=1, bands=3))])
def test_the_same_copies_however_little_fits_in_memory(tmp_path, settings):
    draw = random.Random(5)
    docs = [make(text, number, formulas={"x": number % 3}) for number, text in enumerate(families(3, 60))]
    template = [f"w{number}" for number in range(300)]
    for number in range(300):  # buckets of more pages than are in memory at once
        words = [word if draw.random() > 0.01 else f"n{number}" for word in template]
        docs.append(make(" ".join(words), 1000 + number, f"https://site.org/{number % 250}"))
    docs += [make("somebody's own id", number, f"https://own.org/{number}", id=f"own {number}") for number in range(5)] + docs[:3]
    draw.shuffle(docs)
    roomy, tight = run(docs, tmp_path / "roomy", settings, files=3), run(docs, tmp_path / "tight", settings, files=3, memory=0)
    assert {path.name: path.read_bytes() for path in roomy.iterdir() if path.suffix == ".parquet"} == {
        path.name: path.read_bytes() for path in tight.iterdir() if path.suffix == ".parquet"
    }
    own = {row["id"]: row["kept"] for row in rows(tight) if row["id"].startswith("own ")}
    assert len(own) == 4
    assert set(own.values()) == {f"own {number}" for number in range(5)} - own.keys()
    assert min(counts(tight)[f"duplicate: {reason}"] for reason in ("record", "url", "near")) >= 3


def test_the_search_of_a_run_is_done_once_and_again_for_other_columns_or_settings(tmp_path):
    docs = [make(text, number) for number, text in enumerate(families(4, 20))]
    extracted, columns, out = tmp_path / "extracted", tmp_path / "columns", tmp_path / "duplicates"
    extracted.mkdir()
    for number, key in enumerate("ab"):
        work = columns_work(key, extracted / f"{key}.jsonl.zst", columns, DEFAULT.signatures)
        write_lines(extracted / f"{key}.jsonl.zst", [to_line(doc)[:-1] for doc in docs[number::2]])
        write_json(columns / f"{key}.json", {"config": work.config, **write_columns(work, lambda so_far: None)})
    found = find_copies("ab", columns, extracted, out)
    assert found == counts(out)
    before = {path.name: (path.read_bytes(), path.stat().st_ino) for path in out.iterdir()}
    assert find_copies("ab", columns, extracted, out) == found
    assert {path.name: (path.read_bytes(), path.stat().st_ino) for path in out.iterdir()} == before
    (out / ".tmp-search-killed").mkdir()
    assert find_copies("ab", columns, extracted, out, Dedup(near=False)) != found
    assert set(before) == {path.name for path in out.iterdir()} == {"a.parquet", "b.parquet", "counts.json"}
    (columns / "b.signatures").unlink()
    with pytest.raises(InputError, match=r"b\.signatures"):
        find_copies("ab", columns, extracted, out)
    assert not (out / "counts.json").exists()


def test_rows_come_back_together_by_value_and_sorted_whatever_the_limit(tmp_path):
    draw = np.random.default_rng(1)
    alike = draw.integers(0, 3, (2000, 4)).astype(np.uint64)
    for name, values in (
        ("alike", alike),
        ("spread", draw.integers(0, 1 << 64, (2000, 4), np.uint64)),
        ("one", np.ones((700, 4), np.uint64)),
    ):
        expected = values[np.lexsort(values.T[::-1])]
        assert (in_order(values) == expected).all()
        for limit in (10, 90, 5000):
            chunks = list(sorted_rows([values[:300], values[300:]], tmp_path / f"{name}-{limit}", 4, limit))
            assert (np.concatenate(chunks) == expected).all()
            with Spill(tmp_path / f"{name}-{limit}-spill", 50, limit, width=4) as spill:
                spill.add(values[:300])
                spill.add(values[300:])
            parts = [np.concatenate(list(chunks_of(part, 4))) if isinstance(part, Path) else part for part in spill.parts()]
            firsts = [set(part[:, 0].tolist()) for part in parts]
            assert sum(map(len, firsts)) == len(set().union(*firsts))
            assert (in_order(np.concatenate(parts)) == expected).all()
            assert all(len(part) <= limit or len(first) == 1 for part, first in zip(parts, firsts, strict=True))
    assert not list(tmp_path.iterdir())


def test_nothing_and_texts_without_words(tmp_path):
    assert not rows(run([], tmp_path / "none"))
    blank = [make("", 1), make(" \n", 2), make("word", 3)]
    assert counts(run(blank, tmp_path / "blank", Dedup(by_text=False))).total() == 0
    assert counts(run(blank, tmp_path / "exact"))["duplicate: near"] == 0


def test_bad_settings_and_a_broken_list_are_one_line(tmp_path):
    with pytest.raises(InputError, match="threshold is 75"):
        Dedup(threshold=75)
    with pytest.raises(ValueError, match="rows x bands"):
        Lsh(rows=0)
    (tmp_path / "key.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"key\.parquet: no copies can be read"):
        lookup(tmp_path, "0" * 16)


# Boilerplate --------------------------------------------------------------------------------------------------------------------------


def site(host: str, pages: int, text: str) -> list[Doc]:
    return [make(text.format(n=number, name=f"{host}{number}"), number, f"https://{host}/{number}") for number in range(pages)]


def clean(docs, folder: Path) -> list[Doc]:
    write_lines(folder / "docs.jsonl", [to_line(doc).rstrip("\n") for doc in docs])
    keys = find_boilerplate([folder / "docs.jsonl"], folder / "lines.npy")
    assert np.array_equal(keys, np.load(folder / "lines.npy"))
    assert np.array_equal(keys, find_boilerplate([folder / "docs.jsonl"], folder / "lines.npy", memory=0))
    assert [path.name for path in folder.glob("*lines*")] == ["lines.npy"]
    return list(remove_boilerplate(keys)(iter(docs)))


def test_menus_and_footers_go_and_the_page_stays(tmp_path):
    docs = site("a.org", 8, "Home | About\n\nOn {name} we prove it.\n\nSign in to comment")
    other = site("b.org", 4, "Home | About\n\nFew pages {n}.\n\nSign in to comment")  # fewer pages than it takes
    after = clean(docs + other, tmp_path)
    assert [doc.text for doc in after[:8]] == [f"On a.org{n} we prove it." for n in range(8)]
    assert after[8:] == other


def test_the_structure_of_mathematics_stays(tmp_path):
    text = "## Solution\n\nProof.\n\n**Solution 1:**\n\n$$\nx_{n} = 1\n$$\n\n---\n\n```\nreturn x\n```\n\nUnique {name}."
    docs = site("a.org", 9, text.replace("x_{n}", "x").replace("{name}", "line {n}"))
    docs = [make(doc.text.replace("x = 1", "x = 1" if n % 2 else f"x = {n}"), n, doc.url) for n, doc in enumerate(docs)]
    assert clean(docs, tmp_path) == docs


def test_a_formula_goes_only_from_nearly_all_pages(tmp_path):
    rare = site("a.org", 10, "Page {n}.\n\n$E = mc^2$ is known.\n\nMenu")
    rare = [make(doc.text.replace("$E = mc^2$ is known.", f"Own {n}.") if n < 3 else doc.text, n, doc.url) for n, doc in enumerate(rare)]
    assert [doc.text for doc in clean(rare, tmp_path)][5] == "Page 5.\n\n$E = mc^2$ is known."
    common = site("b.org", 10, "Page {n}.\n\nHosted on $\\pi$-server\n\nMenu")
    assert [doc.text for doc in clean(common, tmp_path)][5] == "Page 5."


def test_a_page_of_nothing_else_is_dropped_and_dropped_ones_do_not_count(tmp_path):
    docs = site("a.org", 6, "Menu of the site\n\nPage {n} text.")
    docs.append(make("Menu of the site", 77, "https://a.org/77"))
    assert [doc.dropped for doc in clean(docs, tmp_path)] == [None] * 6 + ["boilerplate: nothing left"]
    gone = [doc.drop("quality: too short") for doc in docs[:5]] + docs[5:]
    assert clean(gone, tmp_path) == gone


def test_lines_of_more_pages_than_are_in_memory_are_counted_too(tmp_path):
    docs = site("a.org", 150, "Home | About\n\nPage {n} of {name}.\n\nThe $\\pi$ of the day")
    for n in range(30):  # no more than nine in ten pages have the formula
        docs[n] = make(docs[n].text.rpartition("\n")[0], n, docs[n].url)
    after = clean(docs, tmp_path)
    assert [doc.text for doc in after[:30]] == [f"Page {n} of a.org{n}." for n in range(30)]
    assert [doc.text for doc in after[30:]] == [f"Page {n} of a.org{n}.\n\nThe $\\pi$ of the day" for n in range(30, 150)]


def test_a_line_twice_on_one_page_counts_once(tmp_path):
    docs = site("a.org", 4, "again and again\nagain and again\n\nPage {n}.")
    assert clean(docs, tmp_path) == docs


def test_the_disk_of_a_mapped_column_is_taken_before_it_is_written(tmp_path):
    inputs = written([make(f"text {n}", n) for n in range(50)], tmp_path)
    write_columns(columns_work("a", inputs[0], tmp_path / "columns", None), lambda so_far: None)
    (tmp_path / "scratch").mkdir()
    pages = SearchedPages(tmp_path / "columns", ["a"], tmp_path / "scratch", 1000)
    pages.mapped("wide", np.uint64, 10_000)[7] = 3
    path = tmp_path / "scratch" / "wide"
    assert path.stat().st_size == 4_000_000 <= 512 * path.stat().st_blocks
    assert pages.mapped("wide", np.uint64, 10_000)[7, 0] == 3
