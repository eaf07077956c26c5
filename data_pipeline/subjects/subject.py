"""What a mining run looks for, said once: everything in which the loop would differ between mathematics, code and a subject of yours.

The loop itself (train, score, collect, look at the domains, take a new seed) knows no subject. Of what it looks for it asks only this:
which words of a text tell it, which pages may hold it although nobody said so (so that they are no negative examples), which pages are
worth keeping, what problems can be made of them, and what to call it. The seed is the user's, whatever the subject.

A subject of yours is an instance in a file, `--subject my_file.py:MY_SUBJECT`; `Subject(name=..., noun=..., adjective=...)` alone is a
complete one, whose every page is judged by the papers' rules. Its functions run in processes of their own: they must be functions of the
file, not closures, and give the same answer for the same document every time.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from data_pipeline.classifier.classifier_words import normalise
from data_pipeline.classifier.target import Target
from data_pipeline.cleaning.published_rules import general
from data_pipeline.documents.document import Doc, Rule
from data_pipeline.problems.problem_mining import Found
from verifiers.input_error import InputError


def no_evidence(doc: Doc) -> bool:
    """For a subject that a page shows by its words alone."""
    return False


def papers_rule(doc: Doc) -> str | None:
    """Gopher's, C4's and FineWeb's rules, unchanged."""
    reason = general(doc.text)
    return f"quality: {reason}" if reason else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Raises InputError for a name that cannot stand in files."""

    name: str
    """In files: labels of models, keys of reports, `scores` of documents. Lower case letters and _."""
    noun: str
    """In sentences: "pages with mathematics"."""
    adjective: str
    """In sentences: "12 mathematical domains"."""
    words: Callable[[str], str] = normalise
    """What the classifier sees of a text: words between single spaces on one line."""
    evidence: Callable[[Doc], bool] = no_evidence
    """Whether extraction found something that speaks for the subject. Such pages are no negative examples while there are others."""
    quality_rule: Rule = papers_rule
    """"quality: why" for a collected page that is not worth keeping, else None."""
    problems: Callable[[Doc], Iterable[Found]] | None = None
    """The problems of a kept document, and why others are none; None: the subject has no problem finder."""
    markup: str = ""
    """With --prefilter, the function of a page's bytes that says whether extraction is worth while, as "module:function" or
    "file.py:function": it is named, not given, because processes that know nothing of subjects call it. "": there is none."""

    def __post_init__(self) -> None:
        if not (self.name.isascii() and self.name.replace("_", "a").isalpha() and self.name.islower()) or self.name == "other":
            raise InputError(f"subject {self.name!r}: a name is lower case letters and _, and not 'other'; it goes into files")

    @property
    def target(self) -> Target:
        """What the classifier is asked to find."""
        return Target(self.name, self.noun, self.words)
