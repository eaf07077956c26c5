"""The subject that `reckon mine` looks for when nothing else is said.

What speaks for mathematics is a formula that extraction found. Negatives in DeepSeekMath (arXiv:2402.03300) are drawn from all of Common
Crawl, where one page in a hundred is mathematics; in a pool chosen for it they would teach the classifier to reject it.
"""

from data_pipeline.classifier.classifier_words import normalise
from data_pipeline.cleaning.math_quality import quality_rule
from data_pipeline.documents.document import Doc
from data_pipeline.problems.problem_mining import mathematical_problems
from data_pipeline.subjects.subject import Subject


def has_formulas(doc: Doc) -> bool:
    return any(doc.formulas.values())


MATHEMATICS = Subject(
    name="math",
    noun="mathematics",
    adjective="mathematical",
    words=normalise,
    evidence=has_formulas,
    quality_rule=quality_rule,
    problems=mathematical_problems,
    markup="data_pipeline.extraction.page_prefilter:has_mathematics",
)
