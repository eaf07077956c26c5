"""What a classifier is asked to find: its name in files, its name in sentences, and the words of a text that tell it.

The words must be made the same way in training and in prediction, so they belong to what is sought and not to whoever calls. A model is
told apart from one of another target by its label alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

from data_pipeline.classifier.classifier_words import normalise


@dataclass(frozen=True, slots=True)
class Target:
    name: str
    """In labels of models ("__label__math"), keys of reports and of a document's scores: lower case letters."""
    noun: str
    """In sentences: "pages with mathematics"."""
    words: Callable[[str], str]
    """A text as one line of words between single spaces."""

    @property
    def labels(self) -> tuple[str, str]:
        """Of fastText: of anything else, and of what is sought."""
        return "__label__other", f"__label__{self.name}"


MATHEMATICS = Target("math", "mathematics", normalise)
