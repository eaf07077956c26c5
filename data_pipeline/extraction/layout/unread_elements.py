r"""Which elements of a page are not read as part of its text, by their attributes, and how sure that is.

Permalink signs, line numbers, edit links, counts of votes, texts for screen readers; and what is hidden. Classes are compared as whole
names: `no-gutter` and `et_pb_gutter` name no gutter. A name alone convicts nothing: what it should hold is known for every kind (a sign,
numbers, a few words), and an element that holds something else is text (`Kind.holds`). Where hidden elements hold nearly all of a
page's prose, they are shown (`block_builder.py`).
"""

import re
from enum import IntEnum
from functools import lru_cache


class Kind(IntEnum):
    """What an element holds that is not read."""

    NOTHING = 0
    """It is read."""
    SIGN = 1
    NUMBERS = 2
    WORDS = 3

    def holds(self, text: str) -> bool:
        """Whether an element's text is what its class says."""
        if self is Kind.NUMBERS:
            return _NUMBERS.fullmatch(text) is not None
        text = text.strip()
        return len(text) <= _FEW if self is Kind.WORDS else _SIGN.fullmatch(text) is not None


_FEW = 80
MOST = 30_000
"""Characters of an element that are looked at: line numbers of a long listing."""
_NUMBERS = re.compile(r"[\s\d.:|#…-]*")
_SIGN = re.compile(
    r".{0,2}|[\W\d_]{0,12}|\W{0,3}(?:(?:perma|direct )?links?|permanent link|anchor|section|copy(?: link)?|edit|top|§)\b[^.?!]{0,80}",
    re.IGNORECASE | re.DOTALL,
)
_PREFIX = re.compile(r"(?:js|u|c|o|l|is|screen|mw-ui)-(?=[a-z])")
_KINDS = {
    Kind.SIGN: """headerlink header-anchor headeranchor anchorjs-link heading-anchor heading-link anchor-link hash-link permalink
        headline-anchor""",
    Kind.NUMBERS: """linenos lineno linenodiv line-numbers-rows line-number line-numbers linenumber linenumbers gutter blob-num rouge-gutter
        hljs-ln-numbers hljs-ln-n crayon-nums crayon-num ltx_tag_listingline codemirror-linenumber codemirror-gutter-wrapper
        codemirror-gutter-elt react-syntax-highlighter-line-number code-line-number ln-num""",
    Kind.WORDS: """mw-editsection sr-only screen-reader-text visually-hidden visuallyhidden reader-only copybtn copy-btn copy-button
        mw-cite-backlink vote-count vote-count-post comment-score comment-date comments-link user-action-time relativetime
        relativetime-clean reputation-score badgecount link-separator ltx_note_mark ltx_tag_note""",
}
_NAMES = {name: kind for kind, names in _KINDS.items() for name in names.split()}

HIDDEN = re.compile(r' hidden="(?!until-found)|display:\s{0,3}none|visibility:\s{0,3}hidden| aria-hidden="true')
"""Attributes of an element that is not shown."""
SPOILER = re.compile(r' hidden="(?!until-found)|display:\s{0,3}none|class="[^"]{0,300}hid')
"""Those of an element that a click may show; what is only hidden from readers of screens repeats what they are told."""
_HIDDEN_NAME = re.compile(r"(?:(?!no-|not-|un|auto-|overflow-|scroll-|backface-|text-|x-|y-)[a-z]{1,10}-){0,2}(?:hide|hidden)|d-none")
_SHOWN_NAME = re.compile(
    r"[a-z]{2,4}:(?:block|flex|inline|grid|table)\S*|(?:d|is|visible|show)-(?:[a-z]{2}-)?(?:block|flex|inline|grid|table)\S*"
)


@lru_cache(50_000)
def kind_of_junk(classes: str) -> Kind:
    """What the value of a class attribute says that an element holds which no reader reads."""
    for name in classes.lower().split():
        kind = _NAMES.get(name) or _NAMES.get(_PREFIX.sub("", name, count=1))
        if kind:
            return kind
    return Kind.NOTHING


@lru_cache(50_000)
def hides(classes: str) -> bool:
    """Whether the value of a class attribute says that an element is hidden, on screens of every size."""
    if "hid" not in classes and "none" not in classes:
        return False
    names = classes.lower().replace("_", "-").split()
    return any(map(_HIDDEN_NAME.fullmatch, names)) and not any(map(_SHOWN_NAME.fullmatch, names))
