"""Does this checkout give the same bytes as another? `python -m benchmarks.same_bytes OTHER_CHECKOUT [--only demo verify quickstart]`

For a change that should change nothing. Each checkout does the same work in fresh processes, with its own `.venv` where it has one, in a
folder of the same name: `reckon mine demo`; `reckon verify` over the labelled answers and programs of ../shared/data (or $RECKON_DATA);
three steps of `reckon quickstart` for a seed. All that they leave is then compared byte by byte, but for what `NOT_RESULTS` names. A
difference is printed with the first place where it is seen; the last line is `RESULT {json}`. A few minutes on two free cores.

Left out: plots of the quickstart, its checkpoints and its manifest, of which only the metrics are asked for.
"""

import argparse
import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.parts import DATA, ROOT


class NotResult(NamedTuple):
    files: str
    """A pattern of the files' paths, from the work's name on."""
    text: str
    """A pattern of what is left out there; all of the file where it is empty."""
    why: str


NOT_RESULTS = (
    NotResult(r"verify/.*", r'"(?:\w*seconds|verdicts_per_s|replaced_workers)": [\d.e-]+', "durations, and a rate made of them"),
    NotResult(r"demo/stdout", r" +\d+\.\d(?=  |$)|\(\d+ s\)", "the column of seconds, and the seconds of the whole"),
    NotResult(r"demo/mined/run/(?:steps/.*|funnel\.json)", r'"(?:training_)?seconds": [\d.e-]+', "durations"),
    NotResult(r"demo/mined/run/report\.html", r"<h2>Cost of a billion pages</h2>.*?</table>", "durations, multiplied"),
    NotResult(r"demo/mined/run/extracted/.*\.json", r'"config": "[0-9a-f]{16}"', "a hash whose format was raised from 2 to 3"),
    NotResult(r"quickstart/metrics\.jsonl", r'"(?:time|speed)/[^"]*": [-\d.e+]+|"[^"]*seconds": [-\d.e+]+', "durations and rates"),
    NotResult(r"quickstart/stdout", r'"seconds": [\d.]+', "a duration"),
)  # fmt: skip
QUICKSTART = (
    "--engine hf --seed 3 --steps 3 --problems 300 --held-out 20 --problems-per-step 4 --completions-per-problem 4 --eval-every 2 "
    "--hidden 32 --layers 1 --warm-start 0.01 --overwrite --run"
)


def rows_of(name: str) -> list[dict[str, Any]]:
    data = (DATA / name).read_bytes()
    text = gzip.decompress(data) if name.endswith(".gz") else data
    return [json.loads(line) for line in text.decode().strip().split("\n")]


def answers() -> Iterator[dict[str, Any]]:
    """The labelled answers as rows of `reckon verify`; of a file with several kinds, each in the field that its kind asks for."""
    for name in ("verifier/hardverify_even", "verifier/derived_numeric_pairs_odd", "verifier/mathverify_tests", "faults/answers"):
        for row in rows_of(f"{name}.jsonl"):
            whole = "response" in (row.get("kind"), row.get("as"))
            yield {"gold": row["gold"], "response" if whole else "pred": row["pred"], "problem": row.get("problem", "")}


def programs() -> Iterator[dict[str, Any]]:
    """HumanEval's reference solutions, and each cut short, which is mostly wrong."""
    for row in rows_of("verifier/code/HumanEval.jsonl.gz"):
        solution = row["canonical_solution"]
        for body in (solution, solution[: len(solution) // 2]):
            task = {name: row[name] for name in ("prompt", "test", "entry_point")}
            yield {"gold": solution, "response": body, "verifier": "python_tests", "problem": row["prompt"], "meta": task}


def write_rows(file: Path, rows: Iterable[dict[str, Any]]) -> str:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file.name


def run(checkout: Path, place: Path, works: Iterable[str]) -> None:
    """All works of one checkout, in an empty folder. Raises CalledProcessError where one fails."""
    own = checkout / ".venv" / "bin" / "python"
    python = str(own) if own.is_file() else sys.executable
    module = f"recipes.{'commands.' if (checkout / 'recipes' / 'commands').is_dir() else ''}cli"  # `reckon`, wherever it lies
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "COLUMNS": "140"}

    def reckon(work: str, *arguments: str) -> None:
        with (place / work / "stdout").open("w") as out:
            subprocess.run(
                [python, "-m", module, *arguments], cwd=place, env=environment, stdout=out, stderr=subprocess.DEVNULL, check=True
            )

    said = subprocess.run(
        [python, "-c", f"import {module} as m; print(m.__file__)"], env=environment, stdout=subprocess.PIPE, cwd=place, text=True
    )
    assert checkout in Path(said.stdout.strip()).parents, f"{python} finds {said.stdout.strip()}, which is not in {checkout}"
    for work in works:
        (place / work).mkdir(parents=True)
        if work == "demo":
            reckon(work, "mine", "demo", "--out", "demo/mined")
        elif work == "quickstart":
            reckon(work, "quickstart", *QUICKSTART.split(), "run")
            shutil.copy(place / "run" / "metrics.jsonl", place / work)
            shutil.rmtree(place / "run")
        else:
            for name, rows in (("answers", answers()), ("programs", programs())):
                file = write_rows(place / work / f"{name}.jsonl", rows)
                reckon(work, "verify", f"{work}/{file}", "--out", f"{work}/{name}.verdicts", "--deadline", "60")


def results(file: Path, name: str) -> bytes:
    """What the file says, without what is no result."""
    data = file.read_bytes()
    for rule in NOT_RESULTS:
        if re.fullmatch(rule.files, name):
            data = re.sub(rule.text.encode(), b"...", data, flags=re.DOTALL | re.MULTILINE)
    return data


def difference(ours: bytes, theirs: bytes) -> str:
    at = next((place for place, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
    start = max(0, at - 60)
    return f"from byte {at} on: here {ours[start : at + 80]!r}, there {theirs[start : at + 80]!r}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("other", type=Path)
    parser.add_argument("--only", nargs="+", choices=("demo", "verify", "quickstart"), default=["demo", "verify", "quickstart"])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sides = []
        for name, checkout in (("ours", ROOT), ("theirs", options.other.resolve())):
            print(f"{name}: {checkout}", flush=True)
            place = Path(folder) / "work"  # the same for both: the names of extracted files are hashes of where the archives lie
            place.mkdir()
            run(checkout, place, options.only)
            place.rename(Path(folder) / name)
            files = sorted(file for file in (Path(folder) / name).rglob("*") if file.is_file())
            sides.append({file.relative_to(Path(folder) / name).as_posix(): file for file in files})
        ours, theirs = sides
        differing = sorted(ours.keys() ^ theirs.keys())
        for name in differing:
            print(f"only {'here' if name in ours else 'there'}: {name}")
        for name in sorted(ours.keys() & theirs.keys()):
            here, there = results(ours[name], name), results(theirs[name], name)
            if here != there:
                differing.append(name)
                print(f"{name} differs {difference(here, there)}")
    for rule in NOT_RESULTS:
        print(f"not compared in {rule.files}: {rule.text} ({rule.why})")
    print(f"RESULT {json.dumps({'passed': not differing, 'failed': differing, 'works': options.only, 'files': len(ours)})}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
