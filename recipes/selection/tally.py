"""What became of the responses of a store: how many were read and written, and why each of the others was left out."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from recipes.selection.stored_responses import StoredResponse
from verifiers.problem import Problem

NO_VERDICT, CUT_OFF, SPOKEN_TO, EMPTY = (
    "without a verdict", "cut off at the token limit", "with a tool's words in between, which the text lacks", "empty",
)  # fmt: skip


@dataclass
class Tally:
    """Counts of one selection; whoever selects tells it."""

    what: str
    """The rows that are written: "examples", "pairs"."""
    responses: int = 0
    problems: int = 0
    written: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    """Of responses, unless the reason itself says of what."""

    def watch(self, stored: Iterable[tuple[Problem, Sequence[StoredResponse]]]) -> Iterator[tuple[Problem, Sequence[StoredResponse]]]:
        """The same, counted as it passes."""
        for problem, responses in stored:
            self.problems += 1
            self.responses += len(responses)
            yield problem, responses

    def leave_out(self, reason: str, count: int = 1) -> None:
        if count:
            self.reasons[reason] += count

    def fits(self, response: StoredResponse, *, keep_truncated: bool) -> bool:
        """Whether its text is what the policy said from beginning to end, with a verdict on it; if not, why is counted."""
        reason = _why_unfit(response, keep_truncated)
        if reason:
            self.leave_out(reason)
        return reason is None

    def __str__(self) -> str:
        head = f"{self.written:,} {self.what} of {self.responses:,} responses to {self.problems:,} problems"
        lost = [f"{count:,} {reason}" for reason, count in self.reasons.items()]
        return "; left out: ".join([head, ", ".join(lost)]) if lost else head


def _why_unfit(response: StoredResponse, keep_truncated: bool) -> str | None:
    if response.score is None:
        return NO_VERDICT
    if response.spoken_to:
        return SPOKEN_TO
    if not response.text.strip():
        return EMPTY
    return CUT_OFF if response.finish != "stop" and not keep_truncated else None
