"""Never silent: a line about what is in progress, now and then, on a terminal or not."""

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rollout.progress import Progress, told

_PAUSES = (8.0, 10.0, 20.0, 20.0)  # seconds between lines, and from then on
_LAST_PAUSE = 60.0


class Screen:
    """Where progress is shown: lines on stderr, at a pace that fills no log. A live display takes its place while it is there."""

    def __init__(self, say: Callable[[str], None] | None = None, *, live: bool = False) -> None:
        """`live`: it draws `progress` by itself, so no lines are said."""
        self.say = say or (lambda text: print(text, file=sys.stderr, flush=True))
        self.live = live
        self.progress: Progress | None = None


_screens = [Screen()]


@contextmanager
def shown_on(screen: Screen) -> Iterator[None]:
    """Within, progress is shown there."""
    _screens.append(screen)
    try:
        yield
    finally:
        _screens.remove(screen)


@contextmanager
def watched(text: str, total: int = 0, *, after: float = 2.0) -> Iterator[Progress]:
    """`text` and how far it has come, from `after` seconds on. What samples within tells by itself; others call `finished`."""
    progress, screen, over = Progress(text, total), _screens[-1], threading.Event()

    def tick() -> None:
        for pause in itertools.chain([after], _PAUSES, itertools.repeat(_LAST_PAUSE)):
            if over.wait(pause):
                return
            screen.say(str(progress))

    before, screen.progress = screen.progress, progress
    if not screen.live:
        threading.Thread(target=tick, name="reckon-progress", daemon=True).start()
    try:
        with told(progress):
            yield progress
    finally:
        over.set()
        screen.progress = before
