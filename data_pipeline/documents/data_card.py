"""What a corpus is, in figures for the manifest and in words for a reader: the README.md that goes with its shards.

The header is the YAML that `datasets` reads: which files are data, and the type of every column, so that no type is guessed from the
first rows. The card tells where the text comes from and that its rights stay with the authors; what a user may do with it is the user's
to find out.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_pipeline.documents.addresses import host

COLUMNS = {
    "id": "string", "url": "string", "text": "string", "title": "string", "language": "string", "words": "int64", "tokens": "int64",
    "formulas": "int64", "scores": "float64", "dropped": "string", "archive": "string", "offset": "int64", "date": "string",
}  # fmt: skip
"""The columns of a shard, in order, with the type of their values; those of `NESTED` are lists of pairs of a name and such a value."""
NESTED = ("formulas", "scores")
_MEANING = {
    "id": "hash of where the page was found",
    "text": "Markdown, formulas as LaTeX between `$` or `$$`",
    "words": "words between white space",
    "tokens": "tokens of the tokenizer named below, null without one",
    "formulas": "pairs: how the formula was written on the page, and how many there are",
    "scores": "pairs: what measured, and its figure",
    "dropped": 'null, or why the document is not in the corpus (split "rejected" only)',
    "archive": "the archive that holds the page; `offset` is its place there and `date` when it was fetched",
}
_RIGHTS = (
    "The text is other people's: each page keeps the licence and the rights of its authors. Nothing here grants any; "
    "check what your use needs, and honour requests to remove pages (`url` and `archive` tell where each came from)."
)


@dataclass
class CorpusFacts:
    """Counts over the rows as they are written."""

    documents: int = 0
    words: int = 0
    tokens: int = 0
    text_bytes: int = 0
    drops: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)
    formulas: Counter[str] = field(default_factory=Counter)
    archives: Counter[str] = field(default_factory=Counter)
    first_date: str = ""
    last_date: str = ""

    def add(self, row: Mapping[str, Any]) -> None:
        if row["dropped"] is not None:
            self.drops[row["dropped"]] += 1
            return
        self.documents += 1
        self.words += row["words"]
        self.tokens += row["tokens"] or 0
        self.text_bytes += len(row["text"].encode())
        self.hosts[host(row["url"]) or "unknown"] += 1
        self.languages[row["language"] or "unknown"] += 1
        self.archives[row["archive"] or "unknown"] += 1
        self.formulas.update({pair["name"]: pair["value"] for pair in row["formulas"]})
        if row["date"]:
            self.first_date = min(self.first_date or row["date"], row["date"])
            self.last_date = max(self.last_date, row["date"])


def ranked(counts: Mapping[str, int], most: int | None = None) -> dict[str, int]:
    """The largest first, equal ones by name: the same order whatever order they came in."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most])


def data_card(manifest: Mapping[str, Any]) -> str:
    """README.md of a corpus from its manifest."""
    tokens = manifest["tokens"]
    counts = [
        ("documents", f"{manifest['documents']:,}"),
        ("text", f"{manifest['text_bytes']:,} bytes"),
        ("words", f"{manifest['words']:,}"),
        ("tokens", f"{tokens['count']:,} by {tokens['tokenizer']}" if tokens else "not counted"),
        ("formulas", f"{sum(manifest['formulas'].values()):,}"),
        ("hosts / archives", f"{manifest['hosts']['count']:,} / {manifest['archives']['count']:,}"),
        ("fetched", f"{manifest['dates'][0]} to {manifest['dates'][1]}" if manifest["dates"][0] else "unknown"),
    ]
    parts = [
        _yaml_header(manifest["format"]),
        "# A mined corpus of mathematics\n\nMade by `reckon mine`. `manifest.json` has the full figures and the SHA-256 of every shard.\n",
        _markdown_table(("", ""), counts),
        "## Columns\n\n" + "\n".join(f"- `{column}`: {meaning}" for column, meaning in _MEANING.items()) + "\n",
        "## Sources\n\n" + _markdown_table(("host", "documents"), list(ranked(manifest["hosts"]["top"], 20).items())),
        "## Formulas\n\n" + _markdown_table(("family", "count"), list(manifest["formulas"].items())),
        "## Left out\n\n" + _markdown_table(("reason", "documents"), list(manifest["drops"].items())),
        "## Settings\n\n" + _markdown_table(("setting", "value"), [(key, f"`{value}`") for key, value in manifest["config"].items()]),
        f"## Licence\n\n{_RIGHTS}\n",
    ]
    return "\n".join(parts)


def _markdown_table(head: tuple[str, str], rows: Sequence[tuple[str, Any]]) -> str:
    if not rows:
        return "none\n"
    cells = [head, ("---", "---"), *((_cell(str(name)), _cell(str(value))) for name, value in rows)]
    return "".join(f"| {name} | {value} |\n" for name, value in cells)


def _cell(text: str) -> str:
    """One line of a table, whatever a host name or a setting holds."""
    return " ".join(text.replace("|", "\\|").replace("<", "&lt;").split())[:300]


def _yaml_header(suffix: str) -> str:
    lines = ["---", "configs:", "- config_name: default", "  data_files:", "  - split: train", f'    path: "part-*.{suffix}"']
    lines += ["dataset_info:", "  features:"]
    for column, dtype in COLUMNS.items():
        lines += [f"  - name: {column}"]
        if column in NESTED:
            lines += ["    list:", "    - name: name", "      dtype: string", "    - name: value", f"      dtype: {dtype}"]
        else:
            lines += [f"    dtype: {dtype}"]
    return "\n".join([*lines, "tags:", "- mathematics", "- web", "license: other", "---", ""])
