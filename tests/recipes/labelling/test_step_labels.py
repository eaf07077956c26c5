"""`reckon data steps`: labels are what came of the roll-outs, the same bytes whatever kills it, and what is refused."""

import json
import multiprocessing
import os
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from recipes.commands.cli import main
from rollout.chat import load_tokenizer
from rollout.store import Source
from tests.recipes.selection.written_store import R, W, group_of, problem_of, write_store

ROLLOUTS = 3
SAID = [("ab\n\ncd\n\nef", R), ("ab\n\nxy", W), ("xy", W)]


@pytest.fixture
def store(model_folder: Path, tmp_path: Path) -> Path:
    """Two problems with three responses each; a random model goes on from their beginnings."""
    (tmp_path / "odd.py").write_text("def even(problem, response):\n    return len(response) % 2 == 0\n")
    groups = [group_of(problem_of(f"{n} + {n}?", str(2 * n)), SAID) for n in range(2)]
    return write_store(tmp_path / "sampled", groups, source=Source(str(model_folder), "Be brief.", True, 1.0))


def words(store: Path, out: Path, *more: str) -> list[str]:
    common = ["--rollouts", str(ROLLOUTS), "--max-completion-length", "8", "--engine", "hf", "--states-per-chunk", "2", "--workers", "1"]
    return ["data", "steps", str(store), "--out", str(out), *common, "--reward", f"{store.parent / 'odd.py'}:even", *more]


def rows_of(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.read_text().splitlines()]


def chunks(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((run / "rollouts").iterdir())}


def refused(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    capsys.readouterr()
    assert main(arguments) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if " so far)" not in line]
    assert len(said) == 1
    return said[0]


def test_labels_are_what_came_of_the_rollouts(model_folder: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, tokenizer = tmp_path / "steps.jsonl", load_tokenizer(str(model_folder))
    assert main(words(store, out)) == 0
    assert "6 responses of 6 responses to 2 problems; 12 steps" in capsys.readouterr().err
    sampled = [
        row for path in sorted((tmp_path / "steps.jsonl.rollouts" / "rollouts").glob("*")) for row in pq.read_table(path).to_pylist()
    ]
    assert len(sampled) == 2 * 2 * ROLLOUTS  # "ab" of both responses once, and "ab cd"
    labelled = rows_of(out)
    assert [row["response"] for row in labelled] == [text for text, _ in SAID] * 2
    for row in labelled:
        *inner, last = row["steps"]
        assert last == {"end": len(row["response"]), "score": float(len(row["response"]) % 2 == 0)} | {
            "right": int(len(row["response"]) % 2 == 0), "judged": 1,
        }  # fmt: skip
        for step in inner:
            asked = f"{row['prompt'][-1]['content']}<|im_end|>\n<|im_start|>assistant\n{row['response'][: step['end']]}"
            own = [s for s in sampled if tokenizer.decode(s["prompt"]).endswith(asked)]
            assert len(own) == ROLLOUTS
            assert all(s["response"].startswith(row["response"][: step["end"]]) for s in own)
            right = sum(len(s["response"]) % 2 == 0 for s in own)
            assert step == {"end": step["end"], "score": float(right > 0), "right": right, "judged": ROLLOUTS}
    assert all(s["system_prompt"] == "Be brief." and s["templated"] for s in sampled)


def test_the_other_form_takes_no_sampling_and_options_that_matter_are_refused(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, run = tmp_path / "steps.jsonl", tmp_path / "steps.jsonl.rollouts"
    assert main(words(store, out, "--labels", "soft")) == 0
    before = chunks(run)
    times = {path: path.stat().st_mtime_ns for path in (run / "rollouts").iterdir()}
    assert main(words(store, tmp_path / "trl.jsonl", "--run", str(run), "--format", "trl")) == 0
    assert {path: path.stat().st_mtime_ns for path in (run / "rollouts").iterdir()} == times
    soft, hard = rows_of(out), rows_of(tmp_path / "trl.jsonl")
    assert [row["labels"] for row in hard] == [[step["score"] > 0 for step in row["steps"]] for row in soft]
    assert any(0 < step["score"] < 1 for row in soft for step in row["steps"])
    assert f"{run} holds roll-outs that were sampled otherwise (with --rollouts 3, --seed 0); give the same" in refused(
        capsys, words(store, out, "--rollouts", "4", "--seed", "1")
    )
    assert "sampled otherwise (of other responses)" in refused(capsys, words(store, out, "--limit", "2"))
    assert chunks(run) == before
    capsys.readouterr()
    assert main(words(store, out, "--limit", "3", "--overwrite")) == 0
    assert len(rows_of(out)) == 3
    assert "3 responses of 3 responses to 1 problems" in capsys.readouterr().err  # the second problem's were not looked at


def test_a_kill_costs_the_chunk_in_flight(store: Path, tmp_path: Path) -> None:
    whole, killed = tmp_path / "whole.jsonl", tmp_path / "killed.jsonl"
    assert main(words(store, whole, "--stop-at-lost")) == 0
    arguments = words(store, killed, "--stop-at-lost")
    child = multiprocessing.get_context("fork").Process(target=lambda: os._exit(main(arguments)))
    child.start()
    began, first = time.monotonic(), tmp_path / "killed.jsonl.rollouts" / "rollouts" / "step-000001.parquet"
    while not first.exists():
        assert time.monotonic() - began < 120
        time.sleep(0.002)
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    child.join(60)
    assert not killed.exists()
    stamp = first.stat().st_mtime_ns
    assert main(arguments) == 0
    assert first.stat().st_mtime_ns == stamp
    assert killed.read_bytes() == whole.read_bytes()
    assert chunks(tmp_path / "killed.jsonl.rollouts") == chunks(tmp_path / "whole.jsonl.rollouts")


def test_bad_input_is_one_line_before_the_model_is_loaded(
    model_folder: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "steps.jsonl"
    assert "--out is missing" in refused(capsys, ["data", "steps", str(store)])
    assert "--rollouts must be at least 1, not 0" in refused(capsys, words(store, out, "--rollouts", "0"))
    assert "split is 'lines'" in refused(capsys, words(store, out, "--split", "lines"))
    assert "--labels soft would be ignored with --format trl" in refused(capsys, words(store, out, "--labels", "soft", "--format", "trl"))
    assert "no response is left to label" in refused(capsys, words(store, out, "--where", "length(response) > 99"))
    assert "--model: " in refused(capsys, words(store, out, "--model", str(tmp_path / "gone")))
    long = refused(capsys, words(store, out, "--max-completion-length", "2000"))
    assert "need 2" in long
    assert "--where" not in long  # no response is short enough
    assert "even2" in refused(capsys, [*words(store, out)[:-1], f"{tmp_path / 'odd.py'}:even2"])
    problem, source = problem_of(), Source(str(tmp_path / "gone"), "", True, 1.0)
    gone = write_store(tmp_path / "gone_store", [group_of(problem, SAID)], source=source)
    assert "the store's model: " in refused(capsys, words(gone, out))
    mixed = [write_store(tmp_path / name, [group_of(problem, [(name, R)])], source=replace(source, system_prompt=name)) for name in "ab"]
    arguments = words(mixed[0], out)
    assert "were asked for in several ways" in refused(capsys, [*arguments[:3], str(mixed[1]), *arguments[3:]])
    assert "reckon data has no 'step'; did you mean steps?" in refused(capsys, ["data", "step"])
    assert not out.exists()
    assert not (tmp_path / "steps.jsonl.rollouts").exists()
