"""A Slurm array without Slurm: its tasks run by hand give the bytes of a local run, and the command then goes on."""

import os
import subprocess
from pathlib import Path

import pytest

from data_pipeline.tasks import slurm_task
from data_pipeline.tasks.file_work import FileWork
from data_pipeline.tasks.run_all import run_all
from data_pipeline.tasks.running_task import Limits
from data_pipeline.tasks.slurm_array import ToSubmit
from verifiers.input_error import InputError

TASK = "tests.data_pipeline.file_tasks:letters"


def works(folder: Path, *texts: str) -> list[FileWork]:
    (folder / "in").mkdir(parents=True, exist_ok=True)
    found = []
    for number, text in enumerate(texts):
        source = folder / "in" / f"{number}.txt"
        source.write_text(text)
        found.append(FileWork(f"file{number}", str(source), str(folder / "the out"), "1", {"log": str(folder / "log")}))
    return found


def outputs(folder: Path) -> dict[str, bytes]:
    files = (file for file in (folder / "the out").iterdir() if not file.name.startswith((".", "slurm")))
    return {file.name: file.read_bytes().replace(str(folder).encode(), b"") for file in files}


def test_the_tasks_of_an_array_run_by_hand_give_what_a_local_run_gives(tmp_path: Path) -> None:
    texts = ("one", "two", "three", "four", "refuse nothing there")
    here, there = works(tmp_path / "here", *texts), works(tmp_path / "there", *texts)
    list(run_all(TASK, here, workers=1))
    with pytest.raises(ToSubmit, match=r"5 of 5 files are to be worked on: sbatch .*/the out/slurm.sh; when it is through"):
        list(run_all(TASK, there, on="slurm://2", limits=Limits(megabytes=700)))
    script = tmp_path / "there" / "the out" / "slurm.sh"
    assert "#SBATCH --array=0-1\n" in script.read_text()
    assert "#SBATCH --mem-per-cpu=700M\n" in script.read_text()
    codes = [subprocess.run(["bash", str(script)], env=os.environ | {"SLURM_ARRAY_TASK_ID": str(number)}).returncode for number in (1, 0)]
    assert codes == [0, 1]  # the last file is of task 0
    assert outputs(tmp_path / "there") == outputs(tmp_path / "here")
    assert len(outputs(tmp_path / "there")) == 8
    Path(there[4].source).write_text("well again")
    assert slurm_task.main([str(script.with_name(".slurm-works.jsonl")), "4", "5"]) == 0
    last = list(run_all(TASK, there, on="slurm"))[-1]
    assert (last.finished, last.files) == (5, 5)


def test_what_is_no_array_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(InputError, match="--on slurm://many: should be slurm, or slurm://N"):
        list(run_all(TASK, works(tmp_path, "a"), on="slurm://many"))
    (tmp_path / "works.jsonl").write_text("{}\n")
    for given in (["a"], ["a", "2", "2"], [str(tmp_path / "none"), "0", "1"], [str(tmp_path / "works.jsonl"), "0", "1"]):
        assert slurm_task.main(given) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
