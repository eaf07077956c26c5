"""How well and how fast are copies and benchmark problems found? `python -m benchmarks.mining.duplicates [--peer /path/to/python]`

Near-duplicates: the text of the web pages of ../shared/data/web (or $RECKON_DATA), each with edited copies (words changed, sentences
moved, headers and comments added, cut short), against the Jaccard similarity of all pairs by sets of word 5-grams, computed here without
the pipeline's code. Decontamination: every benchmark problem of data/math, planted between paragraphs of pages in ten disguises; of each
also ten words between white space, which the rule counts otherwise (a figure, no bar: formulas without a word are left out); and the
pages and GSM8K training problems that share no 10 words with a benchmark by a plain check of this file's own, where nothing may be found.

`--peer` names a Python that has datatrove (pip install datatrove spacy tokenizers "xxhash<4"): it makes
MinHash signatures of the same pages, one process, right after ours. The last line is `RESULT {json}`.
"""

import json
import random
import re
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

from resiliparse.extract.html2text import extract_plain_text

from benchmarks.parts import DATA, WEB, best_seconds, json_lines, labelled_rows, megabytes, options, report
from data_pipeline.cleaning.benchmark_index import Benchmarks
from data_pipeline.cleaning.duplicates import Dedup, copies_of, dedup
from data_pipeline.columns.minhash import Lsh, shingles, signature
from data_pipeline.documents.document import Doc, Origin
from data_pipeline.documents.document_files import open_lines, write_docs

BENCHMARKS = ("gsm8k_test", "math500", "math_test", "aime24", "amc23", "minerva_math")
BARS: dict[str, Callable[[Any], bool]] = {
    "near_pairs_recall": lambda x: x >= 0.95,
    "near_pairs_precision": lambda x: x >= 0.99,
    "near_drops_justified": lambda x: x >= 0.99,
    "signature_mb_per_s": lambda x: x >= 8,
    "planted_found": lambda x: x == 1,
    "planted_removed": lambda x: x == 1,
    "clean_hits": lambda x: x == 0,
}
PEER = r"""
import json, sys, tempfile, time
from datatrove.data import Document
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
texts = json.load(open(sys.argv[1]))
step = MinhashDedupSignature(tempfile.mkdtemp(), config=MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8))
for timed in (texts[:3], texts):
    start = time.process_time()
    step.run((Document(text=text, id=str(i)) for i, text in enumerate(timed)), 0, 1)
    taken = time.process_time() - start
print(json.dumps({"seconds": taken}))
"""


def pages() -> list[str]:
    files = [WEB / row["path"] for row in labelled_rows()]
    texts = [extract_plain_text(file.read_text(errors="replace"), main_content=True) for file in files if file.suffix in (".html", ".htm")]
    return [text for text in texts if len(text) > 400]


# Near-duplicates ----------------------------------------------------------------------------------------------------------------------


def edited(text: str, draw: random.Random) -> str:
    """A copy as the web makes them."""
    words = text.split(" ")
    rate = draw.choice((0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.08))
    kind = draw.randrange(5)
    if kind == 0:
        return " ".join(word if draw.random() > rate else draw.choice(words) for word in words)
    if kind == 1:
        return " ".join(word for word in words if draw.random() > rate)
    if kind == 2:
        extra = " ".join(f"reader{draw.randrange(9999)} wrote" for _ in range(max(1, int(len(words) * draw.uniform(0, 0.25)))))
        return f"{text}\n\n{extra}" if draw.random() < 0.5 else f"{extra}\n\n{text}"
    if kind == 3:
        return " ".join(words[: int(len(words) * draw.uniform(0.6, 1.0))])
    paragraphs = text.split("\n")
    first, second = sorted(draw.choices(range(len(paragraphs)), k=2))
    return "\n".join([*paragraphs[:first], *paragraphs[second:], *paragraphs[first:second]])


def word_sets(texts: list[str]) -> list[frozenset[tuple[str, ...]]]:
    sets = []
    for text in texts:
        words = text.lower().split()
        sets.append(frozenset(tuple(words[place : place + 5]) for place in range(max(1, len(words) - 4))))
    return sets


def true_pairs(texts: list[str], threshold: float) -> dict[tuple[int, int], float]:
    """All pairs that share a 5-gram, by the sets themselves."""
    sets, holders = word_sets(texts), defaultdict(list)
    for number, grams in enumerate(sets):
        for gram in grams:
            holders[gram].append(number)
    common: dict[tuple[int, int], int] = defaultdict(int)
    for numbers in holders.values():
        for pair in combinations(numbers, 2):
            common[pair] += 1
    similar = {pair: count / (len(sets[pair[0]]) + len(sets[pair[1]]) - count) for pair, count in common.items()}
    return {pair: value for pair, value in similar.items() if value >= threshold}


