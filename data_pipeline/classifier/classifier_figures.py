"""How good is a classifier? Figures of scores against labels, in plain numbers that go into JSON, and as a table.

`figures` measures one set of documents; a training always has two, documents like those it learnt from and documents of sources it never
saw, and `figures_table` prints them side by side, because the first alone says nothing about the web (MegaMath: above 90 hid 82).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

BINS = 10
THRESHOLD = 0.5


def figures(scores: Sequence[float], positive: Sequence[bool], sources: Sequence[str], name: str = "math") -> dict[str, Any]:
    """Precision, recall, F1 and accuracy of "score > `THRESHOLD`", the threshold with the best F1, calibration by score, outcome by source.

    `name`: of what is sought, in the keys of the outcome by source.

    A ratio whose denominator is 0 is 0. `best_threshold` was chosen on these very documents: it is a hint, its F1 is an upper bound.
    """
    values, truth = np.asarray(scores, dtype=float), np.asarray(positive, dtype=bool)
    best = _best_threshold(values, truth)
    return {
        "documents": len(values),
        "positive": int(truth.sum()),
        "threshold": THRESHOLD,
        **_rates(values > THRESHOLD, truth),
        "best_threshold": best,
        "best_f1": _rates(values > best, truth)["f1"],
        "calibration": _calibration(values, truth),
        "sources": _by_source(values > THRESHOLD, truth, np.asarray(sources, dtype=object), name),
    }


def figures_table(report: dict[str, Any], noun: str = "mathematics") -> str:
    """The report of a training as lines of text: in-domain and held-out sources side by side, then calibration of the latter."""
    names = [name for name in ("in_domain", "held_out_sources") if report.get(name)]
    lines = [f"{'':18}" + "".join(f"{name.replace('_', ' '):>20}" for name in names)]
    for key in ("documents", "positive", "precision", "recall", "f1", "accuracy", "best_threshold", "best_f1"):
        lines.append(f"{key.replace('_', ' '):18}" + "".join(f"{_shown(report[name][key]):>20}" for name in names))
    for name in names[-1:]:
        lines.append(f"\ncalibration, {name.replace('_', ' ')}: score, documents, mean score, share of {noun}")
        for row in report[name]["calibration"]:
            lines.append(f"  {row['from']:.1f}-{row['to']:.1f} {row['documents']:8} {row['mean_score']:8.3f} {row['share_positive']:8.3f}")
    if report.get("note"):
        lines.append(f"\n{report['note']}")
    return "\n".join(lines)


def _rates(said: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> dict[str, float]:
    hits, false, missed = int((said & truth).sum()), int((said & ~truth).sum()), int((~said & truth).sum())

    def ratio(part: int, whole: int) -> float:
        return part / whole if whole else 0.0

    return {
        "precision": ratio(hits, hits + false),
        "recall": ratio(hits, hits + missed),
        "f1": ratio(2 * hits, 2 * hits + false + missed),
        "accuracy": ratio(int((said == truth).sum()), len(truth)),
    }


def _best_threshold(values: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> float:
    """In steps of 0.01; of equally good ones the one nearest to `THRESHOLD`."""
    steps = [step / 100 for step in range(1, 100)]
    return max(steps, key=lambda step: (_rates(values > step, truth)["f1"], -abs(step - THRESHOLD)))


def _calibration(values: np.ndarray[Any, Any], truth: np.ndarray[Any, Any]) -> list[dict[str, float]]:
    bins = np.minimum((values * BINS).astype(int), BINS - 1)
    rows = []
    for index in range(BINS):
        inside = bins == index
        count = int(inside.sum())
        mean, share = (float(values[inside].mean()), float(truth[inside].mean())) if count else (0.0, 0.0)
        rows.append({"from": index / BINS, "to": (index + 1) / BINS, "documents": count, "mean_score": mean, "share_positive": share})
    return rows


def _by_source(
    said: np.ndarray[Any, Any], truth: np.ndarray[Any, Any], sources: np.ndarray[Any, Any], name: str
) -> dict[str, dict[str, int]]:
    found = {}
    for source in sorted(set(sources.tolist())):
        mine = sources == source
        found[source] = {
            name: int((truth & mine).sum()), f"{name}_found": int((said & truth & mine).sum()), "other": int((~truth & mine).sum()),
            "other_taken": int((said & ~truth & mine).sum()),
        }  # fmt: skip
    return found


def _shown(value: float) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
