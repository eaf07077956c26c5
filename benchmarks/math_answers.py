r"""How right, fast and safe is the mathematics verifier? `python -m benchmarks.math_answers [--peer /path/to/python]`

Measures what the README claims on the labelled data of ../shared/data (or $RECKON_DATA). `--peer` names a Python that has Math-Verify
installed (pip install math-verify==0.9.0 into an environment of its own); it judges the same pairs in the same run, in one subprocess.
The last line is `RESULT {json}`; `passed` is whether every bar holds.
"""

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.disputed_labels import why_disputed
from benchmarks.parts import DATA, json_lines, options, report
from verifiers.mathematics.answer_reading.answer_parser import parse
from verifiers.mathematics.answer_reading.values import Unparsed
from verifiers.mathematics.equality.math_answer import equivalent, verify
from verifiers.problem import make_problem
from verifiers.response_text.final_answer import extract_answer
from verifiers.verdict import Status

HERE = Path(__file__).resolve().parent

PEER = r"""
import json, sys, time
from math_verify import parse, verify
def box(text): return text if "\\boxed" in text or "$" in text else "\\boxed{" + text + "}"
for line in sys.stdin:
    row = json.loads(line)
    start = time.perf_counter()
    try:
        gold, pred = (row["gold"], row["pred"]) if row["raw"] else (box(row["gold"]), row["pred"] if row["response"] else box(row["pred"]))
        same = bool(verify(parse(gold), parse(pred)))
    except Exception:
        same = False
    print(json.dumps([same, time.perf_counter() - start]), flush=True)
"""

BARS: dict[str, Callable[[Any], bool]] = {
    "hardverify_accuracy": lambda x: x >= 0.92,
    "hardverify_false_positives": lambda x: x <= 1,
    "numeric_accuracy": lambda x: x >= 0.999,
    "numeric_false_positives": lambda x: x == 0,
    "probes_right": lambda x: x >= 83,
    "probes_false_positives": lambda x: x == 0,
    "peer_tests": lambda x: x >= 0.985,
    "gsm8k_agreement": lambda x: x == 1,
    "golds_self": lambda x: x >= 0.999,
    "asymmetric": lambda x: x == 0,
    "bench_per_second": lambda x: x >= 2000,
    "bench_p99_ms": lambda x: x <= 10,
    "gsm8k_per_second": lambda x: x >= 20_000,
    "import_ms": lambda x: x <= 60,
    "threads_differ": lambda x: x == 0,
    "fuzz_crashes": lambda x: x == 0,
    "fuzz_slowest_ms": lambda x: x <= 50,
    "threads_grown_mb": lambda x: x <= 32,
    "hostile_crashes": lambda x: x == 0,
    "hostile_slowest_ms": lambda x: x <= 1050,
    "hostile_peak_mb": lambda x: x <= 256,
    "payloads_executed": lambda x: x == 0,
    "payloads_accepted": lambda x: x == 0,
    "bench_times_peer": lambda x: x is None or x >= 15,
}


def hardverify() -> list[dict[str, Any]]:
    """The rows whose label its auditors do not doubt."""
    suspect = {(r["id"], r["field"]) for r in json_lines(DATA / "verifier/hardverify_even_audit.jsonl") if r["tag"] == "label_suspect"}
    return [row for row in json_lines(DATA / "verifier/hardverify_even.jsonl") if (row["id"], row["field"]) not in suspect]


def answer_of(text: str, kind: str = "answer") -> str:
    """An answer as it stands, or the answer of a response: what `verify` would compare."""
    if kind == "answer" and "\\boxed" not in text and not isinstance(parse(text), Unparsed):
        return text
    answer = extract_answer(text)
    return answer.text if answer else text


def score(data: list[dict[str, Any]], judged: list[bool]) -> dict[str, float]:
    right = sum(row["label"] == same for row, same in zip(data, judged, strict=True))
    wrong = sum(same and not row["label"] for row, same in zip(data, judged, strict=True))
    return {"accuracy": round(right / len(data), 4), "right": right, "of": len(data), "false_positives": wrong}


