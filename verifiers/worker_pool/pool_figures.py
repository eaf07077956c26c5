"""What a pool of verifiers has done since somebody last asked: verdicts, how long they took, and workers that had to be replaced."""

import threading
from collections import deque

_KEPT = 10_000  # latest verdicts that quantiles are of


class PoolFigures:
    """Counted from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: deque[float] = deque(maxlen=_KEPT)
        self._verdicts = self._replaced = 0

    def judged(self, seconds: list[float]) -> None:
        """So many verdicts, each with how long it took."""
        with self._lock:
            self._seconds.extend(seconds)
            self._verdicts += len(seconds)

    def replaced(self) -> None:
        """A worker was ended before its time: it hung, died, grew, or was at something that nobody waited for any more."""
        with self._lock:
            self._replaced += 1

    def take(self) -> dict[str, float]:
        """The figures, which begin anew: verdicts, replaced workers, and of the seconds of one verdict median, p99 and largest."""
        with self._lock:
            seconds, verdicts, replaced = sorted(self._seconds), self._verdicts, self._replaced
            self._seconds.clear()
            self._verdicts = self._replaced = 0
        found: dict[str, float] = {"verdicts": verdicts, "replaced_workers": replaced}
        if seconds:
            found |= {name: round(seconds[int(share * (len(seconds) - 1))], 6) for name, share in _QUANTILES.items()}
        return found


_QUANTILES = {"p50_seconds": 0.5, "p99_seconds": 0.99, "max_seconds": 1.0}
