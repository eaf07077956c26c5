"""Code documentation as a subject: manuals, references and tutorials of whatever is programmed or typed, with the code that they show.

What speaks for it is a listing, or several code spans. A page about programs for those who only use them shows none and is not meant.
"""

from data_pipeline.subjects.code_exercises import code_problems
from data_pipeline.subjects.code_quality import quality_rule, shows_code
from data_pipeline.subjects.code_words import code_words
from data_pipeline.subjects.subject import Subject

CODE = Subject(
    name="code",
    noun="code documentation",
    adjective="code",
    words=code_words,
    evidence=shows_code,
    quality_rule=quality_rule,
    problems=code_problems,
    markup="data_pipeline.subjects.code_markup:has_code",
)
