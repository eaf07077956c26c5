"""What `run_all` asks of whoever works on files for it: attempts that are started, heard of, and cancelled."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

from data_pipeline.tasks.file_work import FileWork


class Event(NamedTuple):
    """Something that was heard of an attempt: `began`, `told` with counts, or how it ended ("done", or why not)."""

    attempt: int
    kind: str
    values: Mapping[str, Any]


class Body(Protocol):
    """Where attempts run. An attempt that has ended, by itself or cancelled, is not heard of again."""

    several_machines: bool
    """Whether an attempt may be slow because of where it runs."""

    def room(self) -> int:
        """How many attempts may be under way at a time."""

    def start(self, attempt: int, work: FileWork) -> None: ...

    def events(self, seconds: float) -> list[Event]:
        """What happened; waits for something to happen for so long at most."""

    def cancel(self, attempt: int) -> None: ...

    def close(self) -> None:
        """Ends whatever runs."""