def near_duplicates(texts: list[str], settings: Dedup) -> dict[str, Any]:
    """Pairs: those that the search finds. Drops: whether what goes is near what stays, and whether all that should go went."""
    draw = random.Random(1)
    chosen = [text[:20_000] for text in texts]
    corpus = [copy for text in chosen for copy in (text, *(edited(text, draw) for _ in range(draw.randrange(4))))]
    true = true_pairs(corpus, settings.threshold)
    docs = [Doc(f"{number:016x}", "", text, Origin("a", number)) for number, text in enumerate(corpus)]
    with tempfile.TemporaryDirectory() as scratch:
        source, work = Path(scratch) / "docs.jsonl", Path(scratch) / "work"
        write_docs(source, docs)
        start = time.process_time()
        found: set[tuple[int, int]] = set()
        dedup([source], work, settings, seen_pairs=lambda pairs: found.update((min(p), max(p)) for p in pairs))
        seconds = time.process_time() - start
        rows = copies_of(work, "00000").to_pylist()
    gone = {row["id"] for row in rows}
    drops = [tuple(sorted((row["id"], int(row["of"], 16)))) for row in rows]
    return {
        "near_documents": len(corpus),
        "near_true_pairs": len(true),
        "near_true_pairs_below_0.9": sum(value < 0.9 for value in true.values()),
        "near_pairs_recall": round(sum(pair in found for pair in true) / len(true), 4),
        "near_pairs_precision": round(sum(pair in true for pair in found) / max(1, len(found)), 4),
        "near_drops": len(drops),
        "near_drops_justified": round(sum(pair in true for pair in drops) / max(1, len(drops)), 4),
        "near_pairs_both_kept": sum(not {*pair} & gone for pair in true),
        "dedup_whole_mb_per_s": round(megabytes(corpus) / seconds, 1),
    }


def signature_speed(texts: list[str], peer: str | None) -> dict[str, Any]:
    permutations = Lsh().permutations()
    seconds = best_seconds(lambda: [signature(shingles(text), permutations) for text in texts])
    result = {
        "signature_mb_per_s": round(megabytes(texts) / seconds, 1),
        "bytes_per_document_on_disk": 4 * Lsh().hashes + 8 * Lsh().bands + 59,
    }
    if peer:
        sample = texts[:: max(1, len(texts) // 60)]
        with tempfile.TemporaryDirectory() as scratch:
            (Path(scratch) / "texts.json").write_text(json.dumps(sample))
            done = subprocess.run([peer, "-c", PEER, f"{scratch}/texts.json"], stdout=subprocess.PIPE, text=True, timeout=500)
        if done.returncode:
            print(f"{peer}: no datatrove there, or one that does not run; it is not measured")
            return result
        seconds = json.loads(done.stdout.splitlines()[-1])["seconds"]
        result["datatrove_signature_mb_per_s"] = round(megabytes(sample) / seconds, 2)
    return result


# Decontamination ----------------------------------------------------------------------------------------------------------------------


def disguises(draw: random.Random) -> dict[str, Callable[[str], str]]:
    """What happens to a problem on its way through the web. Words stay, in their order."""

    def spaced(text: str) -> str:
        return re.sub(r"([{}^_+=(),])", lambda match: draw.choice(("", " ")) + match[0] + draw.choice(("", " ", r"\,")), text)

    def hyphenated(text: str) -> str:
        words = re.split(r"( )", text)
        return "".join(word[:3] + "-\n" + word[3:] if re.fullmatch("[a-z]{7,}", word) and draw.random() < 0.4 else word for word in words)

    return {
        "as it is": lambda text: text,
        "other punctuation": lambda text: re.sub(r"(?<=[a-z])[.,;:?!](?=\s|$)", lambda _: draw.choice(("", "!", " ...", ";")), text),
        "after punctuation runs": lambda text: "- - - - - - - - - - -- *** ... " + text.replace(" ", " - ", 3),
        "lines": lambda text: re.sub(r"(?<=[a-z]) (?=[a-z])", lambda _: draw.choice((" ", "\n", " \n> ")), text),
        "paragraphs": lambda text: re.sub(r"(?<=[a-z]) (?=[a-z])", lambda _: draw.choice((" ", " ", " ", "\n\n")), text),
        "latex spacing": spaced,
        "other delimiters": lambda text: text.replace(r"\[", "$$").replace(r"\]", "$$").replace("$", draw.choice(("", "$$", " "))),
        "inside latex": lambda text: r"$$\boxed{\text{" + text.replace("$", "") + "}}$$",
        "capitals and wide digits": lambda text: re.sub(
            r"(?<![\\A-Za-z{])[A-Za-z]{2,}(?![A-Za-z}*])", lambda m: m[0].upper(), text
        ).translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)}),
        "hyphens and invisible characters": lambda text: hyphenated(text).replace("th", "t\u00adh").replace(" a ", " a\u200b "),
    }


