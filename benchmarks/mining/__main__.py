"""The mining pipeline against its bars, a table and one result: `python -m benchmarks.mining [--peer /path/to/python]`.

Runs, each in a process of its own: `mining_prefilter` (reading, hostile input), `mining_mathml` (MathML to TeX), `mining_extraction`
(formulas kept, main text, speed), `mining_classifier` (unseen sources), `mining_subjects` (another subject), `mining_quality` (what rules
keep), `mining_duplicates` (near-duplicates, decontamination), `mining_global_steps` (copies and budget of 20 million pages: memory, time),
`mining_loop` (the whole loop, kill and rerun), `mining_hidden_sites` (sites that only an index knows), `mining_pipeline` (all of it
against datatrove's, and what a billion pages cost) and `mining_clusters` (what Ray costs). `--peer` names a Python with trafilatura,
datatrove, resiliparse and warcio for the comparisons. What cannot run here is named under `not_measured`. Time nothing else meanwhile.
"""

import sys
from typing import Any

from benchmarks.parts import benchmark, ended, options, verdict

NAMES = "prefilter mathml extraction classifier subjects quality duplicates global_steps loop hidden_sites pipeline clusters"
PARTS = tuple(f"mining_{name}" for name in NAMES.split())
WITH_PEER = frozenset(("mining_prefilter", "mining_extraction", "mining_duplicates", "mining_pipeline"))


def main() -> int:
    parser = options(__doc__, peer="trafilatura, datatrove, resiliparse and warcio")
    parser.add_argument("--only", choices=PARTS, action="append", help="run only this part (may be given several times)")
    given = parser.parse_args()
    missing = [] if given.peer else ["peers: give --peer, a Python that has trafilatura, datatrove, resiliparse and warcio"]
    result: dict[str, dict[str, Any]] = {}
    for name in given.only or PARTS:
        result[name] = benchmark(name.replace("_", ".", 1), ["--peer", given.peer] if given.peer and name in WITH_PEER else [])
        missing += [f"{name}: {what}" for what in result[name].get("not_measured", [])]
    missing += [f"{name}: left out by --only" for name in PARTS if name not in result]
    for name, part in result.items():
        print(f"{name:18} {verdict(part)}")
    failed = [name for name, part in result.items() if not part.get("passed")]
    return ended({"not_measured": missing} | result, failed)


if __name__ == "__main__":
    sys.exit(main())
