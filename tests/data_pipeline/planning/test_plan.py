"""A plan from measured rates, for archives and for an index, and a run against its plan. The rates' arithmetic by hand."""

import json
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from data_pipeline.commands.demo_pages import SEED_HOST
from data_pipeline.commands.demo_web import write_web
from data_pipeline.commands.mine_command import command
from data_pipeline.fetching.chosen_rows import Volume
from data_pipeline.loop.step_records import recorded
from data_pipeline.planning.run_plan import Archives, Assumed, compared, plan_archives, plan_pages
from data_pipeline.planning.stage_rates import Rates, StepRate, rates_between, rates_of_run, read_rates
from tests.data_pipeline.fetching.made_crawl import Capture, make_crawl
from verifiers.input_error import InputError

RATES = Rates(
    "m", "r", 100, 40_000.0, 5_000.0, 0.0,
    (StepRate("fetch", 0.001, 1.0), StepRate("extract", 0.004, 1.0), StepRate("round", 0.002, 0.5), StepRate("corpus", 0.01, 0.25)),
)  # fmt: skip


def test_core_hours_are_pages_times_rates_step_by_step() -> None:
    plan = plan_pages(Volume(3_600_000, 1, 1, 10, 7, 12), RATES, Assumed(0.1, rounds=3, dollars=(0.02, 0.05)))
    assert {step.step: (step.pages, round(step.core_hours, 6)) for step in plan.steps} == {
        "fetch": (3_600_000, 1.0), "extract": (3_600_000, 4.0), "round": (1_800_000, 3.0), "corpus": (360_000, 1.0),
    }  # fmt: skip
    assert plan.core_hours == pytest.approx(9)
    assert plan.dollars() == pytest.approx((0.18, 0.45))
    assert (plan.stored_bytes, plan.moved_bytes, plan.requests, plan.exact) == (10, 12, 7, True)
    assert plan.disk_bytes == 18_000_000_000


def test_pages_of_archives_follow_from_their_bytes_and_nothing_is_fetched() -> None:
    plan = plan_archives(Archives(2, 80_000_000, 0, 2), RATES, Assumed(0.1))
    assert (plan.pages, plan.exact, plan.moved_bytes) == (2000, False, 0)
    assert "fetch" not in {step.step for step in plan.steps}


TRAINING = {"training_seconds": 90.0, "training_core_seconds": 20.0}
"""On a busy machine: more by the clock than the processor seconds of the whole round."""


