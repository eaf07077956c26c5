"""Back-off, Retry-After and turns by a clock that is turned by hand."""

import email.utils
import threading
from collections.abc import Callable

import pytest

from data_pipeline.fetching.pace import Ended, Limits, Pace, retry_after
from verifiers.input_error import InputError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, _: threading.Condition, seconds: float) -> None:
        self.now += seconds


def paced(limits: Limits, draw: Callable[[float, float], float] = lambda low, high: 1.0) -> tuple[Pace, Clock]:
    clock = Clock()
    return Pace(limits, clock=clock, draw=draw, pause=clock.wait), clock


def has_to_wait(_: threading.Condition, seconds: float) -> None:
    raise TimeoutError(seconds)


def when_next(pace: Pace) -> float:
    with pace.turn() as asked_at:
        return asked_at


def test_pauses_double_up_to_a_minute_and_a_good_answer_ends_that() -> None:
    pace, clock = paced(Limits(patience=1e6))
    waits = []
    for _ in range(9):
        asked = when_next(pace)
        pace.refused(asked, 0.0, "it")
        waits.append(when_next(pace) - asked)
    assert waits == [1, 2, 4, 8, 16, 32, 64, 64, 64]
    pace.answered()
    pace.refused(clock.now, 0.0, "it")
    assert when_next(pace) - clock.now == 0
    assert pace.paused == sum(waits) + 1


def test_jitter_spreads_and_retry_after_is_the_least() -> None:
    pace, clock = paced(Limits(), draw=lambda low, high: low)
    start = clock.now
    pace.refused(start, 0.0, "it")
    assert when_next(pace) == start + 0.5
    pace, clock = paced(Limits())
    pace.refused(start, 37.0, "it")
    assert when_next(pace) == start + 37


def test_refusals_of_one_burst_are_one_pause_but_for_what_they_ask() -> None:
    pace, clock = paced(Limits())
    asked = clock.now
    clock.now += 1
    for _ in range(4):
        pace.refused(asked, 0.0, "it")
    assert when_next(pace) == 1002
    pace, clock = paced(Limits())
    pace.refused(1000.0, 0.0, "it")
    pace.refused(999.0, 20.0, "it")
    assert when_next(pace) == 1020


def test_fewer_ask_at_once_after_a_refusal_and_more_after_answers() -> None:
    pace, clock = paced(Limits(connections=8))
    pace.refused(clock.now, 0.0, "it")
    pace.refused(when_next(pace), 0.0, "it")
    clock.now += 5
    pace._pause = has_to_wait
    turns = [pace.turn() for _ in range(2)]
    for turn in turns:
        turn.__enter__()
    with pytest.raises(TimeoutError):
        pace.turn().__enter__()
    for turn in turns:
        turn.__exit__(None, None, None)
    assert pace._allowed == 2
    for _ in range(16):
        pace.answered()
    assert pace._allowed == 4
    pace.end()
    with pytest.raises(Ended):
        pace.turn().__enter__()


def test_patience_ends_and_too_long_a_rest_is_not_waited_for() -> None:
    pace, clock = paced(Limits(patience=100))

    def go_on() -> None:
        while True:
            pace.refused(when_next(pace), 0.0, "it is shut")

    with pytest.raises(InputError, match=r"it is shut, for \d+ s now"):
        go_on()
    assert clock.now < 1000 + 100 + 64 + 1
    pace, clock = paced(Limits(patience=100))
    with pytest.raises(InputError, match="asks for 101 s"):
        pace.refused(clock.now, 101.0, "it")


def test_a_rate_makes_readers_wait_until_their_bytes_are_due() -> None:
    pace, clock = paced(Limits(megabytes_a_second=2))
    for _ in range(10):
        pace.took(1_000_000)
    assert clock.now == pytest.approx(1005)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("120", 120), (" 5 ", 5), ("0", 0), ("-3", 0), ("soon", 0), ("", 0), ("1.5", 0), ("9" * 90, 999_999_999), ("Fri, 31 Feb 2026", 0)],
)
def test_what_retry_after_says(said: str, seconds: float) -> None:
    assert retry_after(said, 1e9) == seconds
    assert retry_after(email.utils.formatdate(1e9 + 90, usegmt=True), 1e9) == 90
    assert retry_after(email.utils.formatdate(1e9 - 90, usegmt=True), 1e9) == 0


def test_limits_that_nobody_can_mean_are_refused() -> None:
    for wrong in ({"connections": 0}, {"connections": 1000}, {"stall": 0}, {"megabytes_a_second": -1}, {"attempts": 0}):
        with pytest.raises(InputError):
            Limits(**wrong)  # type: ignore[arg-type]
