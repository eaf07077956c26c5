"""Which domain an example belongs to: read from a field of its row or from the file that it lies in, kept as a column of the example.

Domains are numbered by name, so that the numbers do not depend on the order of the rows.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rl.examples.example import Example, Intake
from verifiers.input_error import InputError

DOMAIN = "domain"
"""The column: a domain's number."""
WEIGHT = "domain_weight"
"""The column of what it is sampled by, so that a run does not go on with other weights than it began with."""
FILES = (".jsonl", ".json", ".jsonl.zst", ".jsonl.gz", ".parquet", ".csv")
Row = Mapping[str, Any]
Rows = Iterable[tuple[str, Row]]


class DomainNames:
    """The domains of rows as they pass, by the place that messages know a row by."""

    def __init__(self, column: str | None):
        """`column`: the field that names a row's domain; None: the file that it lies in."""
        self.column = column
        self.by_place: dict[str, str] = {}

    def noted(self, rows: Rows, source: str) -> Iterator[tuple[str, Row]]:
        """The rows, each with its domain noted. Raises InputError for a row without one."""
        for place, row in rows:
            name = place.partition(":")[0] if self.column is None else row.get(self.column) if isinstance(row, Mapping) else None
            if not isinstance(name, str) or not name:
                raise InputError(
                    f"{source}, {place}: no domain in the field {self.column!r} (a text is needed, not {name!r:.40}); "
                    "name the right field with --domain-column"
                )
            self.by_place[f"{source}, {place}"] = name
            yield place, row

    def marked(self, intake: Intake, weights: Mapping[str, float] | None = None) -> Intake:
        """The examples with the numbers of their domains as a column. Raises InputError for a domain that `weights` does not have."""
        found = sorted({self.by_place[unit[0].place] for unit in intake.units})
        if weights is not None and (unknown := [name for name in found if name not in weights]):
            raise InputError(
                f"the mixture has no weight for the domain {unknown[0]!r} of the data; it has "
                f"{', '.join(sorted(weights))}: add it, with 0 to leave it out"
            )
        names = sorted(weights) if weights is not None else found
        number = {name: float(place) for place, name in enumerate(names)}

        def columns(example: Example) -> dict[str, float]:
            name = self.by_place[example.place]
            return {**example.columns, DOMAIN: number[name], **({WEIGHT: weights[name]} if weights is not None else {})}

        return replace(intake, units=[tuple(replace(each, columns=columns(each)) for each in unit) for unit in intake.units])

    def names(self, weights: Mapping[str, float] | None = None) -> list[str]:
        """The domains in the order of their numbers, once all rows have passed."""
        return sorted(weights if weights is not None else set(self.by_place.values()))


def folder_rows(folder: Path, read: Callable[[str], Rows]) -> Iterator[tuple[str, Row]]:
    """The rows of every file of a folder, their places led by the file's name without its ending. Raises InputError for an empty one."""
    files = sorted(path for path in folder.iterdir() if path.name.endswith(FILES)) if folder.is_dir() else []
    if not files:
        raise InputError(f"{folder}: domains by file need a folder of {', '.join(FILES)} files; or name a field with --domain-column")
    for file in files:
        for place, row in read(str(file)):
            yield f"{domain_of_file(file)}: {place}", row


def domain_of_file(file: Path) -> str:
    return file.name[: -max(len(ending) for ending in FILES if file.name.endswith(ending))]


def places_by_domain(units: Sequence[tuple[Example, ...]], count: int) -> list[list[int]]:
    """Of each domain, where its units stand."""
    places: list[list[int]] = [[] for _ in range(count)]
    for place, unit in enumerate(units):
        places[int(unit[0].columns[DOMAIN])].append(place)
    return places
