"""A run as one page: report.html, with its numbers, its plots, and what the policy said at the beginning and at the end.

One file without scripts or links, so that it can be mailed. Everything that came from a model, a file or a user is escaped.
"""

import base64
import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rl.runs.report import evaluated_sets, is_number, is_offline, plot_run
from rl.runs.run_folder import RunFolder, read_lines
from rollout.store import misfit
from verifiers.atomic_files import atomic_path, read_file

SAMPLES = 6
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .8rem;border-bottom:1px solid #ddd;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font-size:13px}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1rem}img{width:100%}
.right{color:#2c7a3f}.wrong,.no_answer{color:#b5382a}"""
NUMBERS = (
    "eval/accuracy", "accuracy", "reward", "length", "entropy", "groups_dead", "truncated_share", "kl_reference", "sampler_kl",
    "clipped_share", "critic/explained", "critic/value", "grad_norm", "speed/tokens_per_s",
)  # fmt: skip


_REWARDS = tuple(f"rewards/{name}" for name in ("accuracies", "margins", "chosen", "rejected"))
OFFLINE_NUMBERS = ("eval/loss", "eval/auc", "eval/ece", "loss", *_REWARDS)


def write_report(run: RunFolder) -> Path:
    """Draw the plots and write report.html beside them; returns its path. Raises InputError where nothing was logged yet."""
    plots = plot_run(run.metrics_path, run.plots)
    rows = read_lines(run.metrics_path)
    steps = [row["step"] for row in rows if run.rollouts.path(row["step"]).is_file()]
    parts = [
        f"<h1>{html.escape(run.path.name)}</h1><p>{rows[-1]['step']} steps</p>",
        _number_table(rows),
        '<div class="plots">' + "".join(_image_tag(path) for path in plots) + "</div>",
        *(_sample_table(run.rollouts.path(step), step) for step in dict.fromkeys(steps[:1] + steps[-1:])),
        f"<h2>Configuration</h2><pre>{html.escape(read_file(run.path / 'config.json'))}</pre>",
    ]
    page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(run.path.name)}</title><style>{STYLE}</style>'
    path = run.path / "report.html"
    with atomic_path(path) as temporary:
        temporary.write_text(page + "\n".join(parts) + "</html>\n", encoding="utf-8", errors="replace")
    return path


def _number_table(rows: Sequence[dict[str, Any]]) -> str:
    lines = ["<tr><th>number<th>first<th>last</tr>"]
    shown = (*OFFLINE_NUMBERS, *NUMBERS) if is_offline(rows) else (*evaluated_sets(rows), *NUMBERS)
    for key in dict.fromkeys(shown):
        held = [row[key] for row in rows if is_number(row.get(key))]
        if held:
            lines.append(f'<tr><td>{html.escape(key)}<td class="n">{held[0]:.4g}<td class="n">{held[-1]:.4g}</tr>')
    return "<table>" + "".join(lines) + "</table>"


def _image_tag(path: Path) -> str:
    return f'<img alt="{html.escape(path.stem)}" src="data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}">'


def _sample_table(path: Path, step: int) -> str:
    """The first completion of the first groups, as the verifier read them; or why the file cannot be read."""
    columns = ["group", "problem", "answer", "response", "score", "status", "detail"]
    heading = f"<h2>What the policy said, step {step}</h2>"
    try:
        table = pq.read_table(path, columns=columns)
        if lost := misfit(table.schema) or next((name for name in columns if name not in table.schema.names), None):
            raise ValueError(lost)
        rows = table.to_pylist()
    except (pa.ArrowException, OSError, ValueError) as error:
        return f"{heading}<p>{html.escape(path.name)} cannot be read: {html.escape(str(error)[:200])}</p>"
    seen: dict[int, dict[str, Any]] = {}
    for row in rows:
        seen.setdefault(row["group"], row)
    lines = ["<tr><th>problem<th>answer<th>response<th>score<th>verdict</tr>"]
    for row in list(seen.values())[:SAMPLES]:
        cells = ("" if row[key] is None else str(row[key]) for key in ("problem", "answer", "response", "status", "detail"))
        problem, answer, response, status, detail = map(html.escape, cells)
        verdict = f'<td class="n">{html.escape(json.dumps(row["score"]))}<td class="{status}">{status} {detail}'
        lines.append(f"<tr><td><pre>{problem}</pre><td>{answer}<td><pre>{response}</pre>{verdict}</tr>")
    return f"{heading}<table>{''.join(lines)}</table>"