def peer_judge(python: str, data: list[dict[str, Any]], *, raw: bool = False, response: bool = False) -> tuple[list[bool], list[float]]:
    lines = "\n".join(json.dumps({"gold": r["gold"], "pred": r["pred"], "raw": raw, "response": response}) for r in data)
    done = subprocess.run([python, "-c", PEER], input=lines, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.strip().split("\n")]
    return [same for same, _ in found], [seconds for _, seconds in found]


def as_the_peer_asks(row: dict[str, Any]) -> bool:
    """One of Math-Verify's tests, under its own option: `precision` is the digits to which its answers are rounded."""
    gold, answer = answer_of(row["gold"]), answer_of(row["pred"], row["kind"])
    digits = min(4, row["opts"].get("precision", 4))
    return equivalent(gold, answer, require_closed_form=False, tolerance=f"rounded:{digits}" if digits > 0 else "exact")


def accuracy(peer: str | None) -> dict[str, Any]:
    probes = json_lines(HERE / "math_probes.jsonl")
    numeric, tests = (json_lines(DATA / "verifier" / f"{name}.jsonl") for name in ("derived_numeric_pairs_odd", "mathverify_tests"))
    hard = hardverify()
    result: dict[str, Any] = {}
    for name, data in (("hardverify", hard), ("numeric", numeric), ("probes", probes)):
        found = score(data, [equivalent(row["gold"], row["pred"]) for row in data])
        result |= {
            f"{name}_accuracy": found["accuracy"],
            f"{name}_right": found["right"],
            f"{name}_false_positives": found["false_positives"],
        }
        if peer:
            result[f"{name}_peer"] = score(data, peer_judge(peer, data)[0])
        print(f"{name}: {found}, peer {result.get(f'{name}_peer')}", flush=True)
    judged = [as_the_peer_asks(row) for row in tests]
    kept = [(row, same) for row, same in zip(tests, judged, strict=True) if why_disputed(row["gold"], row["pred"]) is None]
    result["peer_tests"] = score([row for row, _ in kept], [same for _, same in kept])["accuracy"]
    result["peer_tests_with_disputed"] = score(tests, judged)["accuracy"]
    result["disputed"] = len(tests) - len(kept)
    if peer:
        result["peer_tests_peer"] = score(tests, peer_judge(peer, tests, raw=True)[0])
    print(f"peer's tests: {result['peer_tests']:.4f} without {result['disputed']} disputed", flush=True)
    pairs = [(row["gold"], row["pred"]) for row in (*hard, *numeric, *probes, *tests)]
    result["asymmetric"] = sum(equivalent(a, b) != equivalent(b, a) for a, b in pairs)
    return result


def ground_truth() -> dict[str, Any]:
    data = json_lines(DATA / "verifier/gsm8k_openai_solutions.jsonl")
    problems = [make_problem("?", row["gold"]) for row in data]
    start = time.perf_counter()
    judged = [verify(p, row["response"]).status is Status.RIGHT for p, row in zip(problems, data, strict=True)]
    seconds = time.perf_counter() - start
    golds = [
        r["gold"]
        for name in ("math_test", "math_train", "minerva_math")
        for r in json_lines(DATA / f"math/{name}.jsonl")
        if r["gold"].strip()
    ]
    return {
        "gsm8k_agreement": sum(a == row["label"] for a, row in zip(judged, data, strict=True)) / len(data),
        "gsm8k_per_second": round(len(data) / seconds),
        "golds_self": round(sum(equivalent(gold, f" {gold} .") for gold in golds) / len(golds), 5),
    }


def speed(peer: str | None) -> dict[str, Any]:
    """A mix of answers and responses, each judged once, with nothing remembered from before."""
    data = [{"gold": r["gold"], "pred": r["text"], "kind": r["kind"]} for r in json_lines(DATA / "verifier/bench.jsonl")]
    seconds = []
    for row in data:
        problem = make_problem("?", row["gold"])
        start = time.perf_counter()
        if row["kind"] == "response":
            verify(problem, row["pred"])
        else:
            equivalent(row["gold"], row["pred"])
        seconds.append(time.perf_counter() - start)
    result: dict[str, Any] = {"bench_per_second": round(len(data) / sum(seconds)), "bench_p99_ms": round(_p99(seconds), 3)}
    if peer:
        _, times = peer_judge(peer, data, response=True)
        result |= {"bench_per_second_peer": round(len(times) / sum(times), 1), "bench_p99_ms_peer": round(_p99(times), 1)}
    result["bench_times_peer"] = round(sum(times) / sum(seconds), 1) if peer else None
    return result


