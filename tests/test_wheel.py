"""What a user installs: a wheel of this tree, in an empty environment, run from an empty folder.

A package that the build leaves out, a file that is found only beside the checkout, or a sandbox that cannot read the installed modules
is invisible to every test that runs in the tree.
"""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
PACKAGES = ("data_pipeline", "recipes", "rl", "rollout", "verifiers")


def run(*command: Any, **settings: Any) -> str:
    """Its standard output. Neither this tree nor what the caller put on Python's path is seen by it."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([*map(str, command)], env=environment, capture_output=True, text=True, check=False, **settings)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("only a checkout knows which files are the project's")
    listed = run("git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tracked: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the project's files alone."""
    export, built = tmp_path_factory.mktemp("export"), tmp_path_factory.mktemp("built")
    for name in tracked:
        (export / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, export / name)
    run(*PIP, "wheel", "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", built, export, cwd=built)
    return next(built.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that holds the wheel and, by their path, the packages that it depends on."""
    folder = tmp_path_factory.mktemp("environment")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    run(*PIP, "--python", python, "install", "--no-deps", "--no-index", wheel)
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    others = [place for place in sys.path if Path(place).name == "site-packages"]
    (packages / "dependencies.pth").write_text("\n".join(others) + "\n")  # their own .pth files, an editable install's too, are not read
    return folder / "bin"


def test_the_wheel_holds_every_room_and_nothing_else(wheel: Path, tracked: list[str]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == {"reckon.py", *(name for name in tracked if name.split("/")[0] in PACKAGES)}


def test_it_runs_where_the_checkout_is_not(installed: Path, tmp_path: Path) -> None:
    """`reckon verify`, with a program in the sandbox, and the whole of the mining pipeline."""
    place = run(installed / "python", "-c", "import verifiers; print(*verifiers.__path__)", cwd=tmp_path).strip()
    assert Path(place).is_relative_to(installed.parent)
    program = "def twice(x):\n    return 2 * x\n"
    rows = [
        {"gold": "1/2", "pred": "0.5"},
        {"gold": "", "response": f"```python\n{program}```", "verifier": "python_tests", "test_list": ["assert twice(3) == 6"]},
        {"gold": "", "response": f"```python\n{program}```", "verifier": "python_tests", "test_list": ["assert twice(3) == 7"]},
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    *verdicts, _ = run(installed / "reckon", "verify", "rows.jsonl", cwd=tmp_path).splitlines()
    assert [json.loads(line)["status"] for line in verdicts] == ["right", "right", "wrong"], verdicts
    run(installed / "reckon", "mine", "demo", "--out", "mined", cwd=tmp_path)
    assert (tmp_path / "mined" / "run" / "report.html").is_file()
    assert (tmp_path / "mined" / "run" / "problems.jsonl").stat().st_size > 0
