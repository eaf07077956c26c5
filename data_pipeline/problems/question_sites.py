"""Questions and answers of sites made for them: the page's question, and the answer that stands first.

The first is the accepted or best one on the sites that this reads (a heading "3 Answers", "Best answer", "Accepted answer" divides the
page). Signatures, votes and comments are cut away by the words that such sites print around a post. Forum threads without such a heading
are left out: whose post answers what is not written there.
"""

import re
from collections.abc import Iterator, Sequence

from data_pipeline.documents.document import Doc
from data_pipeline.problems.problem_blocks import Block, Candidate

_DIVIDER = re.compile(
    r"(?:#{1,6}[ ]|\*\*)?(?:\d{1,3}[ ]answers?(?:[ ]\d{1,3})?|(?:top|best|accepted|verified|expert|"
    r"chosen)[ ](?:answers?|solution)|answers?[ ]?(?:\(\d{1,3}\))?)"
    r"(?:\*\*)?:?",
    re.IGNORECASE,
)  # fmt: skip
_NOISE = re.compile(
    r"(?:asked|answered|edited|modified|viewed|share|cite|improve this|follow|flag|add a comment|show \d+ more|commented|votes?|active|"
    r"sorted by|highest score|reset to default|join|sign up|log in|upvoted?|report|reply|posted|last edited|community|ask question|tags?|"
    r"your answer|[\d.,k]+ ?(?:gold |silver |bronze )?badges?)(?!\w)|[-–\d. |]{1,8}$",
    re.IGNORECASE,
)
_BADGES = re.compile(r"\d+ ?(?:gold|silver|bronze) badges?|^[\w .-]{1,40}$")
_POST_END = re.compile(
    r"(?:answered|edited|asked)\b.{0,80}\d|add a comment|\$\\endgroup\$\s*$|\d+ comments?$|[–-] ?\S.{0,40}commented|commented",
    re.IGNORECASE,
)
_GROUP = re.compile(r"\$\\(?:begin|end)group\$")
_MAX_PARTS = 60


def on_sites(doc: Doc, blocks: Sequence[Block]) -> Iterator[Candidate]:
    """The one question of a page, with its first answer."""
    at = next((i for i, block in enumerate(blocks) if i and len(block.text) < 60 and _DIVIDER.fullmatch(block.text.strip())), None)
    if at is None or not _is_site(doc, blocks[at]):
        return
    question, answer = _first_post(blocks[:at]), _first_post(blocks[at + 1 :])
    if question and answer:
        yield Candidate("site", question, answer)


def _is_site(doc: Doc, divider: Block) -> bool:
    """A counted or ranked list of answers, or a page that calls itself a question."""
    text = divider.text.strip("#* :").lower()
    return text not in ("answer", "answers") or any(
        name in doc.url for name in ("question", "/q/", "answers.", "/answers", "/qa", "qa.", "stackexchange", "forum")
    )


def _first_post(blocks: Sequence[Block]) -> str:
    """The text of the first post among these blocks: to its signature, without the page's furniture."""
    parts: list[str] = []
    for block in blocks[:_MAX_PARTS]:
        text = block.text
        ends = _POST_END.search(text) is not None and len(text) < 120
        text = _GROUP.sub("", text).strip()
        if block.heading:
            if parts:
                break
            parts += [text.lstrip("# ")] if text.endswith("?") else []
        elif text and not ends and not (len(text) < 120 and _NOISE.match(text)):
            parts.append(text)
        if ends and parts:
            break
    while parts and len(parts) > 1 and _BADGES.search(parts[-1]) and not parts[-1].endswith((".", "$", "?")):
        parts.pop()  # the name of who wrote it
    return "\n\n".join(parts)