def ten_words(problem: str, draw: random.Random) -> list[str]:
    """A piece of ten words between white space, as others count them."""
    pieces = problem.split()
    start = draw.randrange(max(1, len(pieces) - 9))
    return [" ".join(pieces[start : start + 10])] if len(pieces) >= 10 else []


def plain_words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).lower())


def plain_grams(problems: Iterator[str]) -> set[tuple[str, ...]]:
    """10-grams of the problems, and those of 3 to 9 words whole, by a plain notion of a word."""
    grams = set()
    for problem in problems:
        words = plain_words(problem)
        size = min(10, max(3, len(words)))
        grams |= {tuple(words[place : place + size]) for place in range(len(words) - size + 1)}
    return grams


def decontamination(texts: list[str]) -> dict[str, Any]:
    files = [DATA / "math" / f"{name}.jsonl" for name in BENCHMARKS]
    problems = [(file.name, row, json.loads(line)["problem"]) for file in files for row, line in enumerate(open_lines(file), start=1)]
    start = time.process_time()
    benchmarks = Benchmarks.load(files)
    result: dict[str, Any] = {"benchmark_problems": len(problems), "benchmark_load_s": round(time.process_time() - start, 2)}
    draw = random.Random(3)
    around = [paragraph for text in texts[::8] for paragraph in text.split("\n") if len(paragraph) > 80 and not benchmarks.hits(paragraph)]
    missed: dict[str, int] = {}
    planted, left = 0, 0
    for name, disguise in disguises(draw).items():
        missed[name] = 0
        for _, _, problem in problems[:: 1 if name in ("as it is", "latex spacing") else 5]:
            text = f"{draw.choice(around)}\n\n{disguise(problem)}\n\n{draw.choice(around)}"
            cleaned, hits = benchmarks.clean(text)
            planted += 1
            missed[name] += not hits
            left += bool(benchmarks.hits(cleaned))
    result |= {"planted": planted, "planted_missed": {name: count for name, count in missed.items() if count}}
    result |= {"planted_found": 1 - sum(missed.values()) / planted, "planted_removed": 1 - (left + sum(missed.values())) / planted}
    pieces = [piece for _, _, problem in problems for piece in ten_words(problem, draw)]
    with_word = [piece for piece in pieces if re.search(r"(?<![\\a-z])[a-z]{3,}", piece)]
    result |= {
        "ten_words_found": round(sum(bool(benchmarks.hits(f"{draw.choice(around)}\n\n{piece}")) for piece in pieces) / len(pieces), 4),
        "ten_words_with_a_word_found": round(sum(bool(benchmarks.hits(piece)) for piece in with_word) / len(with_word), 4),
    }
    grams = plain_grams(problem for _, _, problem in problems)
    train = json_lines(DATA / "math" / "gsm8k_train.jsonl")

    def shares(text: str) -> bool:
        words = plain_words(text)
        return any(tuple(words[place : place + size]) in grams for size in range(3, 11) for place in range(len(words) - size + 1))

    clean_pages = [text for text in texts if not shares(text)]
    clean_rows = [row for row in train if not shares(row["problem"])]
    hits = [hit for text in clean_pages for hit in benchmarks.hits(text)]
    hits += [hit for row in clean_rows for hit in benchmarks.hits(row["problem"])]
    result |= {
        "clean_texts": len(clean_pages) + len(clean_rows),
        "clean_hits": len(hits),
        "clean_examples": [hit.ngram for hit in hits[:5]],
    }

    def plain_search(text: str) -> bool:
        words = plain_words(text)
        return any(tuple(words[place : place + 10]) in grams for place in range(len(words) - 9))

    ours = megabytes(texts) / best_seconds(lambda: [benchmarks.hits(text) for text in texts])
    plain = megabytes(texts[::10]) / best_seconds(lambda: [plain_search(text) for text in texts[::10]], 1)
    return result | {"decontamination_mb_per_s": round(ours, 1), "plain_python_10_grams_mb_per_s": round(plain, 1)}


def main() -> int:
    peer = options(__doc__, peer="datatrove").parse_args().peer
    texts = pages()
    result = signature_speed(texts, peer) | near_duplicates(texts, Dedup(by_url=False, by_text=False)) | decontamination(texts)
    return report(result, BARS)


if __name__ == "__main__":
    sys.exit(main())