def _write_run(out: Path, pages: int, seconds: float, archive: Path) -> None:
    (out / "steps").mkdir(parents=True)
    (out / "config.json").write_text(json.dumps({"inputs": [str(archive)], "settings": {}}))
    rows = [
        {"step": "extract", "in": pages, "out": pages, "core_seconds": 10 + seconds, "seconds": 99.0},
        {"step": "round-01", "in": pages // 2, "out": 10, "core_seconds": 20 + seconds, "seconds": 99.0, **TRAINING},
        {"step": "round-02", "in": pages // 2, "out": 10, "core_seconds": 20 + seconds, "seconds": 99.0, **TRAINING},
        {"step": "round-02-fetch", "in": 7, "out": 7, "core_seconds": 1.0, "seconds": 1.0},
        {"step": "corpus", "in": pages // 10, "out": 5, "core_seconds": 5 + seconds, "seconds": 99.0},
    ]
    for row in rows:
        (out / "steps" / f"{row['step']}.json").write_text(json.dumps({"unit": "pages", "dropped": {}, **row}))


def test_the_processor_seconds_of_a_step_hold_those_of_its_children(tmp_path: Path) -> None:
    """Of those that have ended, and of those that run on."""
    work = "import time\nwhile time.process_time() < 0.3: pass\n"
    with recorded(tmp_path, "x"):
        subprocess.run([sys.executable, "-c", work], check=True)
        stays = subprocess.Popen([sys.executable, "-c", work + "print(1, flush=True); input()"], stdin=-1, stdout=-1)
        assert stays.stdout is not None
        assert stays.stdout.readline() == b"1\n"
    with recorded(tmp_path, "y"):
        stays.communicate(b"\n")
    spent = [json.loads((tmp_path / "steps" / f"{step}.json").read_text())["core_seconds"] for step in "xy"]
    assert 0.5 <= spent[0] < 30
    assert spent[1] < 0.3


def test_rates_of_one_run_and_of_the_difference_of_two(tmp_path: Path) -> None:
    archive = tmp_path / "a.warc.gz"
    archive.write_bytes(bytes(40_000))
    _write_run(tmp_path / "few", 100, 1.0, archive)
    _write_run(tmp_path / "many", 400, 4.0, archive)
    (tmp_path / "many" / "extra").write_bytes(bytes(3000))
    (tmp_path / "many" / "model.bin").write_bytes(bytes(9000))
    found = rates_between(tmp_path / "few", tmp_path / "many")
    assert {rate.step: round(rate.core_seconds, 9) for rate in found.steps} == {"extract": 0.01, "round": 0.02, "corpus": 0.1}
    assert {rate.step: rate.share for rate in found.steps} == {"extract": 1.0, "round": 0.5, "corpus": 0.1}
    assert rates_between(tmp_path / "few", tmp_path / "many", spent=(60.0, 87.0)).of("other") == StepRate("other", pytest.approx(0.05), 1.0)
    assert found.stored_bytes == 100
    assert found.disk_bytes == pytest.approx(10, rel=0.01)
    alone = read_rates(tmp_path / "many")
    assert alone == rates_of_run(tmp_path / "many")
    assert {rate.step: round(rate.core_seconds, 9) for rate in alone.steps} == {"extract": 0.035, "round": 0.02, "corpus": 0.225}
    told = compared({"pages": 800, "steps": [{"step": "round", "pages": 400, "core_hours": 1.0}]}, tmp_path / "many")
    assert told[:3] == [("pages", 800.0, 400.0), ("round: pages", 400.0, 200.0), ("round: core-hours", 1.0, 48 / 3600)]


@pytest.mark.slow
def test_a_plan_measured_saved_and_checked_against_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The made-up web of the demo: a run takes about what its plan said, on any machine."""
    archives = [str(path) for path in write_web(tmp_path / "web")]
    saved = tmp_path / "plan.json"
    rates = tmp_path / "rates.json"
    assert command(["plan", *archives, "--out", str(saved), "--save-rates", str(rates), "--rounds", "1", "--collected", "0.3"]) == 0
    assert "core-hours" in capsys.readouterr().out
    plan = json.loads(saved.read_text())
    assert {"extract", "duplicates", "round", "corpus"} <= {step["step"] for step in plan["steps"]}
    run = tmp_path / "run"
    options = ["--seed-domains", SEED_HOST, "--preset", "small", "--rounds", "1", "--workers", "1"]
    assert command(["run", *archives, "--out", str(run), *options]) == 0
    capsys.readouterr()
    assert command(["plan", str(saved), "--check", str(run)]) == 0
    told = {fields[0]: fields for line in capsys.readouterr().out.splitlines()[2:] if (fields := re.split(r"\s{2,}", line))}
    assert 0.5 < float(told["pages"][-1]) < 2
    assert 0.05 < float(told["extract: core-hours"][-1]) < 50  # starts are in the run and not in the plan, and the run is a small one
    again = ["plan", *archives, "--rates", str(rates), "--rounds", "1", "--collected", "0.3", "--out", str(tmp_path / "again.json")]
    assert command(again) == 0
    assert json.loads((tmp_path / "again.json").read_text())["pages"] == plan["pages"]
    assert command(["plan", *archives, "--rates", str(run)]) == 0


def test_a_plan_for_an_index_counts_its_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    crawl = make_crawl(tmp_path / "web", [Capture(f"https://{'ab'[i % 2]}.example/{i}") for i in range(100)])
    rates = tmp_path / "rates.json"
    rates.write_text(json.dumps(asdict(RATES)))
    assert command(["plan", str(crawl.index), "--rates", str(rates), "--hosts", "a.example", "--out", str(tmp_path / "plan.json")]) == 0
    assert capsys.readouterr().out.startswith("50 pages, ")
    plan = json.loads((tmp_path / "plan.json").read_text())
    assert plan["pages"] == 50
    assert plan["moved_bytes"] > plan["stored_bytes"] > 0
    for wrong in (
        ["--calibrate", "3"],
        ["--collected", "2"],
        ["--rates", str(tmp_path / "none.json")],
        ["--check", str(tmp_path / "none")],
    ):
        with pytest.raises(InputError):
            command(["plan", str(crawl.index), *wrong])
