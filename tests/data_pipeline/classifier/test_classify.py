"""The classifier of mathematics: what it reads, that it is fastText's, that it repeats itself, and what it says of bad input."""

import errno
import hashlib
import json
import math
import random
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data_pipeline.classifier.classifier_figures import figures, figures_table
from data_pipeline.classifier.classifier_words import normalise
from data_pipeline.classifier.fasttext_file import supervised_header, write_model
from data_pipeline.classifier.math_classifier import PRESETS, Classifier, Training, train, train_files
from data_pipeline.classifier.target import MATHEMATICS
from data_pipeline.classifier.training_examples import Example, Examples, balanced_rows
from data_pipeline.classifier.training_process import _descend
from tests.clock import stopwatch
from verifiers.input_error import InputError

fasttext: Any = pytest.importorskip("fasttext")
fasttext.FastText.eprint = lambda *_: None

TINY = Training(dim=8, bucket=2000, lr=0.5, epochs=30, small_seeds=False, refit=False)
MATHS = "theorem proof lemma integral matrix vector polynomial equation prime converges bounded compact kernel eigenvalue".split()  # noqa: SIM905
OTHER = "kitchen recipe football election minister weather concert hotel ticket garden camera insurance holiday airline".split()  # noqa: SIM905


def corpus(seed: int = 0, sources: int = 6, pages: int = 8) -> list[Example]:
    """Pages of each class from several sources, each source with words of its own."""
    generator = random.Random(seed)
    found = []
    for positive, words in ((True, MATHS), (False, OTHER)):
        for number in range(sources):
            source = f"{'math' if positive else 'other'}{'abcdefgh'[number]}"
            for _ in range(pages):
                text = generator.choices(words, k=40) + generator.choices(["page", "made", source, "größe", "数学", "Straße"], k=15)
                generator.shuffle(text)
                found.append(Example("\n".join(text), positive, source))
    return found


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    model = tmp_path_factory.mktemp("trained") / "model.bin"
    return model, train(corpus(), model, TINY, held_out=("matha", "othera"))


# What the classifier reads.


@pytest.mark.parametrize(
    "spelled",
    [r"$\frac{a}{b}$", r"$$\frac{x_1}{17}$$", r"\(\frac{u}{v}\)", r"\[ \frac{p}{q} \]", "\\begin{align*}\n\\frac{1}{2}\n\\end{align*}"],
)
def test_a_formula_reads_alike_whatever_its_delimiters_and_letters(spelled: str):
    assert normalise(f"Suppose {spelled} holds") == r"suppose ƒ \frac holds"


def test_money_is_no_formula_and_numbers_say_nothing():
    assert normalise("It costs $5 and $10, or US$7, in 1999") == "costs"
    assert normalise("a price of $5-$10 today") == "price today"
    assert normalise(r"pay \$5 or x$ now") == "pay x"


def test_an_opener_without_its_closer_hides_no_later_formula():
    assert normalise(r"open \( and " + "word " * 3 + r"then $x$ end") == "open word word word ƒ end"


def test_words_on_two_lines_stay_two_words():
    assert normalise("theorem\nproof\r\nlemma") == "theorem proof lemma"


def test_code_prompts_addresses_and_navigation_are_not_read():
    page = "Groups\n\nnext | previous | up | Index\n```python\nimport secrets_module\n```\n>>> hidden(1)\nsage: hidden\n"
    assert normalise(page + "see https://a.b/hidden?x=1 today") == "groups today"


def test_identifiers_fall_into_words_and_words_are_counted_a_few_times_only():
    assert normalise("PolynomialRing trek_separation isHomogeneous()") == "polynomial ring trek separation homogeneous"
    assert normalise("prime " * 50) == "prime prime prime prime prime"
    assert normalise("alpha ≤ beta • gamma — “delta”") == "alpha ≤ beta gamma delta"


def test_filler_text_is_no_subject_but_its_words_are_words():
    assert normalise("Intro. Lorem ipsum dolor sit amet, consectetur adipisicing elit, sed do eiusmod tempor. Outro.") == "intro outro"
    assert normalise("dolor et labore") == "dolor et labore"


def test_normalising_twice_changes_nothing_and_the_length_is_bounded():
    once = normalise("The Cauchy–Schwarz inequality: $|x| \\leq \\|y\\|$ for vectors in C*-algebras; ﬁne ﬀ Ⅳ x² ∑ İşlev \\nHost \\lVert")
    assert normalise(once) == once
    assert len(normalise(" ".join(f"w{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}" for i in range(5000))).split()) == 600