def _p99(seconds: list[float]) -> float:
    return 1000 * statistics.quantiles(seconds, n=100)[98]


def import_time() -> dict[str, Any]:
    """Of a fresh interpreter, with byte code written: the median of five."""
    code = "import time; s = time.perf_counter(); import verifiers.mathematics.equality.math_answer; print(time.perf_counter() - s)"
    with tempfile.TemporaryDirectory() as folder:
        env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": folder}
        run = [sys.executable, "-c", code]
        times = [float(subprocess.run(run, stdout=subprocess.PIPE, text=True, check=True, env=env).stdout) for _ in range(6)]
    return {"import_ms": round(1000 * statistics.median(times[1:]), 1)}


def threads(count: int, total: int) -> dict[str, Any]:
    pairs = [(row["gold"], row["pred"]) for row in (*hardverify(), *json_lines(DATA / "verifier/derived_numeric_pairs_odd.jsonl"))]
    serial = [equivalent(*pair) for pair in pairs]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def differing(k: int) -> int:
        draw = random.Random(k)
        places = (draw.randrange(len(pairs)) for _ in range(total // count))
        return sum(equivalent(*pairs[at]) != serial[at] for at in places)

    start = time.perf_counter()
    with ThreadPoolExecutor(count) as pool:
        differ = sum(pool.map(differing, range(count)))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    return {"threads_differ": differ, "threads_seconds": round(time.perf_counter() - start, 1), "threads_grown_mb": round(grown, 1)}


PIECES = r"""
    \frac \sqrt \sum_{i=1}^{9} \prod \binom \sin \log_2 \ln \left( \right) \begin{pmatrix} \end{pmatrix} \begin{cases} \end{cases} \\ &
    { } ( ) [ ] | < > \le = , ; : ! ^ _ + - * / x y n k e i \pi \infty \cup \cap \{ \} \mid \in \mathbb{R} \text{ cm} % $ ° 0 1 2 9
    99999999 0.5 1e9 \pm \forall \equiv \pmod \lfloor \rfloor \overline{3} \ldots and or 10^{9} 9^9 \boxed{ ² ½ √
""".split()  # noqa: SIM905


def fuzz(count: int) -> dict[str, Any]:
    draw = random.Random(7)
    crashes, slowest, worst = 0, 0.0, ""
    for _ in range(count):
        text = "".join(draw.choice(PIECES) for _ in range(draw.randint(1, draw.choice((8, 40, 160)))))
        start = time.process_time()
        try:
            equivalent(draw.choice((r"\sin x", "[0,1)", "7")), text)
        except Exception:  # noqa: BLE001  a crash of any kind is what is counted
            crashes += 1
        if (taken := time.process_time() - start) > slowest:
            slowest, worst = taken, text
    return {"fuzz_crashes": crashes, "fuzz_slowest_ms": round(1000 * slowest, 1), "fuzz_slowest": worst[:80]}


def hostile() -> dict[str, Any]:
    """In a process of its own, whose peak of memory is then theirs alone."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.hostile_answers"], stdout=subprocess.PIPE, text=True, check=True, timeout=600)
    return dict(json.loads(done.stdout))


def main() -> int:
    parser = options(__doc__, peer="Math-Verify")
    parser.add_argument("--fuzz", type=int, default=20_000)
    parser.add_argument("--threaded", type=int, default=100_000, help="verifications by 32 threads")
    given = parser.parse_args()
    result = speed(given.peer) | import_time() | ground_truth() | accuracy(given.peer)
    return report(result | fuzz(given.fuzz) | hostile() | threads(32, given.threaded), BARS)


if __name__ == "__main__":
    sys.exit(main())
