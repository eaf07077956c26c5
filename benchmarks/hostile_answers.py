"""Answers that made graders hang, eat memory or run code: what VERIFIERS' list of failures names, and relatives of it.

`python -m benchmarks.hostile_answers` judges each against three golds in this process and prints the slowest, the memory, and
what was executed, as one JSON line. Inputs are made by arithmetic on strings; nothing here is a file to keep.
"""

import json
import resource
import sys
import tempfile
import time
from pathlib import Path

from verifiers.mathematics.equality.math_answer import verify
from verifiers.problem import make_problem
from verifiers.verdict import Status

SLOW_ELSEWHERE = [
    "9^{9^{9}}",
    "5^{5^{5^{5^5}}-4}",
    "9^{9^{9^9}}",
    "2^{1000000000}",
    "10000000!",
    "(((9!)!)!)!",
    "99999999!",
    "9**9**9",
    "9^9^9^9",
    "(10^{100})!",
    "0.1^{10^{10}}",
    "1e999999999",
    "10^{-10^{9}}",
    "((2^{64})^{64})^{64}",
    r"\sqrt[1000000000]{2}",
    r"\log_{2}(3^{10^{12}})",
    r"\binom{100000000}{50000000}",
    r"\binom{2000}{1000}^{40}",
    r"10^{10^{10}} \bmod 7",
    r"7^{7^{7^{7}}} \pmod{10}",
    r"\gcd(" + "9" * 300 + "," + "7" * 300 + ")",
    r"\gcd(10^{10^{8}},3)",
    r"\begin{pmatrix}1&1\\1&0\end{pmatrix}^{100000000}",
    r"\det\begin{pmatrix}" + r"a&b&c&d&e&f&g&h\\" * 8 + r"\end{pmatrix}",
    r"\begin{pmatrix}" + "1&" * 5000 + r"1\end{pmatrix}",
    "(x+y+z+w)^{60}-(x+y+z+w+1)^{60}",
    "(a+b+c+d+e+f)^{40}",
    r"\prod_{i=1}^{400} (x+i)",
    r"\prod_{i=1}^{10^9} i",
    r"\sum_{i=1}^{10^7}i^i",
    r"\sum_{i=1}^{1500} \sum_{j=1}^{1500} ij",
    r"\sum_{n=1}^{\infty} \frac{1}{n^{n}}",
    r"\int_0^1 x^{x} dx",
    r"\lim_{n\to\infty} (1+\frac1n)^{n^{n}}",
    "{" * 1000 + "1" + "}" * 1000,
    "(" * 300 + "1" + ")" * 300,
    "[" * 3000,
    r"\left(" * 500 + "1" + r"\right)" * 500,
    r"\frac{1}{" * 200 + "2" + "}" * 200,
    r"\sqrt{1+" * 28 + "x" + "}" * 28,
    r"\sin" * 300 + "x",
    r"\lfloor" * 90 + "1",
    r"\begin{cases}" * 70,
    r"\text{" * 500 + "1" + "}" * 500,
    r"\overline{" * 300 + "3" + "}" * 300,
    r"\boxed{" * 2000 + "1" + "}" * 2000,
    r"\boxed{1}" * 20_000,
    "1 " * 50_000,
    "1" * 16_000,
    "1," * 30_000,
    "0." + "3" * 50_000,
    "-" * 20_000 + "1",
    "x<" * 400 + "x",
    "=".join("x" * 4000),
    "|" * 900,
    r"\pm" * 60 + "1",
    "+".join(rf"{n}\pm 1" for n in range(40)),
    r"(0,1)\cup" * 100 + "(0,1)",
    r"\{x|" * 100,
    "e^{e^{e^{e^{e^x}}}}",
    "+".join(rf"\sin({n}x)" for n in range(60)),
    "+".join(rf"\sqrt{{x+{n}}}" for n in range(60)),
    "answer \\( " * 4000,
    "<answer>" * 10_000,
    "final answer is " * 8000,
    "$" * 40_000,
    "\\" * 40_000,
    "ℵ" * 20_000,
    "twelve million " * 3000,
]

PAYLOADS = [
    "__import__('pathlib').Path('{path}').touch()",
    "open('{path}','w') or \\pi",
    "[open('{path}','w')]",
    r"\begin{{pmatrix}}open('{path}','w')\end{{pmatrix}}",
    "'__gl'+'obals__'",
    "(lambda: open('{path}','w'))()",
    "eval(\"open('{path}','w')\")",
    r"\sin(open('{path}','w'))",
    r"\{{x | open('{path}','w')\}}",
    "().__class__.__base__.__subclasses__()",
    "x=open('{path}','w')",
    r"\text{{open('{path}','w')}}",
    "%s'%open('{path}','w')",
    "{{0.__class__}}",
    "os.system('touch {path}')",
    r"\int open('{path}','w') dx",
    r"\input{{{path}}}\write18{{touch {path}}}",
]

GOLDS = (r"\sqrt{7}+\sin 1", "x", "7")


def main() -> int:
    crashes, slowest, worst = 0, 0.0, ""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for answer in SLOW_ELSEWHERE:
        for gold in GOLDS:
            start = time.process_time()
            try:
                verify(make_problem("?", gold), rf"So \boxed{{{answer}}}.")
                verify(make_problem("?", gold), answer)
            except Exception as error:  # noqa: BLE001  a crash of any kind is what is counted
                crashes += 1
                print(f"crash: {answer[:60]!r}: {error!r}", file=sys.stderr)
            if (taken := time.process_time() - start) > slowest:
                slowest, worst = taken, answer
    accepted = 0
    with tempfile.TemporaryDirectory() as folder:
        for payload in PAYLOADS:
            text = payload.format(path=f"{folder}/ran")
            accepted += any(verify(make_problem("?", gold), rf"\boxed{{{text}}}").status is Status.RIGHT for gold in GOLDS)
        executed = len(list(Path(folder).iterdir()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result = {
        "hostile_inputs": len(SLOW_ELSEWHERE), "hostile_crashes": crashes, "hostile_slowest_ms": round(1000 * slowest, 1),
        "hostile_slowest": worst[:60], "hostile_peak_mb": round(peak / 1024, 1), "hostile_grown_mb": round((peak - before) / 1024, 1),
        "payloads": len(PAYLOADS), "payloads_executed": executed, "payloads_accepted": accepted,
    }  # fmt: skip
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