@pytest.mark.parametrize(
    "hostile",
    [
        "$",
        r"\(",
        r"\[a$",
        "$a ",
        "```\n",
        "next ",
        "next\n",
        "a@",
        "http://",
        r"\begin{align}",
        r"\begin{align}$",
        ">>> ",
        "1",
        "aB",
        "lorem ",
        "`",
        "\0",
    ],
)
def test_hostile_text_takes_no_time(hostile: str):
    took = stopwatch()
    normalise(hostile * (1_000_000 // len(hostile)))
    assert took() < 1


# That it is fastText.


def one_line(text: str) -> str:
    return " ".join(text.split())


def trained_by_fasttext(folder: Path, name: str, then: str = "pass") -> Path:
    """In a fresh process: of n weights fastText leaves n modulo 10 as the memory was, and in this one that may be no number."""
    lines = folder / "lines"
    lines.write_text("".join(f"{MATHEMATICS.labels[example.positive]} {normalise(example.text)}\n" for example in corpus()))
    settings = "dim=5, lr=0.5, epoch=30, bucket=1000, wordNgrams=2, thread=10, minn=0, maxn=0, verbose=0"
    code = f"import fasttext, sys; m = fasttext.train_supervised(sys.argv[1], {settings}); {then}; m.save_model(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, str(lines), str(folder / name)], check=True, capture_output=True)
    return folder / name


def test_fasttext_reads_our_model_and_scores_as_we_do(trained: tuple[Path, dict[str, Any]]):
    theirs, ours = fasttext.load_model(str(trained[0])), Classifier.load(trained[0])
    for text in [*(example.text for example in corpus(7)[::5]), "kitchen", "unknown words here", "theorem größe 数学 \U0001d465 Straße"]:
        labels, scores = theirs.predict(one_line(text), k=2)
        expected = dict(zip(labels, scores, strict=True))[MATHEMATICS.labels[1]]
        assert ours.score_line(one_line(text)) == pytest.approx(expected, abs=1e-4)  # fastText adds 1e-5 to a probability


def test_we_score_fasttexts_model_as_it_does(tmp_path: Path):
    model = trained_by_fasttext(tmp_path, "model.bin")
    theirs, ours = fasttext.load_model(str(model)), Classifier.load(model)
    assert np.abs(theirs.get_input_matrix()).min(axis=1).max() > 0, "rows that nobody initialised"
    for example in corpus(9)[::5]:
        labels, scores = theirs.predict(normalise(example.text), k=2)
        assert ours.score([example.text])[0] == pytest.approx(dict(zip(labels, scores, strict=True))[MATHEMATICS.labels[1]], abs=1e-4)


def test_an_update_is_fasttexts():
    """Two lines, two epochs, against the formulas of fastText's model.cc in plain Python."""
    inputs = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    outputs = np.random.default_rng(2).normal(size=(2, 3)).astype(np.float32)
    lines, labels, lr, epochs = [[0, 1, 1, 4], [2, 3]], [1, 0], 0.7, 2
    W, O = [list(map(float, row)) for row in inputs], [list(map(float, row)) for row in outputs]  # noqa: E741
    order = [i for generator in [np.random.default_rng(5)] for _ in range(epochs) for i in generator.permutation(2)]
    for step, line in enumerate(order):
        hidden = [sum(W[i][d] for i in lines[line]) / len(lines[line]) for d in range(3)]
        logits = [sum(o * h for o, h in zip(O[k], hidden, strict=True)) for k in (0, 1)]
        total = sum(map(math.exp, logits))
        gradient = [0.0, 0.0, 0.0]
        for k in (0, 1):
            alpha = lr * (1 - step / 4) * ((labels[line] == k) - math.exp(logits[k]) / total)
            gradient = [g + alpha * o for g, o in zip(gradient, O[k], strict=True)]
            O[k] = [o + alpha * h for o, h in zip(O[k], hidden, strict=True)]
        for i in lines[line]:
            W[i] = [w + g / len(lines[line]) for w, g in zip(W[i], gradient, strict=True)]

    def features(line: int) -> Any:
        ids, times = np.unique(lines[line], return_counts=True)
        return ids, (times / len(lines[line])).astype(np.float32)

    _descend(inputs, outputs, features, labels, lr=lr, epochs=epochs, generator=np.random.default_rng(5))
    np.testing.assert_allclose(inputs, W, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs, O, rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path, trained: tuple[Path, dict[str, Any]]):
    digests = []
    for seed in (0, 1):
        model = tmp_path / f"{seed}.bin"
        train(corpus(), model, replace(TINY, seed=seed), held_out=("matha", "othera"))
        digests.append(hashlib.sha256(model.read_bytes()).hexdigest())
    assert digests[0] == hashlib.sha256(trained[0].read_bytes()).hexdigest()
    assert digests[0] != digests[1]


def test_the_defaults_are_the_papers():
    paper = PRESETS["deepseekmath"]
    assert (paper.dim, paper.lr, paper.word_ngrams, paper.min_count, paper.epochs) == (256, 0.1, 3, 3, 3)
    assert paper.fitted(1_000_000) == paper
    assert PRESETS["small"].bucket * PRESETS["small"].dim * 4 < 300e6


def test_small_seeds_get_more_updates_until_enough():
    fitted = Training().fitted(800)
    assert (fitted.lr, fitted.epochs) == (0.5, 13)
    assert Training().fitted(20).epochs == 100
    assert Training(small_seeds=False).fitted(20) == Training(small_seeds=False)


# What a training reports.


def test_sources_that_were_held_out_are_not_learnt_and_are_judged_beside_the_others(trained: tuple[Path, dict[str, Any]]):
    model, report = trained
    assert not {"matha", "othera"} & set(fasttext.load_model(str(model)).words)
    assert report["held_out"] == ["matha", "othera"]
    assert (report["held_out_sources"]["documents"], report["held_out_sources"]["positive"]) == (16, 8)
    assert report["held_out_sources"]["f1"] == report["in_domain"]["f1"] == 1
    assert sum(row["documents"] for row in report["held_out_sources"]["calibration"]) == 16
    assert "held out sources" in figures_table(report)
    assert json.loads(json.dumps(report)) == report


def test_some_sources_are_held_out_unasked_and_the_model_kept_knows_them(tmp_path: Path):
    report = train(corpus(), tmp_path / "model.bin", replace(TINY, refit=True))
    assert 0 < report["held_out_sources"]["positive"] < report["held_out_sources"]["documents"]
    assert set(report["held_out"]) <= set(fasttext.load_model(str(tmp_path / "model.bin")).words)


def test_hash_seeds_and_numbers_of_threads_change_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    digests = set()
    for seed, threads in (("1", "1"), ("77", "2")):  # the trainer is a process of its own and takes these over
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        train(corpus(), tmp_path / "model.bin", replace(TINY, dim=64), held_out=())
        digests.add(hashlib.sha256((tmp_path / "model.bin").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_documents_without_words_or_with_the_same_words_are_not_learnt_twice(tmp_path: Path):
    extra = [Example("too short", True, "matha"), corpus()[0]]
    report = train([*corpus(), *extra], tmp_path / "model.bin", TINY, held_out=())
    assert report["documents"]["skipped"] == {"same words as another": 1, "too short": 1}
    assert report["held_out_sources"] is None


def test_no_source_and_no_class_outweighs_the_others():
    examples = Examples()
    examples.positive = [True] * 300 + [False] * 40
    examples.sources = ["big"] * 270 + ["small"] * 30 + ["other"] * 40
    rows = balanced_rows(examples, range(340), per_source=0, seed=0)
    taken = [(examples.sources[row], examples.positive[row]) for row in rows]
    assert (taken.count(("big", True)), taken.count(("small", True)), taken.count(("other", False))) == (100, 30, 130)
    assert min(rows.count(row) for row in range(300, 340)) == 3


def test_figures_against_a_hand_count():
    found = figures([0.9, 0.8, 0.3, 0.6, 0.1, 0.05], [True, True, True, False, False, False], list("aabbcc"))
    assert (found["precision"], found["recall"], found["f1"], found["accuracy"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3, 4 / 6))
    assert found["best_f1"] == pytest.approx(6 / 7)  # everything above 0.1..0.29
    assert found["sources"]["b"] == {"math": 1, "math_found": 0, "other": 1, "other_taken": 1}
    assert found["calibration"][0] == {"from": 0.0, "to": 0.1, "documents": 1, "mean_score": pytest.approx(0.05), "share_positive": 0.0}
    assert figures([1.0], [False], ["a"])["calibration"][9]["documents"] == 1


def test_files_of_lines_and_of_documents_are_a_seed(tmp_path: Path):
    for positive, name in ((True, "yes.txt"), (False, "no.txt")):
        rows = [one_line(example.text) for example in corpus() if example.positive is positive]
        (tmp_path / name).write_text("\n".join(rows if positive else [f"__label__other {row}" for row in rows]) + "\n")
    report = train_files([tmp_path / "yes.txt"], [tmp_path / "no.txt"], tmp_path / "model.bin", TINY, held_out=())
    assert (report["documents"]["math"], report["documents"]["other"]) == (48, 48)
    assert "__label__other" not in fasttext.load_model(str(tmp_path / "model.bin")).words
    with pytest.raises(InputError, match="cannot read"):
        train_files([tmp_path / "none.txt"], [tmp_path / "no.txt"], tmp_path / "model.bin", TINY)


# Bad input.


@pytest.mark.parametrize(
    ("examples", "says"),
    [
        ([], "no usable documents"),
        ([example for example in corpus() if example.positive], "0 without"),
        ([example for example in corpus() if example.positive] + corpus()[-3:], "3 without"),
    ],
)
def test_a_seed_with_nothing_to_learn_from_is_one_clear_line(tmp_path: Path, examples: list[Example], says: str):
    with pytest.raises(InputError, match=says) as caught:
        train(examples, tmp_path / "model.bin", TINY)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_holding_out_everything_is_one_clear_line(tmp_path: Path):
    with pytest.raises(InputError, match="hold out fewer"):
        train(corpus(), tmp_path / "model.bin", TINY, held_out={example.source for example in corpus() if example.positive})


@pytest.mark.parametrize("wrong", [{"lr": 0.0}, {"lr": float("nan")}, {"dim": 0}, {"bucket": 0}, {"epochs": 0}])
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Training(**wrong)


def test_a_training_out_of_memory_is_one_clear_line_and_leaves_the_earlier_model(tmp_path: Path):
    (tmp_path / "model.bin").write_bytes(b"earlier")
    with pytest.raises(InputError, match="memory"):
        train(corpus(), tmp_path / "model.bin", replace(TINY, dim=10**6, bucket=10**9), held_out=())
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("model.bin", b"earlier")]


def test_a_truncated_model_is_refused_wherever_it_ends(tmp_path: Path, trained: tuple[Path, dict[str, Any]]):
    whole, cut = trained[0].read_bytes(), tmp_path / "cut.bin"
    for length in [0, 3, 50, 91, 92, 100, 300, *range(400, len(whole), len(whole) // 40), len(whole) - 1]:
        cut.write_bytes(whole[:length])
        with pytest.raises(InputError, match="classifier"):
            Classifier.load(cut)


@pytest.mark.parametrize(
    ("offset", "value"),
    [
        (0, 7), (4, 99), (8, 2**31 - 1), (8, 0), (8, -5), (36, 2**31 - 1), (40, 0), (64, 2**31 - 1), (68, 2**30), (72, -1), (72, 3),
    ],
)  # fmt: skip
def test_sizes_that_cannot_be_are_refused_before_they_take_memory(
    tmp_path: Path, trained: tuple[Path, dict[str, Any]], offset: int, value: int
):
    raw = bytearray(trained[0].read_bytes())
    struct.pack_into("<i", raw, offset, value)
    (tmp_path / "bad.bin").write_bytes(raw)
    with pytest.raises(InputError, match="classifier"):
        Classifier.load(tmp_path / "bad.bin")


def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, trained: tuple[Path, dict[str, Any]]):
    raw = bytearray(trained[0].read_bytes())
    struct.pack_into("<f", raw, len(raw) - 4, float("nan"))
    (tmp_path / "bad.bin").write_bytes(raw)
    with pytest.raises(InputError, match="not numbers"):
        Classifier.load(tmp_path / "bad.bin")


def test_a_missing_file_a_folder_and_a_quantised_model_are_refused(tmp_path: Path, trained: tuple[Path, dict[str, Any]]):
    for path in (tmp_path / "none.bin", tmp_path):
        with pytest.raises(InputError, match="classifier"):
            Classifier.load(path)
    with pytest.raises(InputError, match="quantise"):
        Classifier.load(trained_by_fasttext(tmp_path, "model.ftz", "m.quantize()"))


def test_a_model_of_other_labels_is_refused_by_their_names(tmp_path: Path, trained: tuple[Path, dict[str, Any]]):
    (tmp_path / "other.bin").write_bytes(trained[0].read_bytes().replace(b"__label__math", b"__label__good"))
    with pytest.raises(InputError, match="__label__other, __label__good"):
        Classifier.load(tmp_path / "other.bin")


def test_a_text_without_words_is_no_mathematics(trained: tuple[Path, dict[str, Any]]):
    assert Classifier.load(trained[0]).score(["", " \n", "123 456", "\0"]) == [0.0, 0.0, 0.0, 0.0]


def test_a_full_disk_says_so_by_its_number():
    header = supervised_header(dim=4, epochs=1, min_count=1, word_ngrams=1, bucket=0, words=9000, labels=2, tokens=1)
    with pytest.raises(OSError, match="No space") as error:
        write_model(Path("/dev/full"), header, {}, {}, np.zeros((9000, 4), np.float32), np.zeros((2, 4), np.float32))
    assert error.value.errno == errno.ENOSPC
