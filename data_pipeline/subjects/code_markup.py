"""What the bytes of a page say, before anything is parsed, about whether it may show code: the elements that code is written in.

It asks "may this page", so a doubtful case passes; a listing that a script fetches later is not seen.
"""

import re

_MARKUP = re.compile(
    rb"<(?:pre|code|samp|kbd|tt|listing|xmp)[\s>]|class=[\"']?[^\"'>]{0,200}(?:highlight|sourcecode|codehilite|prettyprint|brush:)|```"
)


def has_code(body: bytes) -> bool:
    """Whether something in the bytes looks like a listing or a code span. Pages in UTF-16 are read without their NUL bytes."""
    return _MARKUP.search((body.replace(b"\0", b"") if b"\0" in body[:256] else body).lower()) is not None
