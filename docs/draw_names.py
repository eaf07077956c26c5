"""Writes the tables of docs/from/: what options of TRL, verl and OpenRLHF are called here. `python -m docs.draw_names`.

They are those that the command line answers with (`recipes/spelling/foreign_names.py`); a test holds the pages against them.
"""

from collections.abc import Mapping
from pathlib import Path

from recipes.spelling.foreign_names import OPENRLHF, TRAINER, TRL, TRL_ELSEWHERE, TRL_WRITTEN, VERL, Ours
from recipes.spelling.option_values import flag_of

FOLDER = Path(__file__).with_name("from")
END = "<!-- end of the table -->"


def table(theirs: Mapping[str, Ours], *, prefix: str = "") -> str:
    lines = ["| there | here | what differs |", "|---|---|---|"]
    for name in sorted(theirs):
        found = theirs[name]
        ours = ", ".join(f"`{flag_of(option)}`" for option in found.options.split())
        lines.append(f"| `{prefix}{name}` | {ours} | {_flags_as_code(found.differs)} |")
    return "\n".join(lines)


def _flags_as_code(text: str) -> str:
    words = (f"`{word.rstrip(',;:')}`{word[len(word.rstrip(',;:')) :]}" if word.startswith("--") else word for word in text.split())
    return " ".join(words).replace("|", "\\|")


def arguments() -> str:
    return "\n".join(["| there | here |", "|---|---|", *(f"| `{name}=` | {TRAINER[name]} |" for name in sorted(TRAINER))])


TABLES = {
    "trl": {
        "where a policy samples": table(TRL),
        "where data are written": table(TRL_WRITTEN),
        "names of before, and of its scripts": table(TRL_ELSEWHERE),
        "arguments of its trainers": arguments(),
    },
    "verl": {"options": table(VERL)},
    "openrlhf": {"options": table(OPENRLHF)},
}
"""Of each page its tables, by the words in the comment above each."""


def filled(page: str, tables: Mapping[str, str]) -> str:
    """The page with these tables between their comments. Raises ValueError where one has no place."""
    for name, made in tables.items():
        begin = f"<!-- table: {name} -->"
        before, found, rest = page.partition(begin)
        _, ended, after = rest.partition(END)
        if not (found and ended):
            raise ValueError(f"no place for the table {name!r}: {begin} ... {END}")
        page = f"{before}{begin}\n\n{made}\n\n{END}{after}"
    return page


if __name__ == "__main__":
    for name, tables in TABLES.items():
        place = FOLDER / f"{name}.md"
        place.write_text(filled(place.read_text(encoding="utf-8"), tables), encoding="utf-8")
        print(place)
