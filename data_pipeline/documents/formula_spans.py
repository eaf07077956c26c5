"""Where formulas stand in our own Markdown: between `$`, or between `$$` where they are displayed. The one reader of them.

A dollar sign opens a formula only where one closes it on the same line (a displayed one: within 5,000 characters), and neither in the
middle of a word nor as a price: "US$5", "$5 or $10". Linear time. Left out: the delimiters of other people's pages
(`delimited_formulas.py`), and what the classifier takes for formulas, which must read those too (`classifier_words.py`).
"""

import re

FORMULA_SPAN = re.compile(
    r"\$(?:(?<=[^\\$A-Za-z0-9_]\$)|(?<=^\$))(?:\$(?P<display>[^$]{1,5000})\$\$|(?P<inline>[^$\n]{1,1000})(?<!\\)\$(?![A-Za-z0-9_$]))",
    re.MULTILINE,
)


def formula_in(span: re.Match[str]) -> str:
    """What stands between the dollars of a span."""
    return span["display"] if span["display"] is not None else span["inline"]
