"""The learner that an engine samples from."""

from collections.abc import Sequence

from rl.learning.learner import Learner
from rl.objectives.batch import lay_out
from rollout.chat import Chat
from rollout.engine import PolicyWeights


class Policy(Learner):
    """A learner whose weights travel to engines, and who can say of any text what an engine should."""

    chat: Chat | None = None
    """How it was spoken to in training, once that has ended: for whoever samples from it afterwards."""

    def weights(self) -> PolicyWeights:
        return PolicyWeights(self.model, self.autocast)

    def alone(self) -> "Policy":
        """The policy as one of this process."""
        return self

    def close(self) -> None:
        """Give back what other processes hold of it."""

    def score_sequences(self, sequences: Sequence[Sequence[int]], *, temperature: float = 1.0) -> list[list[float]]:
        """Log-probability of each token given those before it, 0.0 for the first: what an engine's `score` must agree with."""
        masks = [[place > 0 for place in range(len(sequence))] for sequence in sequences]
        batch = lay_out(sequences, masks, [1] * len(sequences), temperature=temperature)
        return [row.tolist() for row in self.score(batch).split(batch.lengths.tolist())]
