r"""Which blocks of a page are its content?

Three kinds of evidence, none of them a list of sites. (1) Markup: nav, footer, aside, roles and class names that templates share
(`markup_cues.py`); a cue that would take most of the page's prose with it is not believed. (2) Text: prose is a block that is long and not
made of links; the smallest element that holds most of the prose is the scope, the elements that call themselves the article's body first.
(3) Place: in the scope, menus and lists of links go, and so do short leftovers before the first and after the last prose, and headings left
without text.

Mathematics outweighs all of it: a block with a formula is prose whatever its length, and it stays wherever it stands unless it is mostly
a link in a part that is boilerplate by its cues (a question site's list of related questions). Readers' comments stay where they hold
formulas, and on pages of questions and answers with formulas. What such pages say around posts (who answered when, counts of votes,
links to more) goes by its class or as a short block that says just that. Where hardly anything would be left the whole page stays: an
index or a page of an unknown make is better whole than empty.

Left out: any knowledge of language (stop words) and of what boilerplate says, but for a copyright line.
"""

import re
from collections.abc import Sequence

from data_pipeline.extraction.layout.markup_cues import ARTICLE, BAD, BODY, CAPTION, COMMENTS, FAINT, HEADER, MAIN, NAV, POST, TEASER
from data_pipeline.extraction.layout.text_blocks import Block, Blocks
from data_pipeline.formulas.placeholders import CODE_OPEN, OPEN

_MATH = re.compile(
    OPEN
    + r"|\\[(\[]|\\begin\{|\\(?:frac|sqrt|sum|int|alpha|beta|gamma|delta|epsilon|lambda|theta|pi|sigma|omega|mathbb|mathcal|mathrm|cdot|"
    r"leq?|geq?|infty|partial|to|in)\b|\$\$|\[/?(?:tex|math|latex)\]|\$[^$\s\d][^$\n]{0,80}\$(?!\d)|"
    r"\$\d[^$\n]{0,40}[\^_=\\][^$\n]{0,40}\$"
)
_RIGHTS = re.compile(
    r"(?:copyright|©|\(c\) (?:19|20)\d\d|all rights reserved|alle rechte vorbehalten|powered by|proudly powered)", re.IGNORECASE
)
_WHEN = (
    r"[^.?!\n]{0,60}?(?:\b\d{1,2}:\d{2}\b(?: ?[ap]m)?|\b\d{1,4} (?:second|sec|minute|min|hour|day|month|year)s? ago|\b(?:yesterday|today))"
)
_FURNITURE = re.compile(
    rf"(?:last )?(?:answered|asked|edited|modified|commented|posted){_WHEN}|(?:protected|closed|locked|reopened) by {_WHEN}|"
    r"\|? ?(?:add|show|hide|load) (?:a |an |\d{1,4} |all |more |older |newer )*(?:comments?|repl(?:y|ies))[ |.…]*|"
    r"would you like to answer one of these unanswered questions instead\?|not the answer you['’]re looking for\?.{0,200}|"
    r"you must (?:be logged|log) in to (?:answer|reply|comment|post)[^.?!]{0,60}\.?|know someone [^?]{1,60}\? .{0,40}\bshare .{0,160}",
    re.IGNORECASE,
)
"""What question sites and forums say around posts, as a whole block."""
_MONTHS = (
    "jan|feb|fév|mär|mar|apr|avr|abr|may|mai|maj|jun|juin|jul|juil|aug|août|ago|sep|oct|okt|out|nov|dec|dez|déc|dic|dicembre|gennaio|"
    "enero|янв|фев|мар|апр|мая|июн|июл|авг|сен|окт|ноя|дек"
)
_DATED = (
    r"\b\d{1,2}:\d{2}\b|\b\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d\d\b|\b(?:19|20)\d\d-\d\d-\d\d\b|\b(?:19|20)\d\d年|"
    rf"\b(?:{_MONTHS})[a-zéûäç]{{0,9}}\.?,? \d{{1,4}}\b|\b\d{{1,2}}(?:st|nd|rd|th|\.)? (?:de )?(?:{_MONTHS})[a-zéûäç]{{0,9}}\b|"
    r"\b\d{1,4} ?(?:min|minutes?|sec|comments?|views?|shares?|likes?|kommentare?|commentaires?|words)\b"
)
_FIRST_WORDS = """by von par por di door av af od text posted published publié veröffentlicht publicado updated aktualisiert actualizado
    written edited authors? autor(?:en|in)? auteur editor photos? fotos? bild(?:er)? images? sources? quellen? credits? share teilen
    partager compartir print drucken e-?mail tags? kategorien? categor(?:y|ies) filed topics? themen schlagw[oö]rte?r? keywords comments?
    kommentare? commentaires? comentarios reading[ ]time lesezeit advertisement anzeige werbung publicité publicidad
    read[ ](?:more|next|also) weiterlesen mehr lire[ ](?:aussi|plus) more zurück back home startseite menu subscribe abonn\\w+ follow
    folge[nt]? nach[ ]oben top next previous weiter contact kontakt related see[ ]also download loading login log[ ]in
    sign[ ](?:in|up) register reply permalink link listen watch video newsletter copyright presse\\w* rückfragen moderator likes? views?
    shares? tweets? rss pdf"""
_WORDS = "|".join(re.split(r"\s+(?![^\[]*\])", _FIRST_WORDS.strip()))
_AT_EDGES = re.compile(
    rf"[^.?!\n]{{0,40}}\b(?:teilen|share|partager|compartir|shared|visits?)\b[^\n]{{0,40}}|[^.?!\n]{{0,60}}(?:{_DATED})[^\n]{{0,60}}|"
    rf"(?:{_WORDS})\b[^\n?!=]{{0,70}}(?<!\.)",
    re.IGNORECASE,
)
"""What stands between a headline and its article, or after it, as a whole block: dates, authors, and what a reader may do."""
_LONG = 80
_BESIDE = 3
_STRUCTURE = frozenset(["table", "code", "dt", "bold"])


class _Page:
    """The blocks with what is measured about each."""

    def __init__(self, found: Blocks) -> None:
        self.blocks, self.boxes = found.blocks, found.boxes
        zones = found.boxes.zones
        self.zones = [zones[block.box] for block in found.blocks]
        self.every_own = 0
        """The bits that any of the boxes has of its own."""
        for own in set(found.boxes.owns):
            self.every_own |= own
        self.weights = weights = [len(text) if (text := block.text).isascii() else _weight(text) for block in found.blocks]
        self.linked = [block.links > 0.6 * len(block.text) for block in found.blocks]
        self.math = math = [
            (OPEN in text and not text.isascii()) or (("\\" in text or "$" in text or "[" in text) and _MATH.search(text) is not None)
            for text in [block.text for block in found.blocks]
        ]
        self.values = [
            weight if formula or (weight >= _LONG and block.links < 0.4 * len(block.text)) or block.kind == "code" else 0
            for block, weight, formula in zip(found.blocks, weights, math, strict=True)
        ]

    def prose(self, avoided: int) -> list[int]:
        """The weight of each block as prose: 0 for short blocks, links, and what stands in the avoided zones."""
        return [0 if zone & avoided else value for value, zone in zip(self.values, self.zones, strict=True)]

    def has_posts(self) -> bool:
        """Whether the page has more than one post."""
        return bool(self.every_own & POST) and sum([own & POST for own in self.boxes.owns]) > POST

    def plain(self, index: int) -> bool:
        """Whether a short block of a known article is its text: neither linked, nor in what is furniture by its names or its words."""
        zone = self.zones[index]
        return (
            bool(zone & (ARTICLE | MAIN | BODY))
            and not zone & (NAV | BAD | COMMENTS | CAPTION | HEADER | FAINT)
            and not self.blocks[index].links
            and _AT_EDGES.fullmatch(self.blocks[index].text) is None
        )

    def sums(self, values: Sequence[int]) -> list[int]:
        """The sum of the blocks' values for each box, with the boxes in it."""
        parents = self.boxes.parents
        sums = [0] * len(parents)
        for block, value in zip(self.blocks, values, strict=True):
            if value:
                sums[block.box] += value
        for index in range(len(parents) - 1, 0, -1):
            if sums[index]:
                sums[parents[index]] += sums[index]
        return sums


def main_text(found: Blocks) -> list[Block]:
    """The blocks to keep, in their order."""
    if not found.blocks:
        return []
    page = _Page(found)
    _judge_teasers(page)
    everything = page.prose(0)
    _clear_false_cues(page, everything)
    kept = _chosen(page)
    unlinked = [not linked for linked in page.linked]
    held, whole = _kept_weight(page, kept), _kept_weight(page, unlinked)
    if held < max(0.1 * whole, min(200, 0.5 * whole)):
        kept = [keep and not zone & (NAV | BAD) for keep, zone in zip(unlinked, page.zones, strict=True)]
        held = _kept_weight(page, kept)
    if held < 0.5 * _LONG:
        kept = [not zone & (NAV | BAD) for zone in page.zones]
        if not any(kept):
            kept = [True] * len(kept)
    return _with_markers(found.blocks, kept)


def _with_markers(blocks: Sequence[Block], kept: Sequence[bool]) -> list[Block]:
    """The blocks that are kept; the marker of an item goes on to the first of its blocks that is."""
    chosen: list[Block] = []
    marker, indent = "", 0
    for block, keep in zip(blocks, kept, strict=True):
        own = block.marker if block.marker != ":" else ""
        if own or block.indent < indent:
            marker = ""
        if not keep:
            marker, indent = own or marker, block.indent
            continue
        if marker and not block.marker and block.indent == indent and block.kind in ("p", "dt"):
            block.marker = marker
        marker = ""
        chosen.append(block)
    return chosen


def _judge_teasers(page: _Page) -> None:
    """A teaser without a link, inside an article, is its lead; any other is boilerplate."""
    owns, zones, parents = page.boxes.owns, page.boxes.zones, page.boxes.parents
    if not page.every_own & TEASER:
        return
    links = page.sums([block.links for block in page.blocks])
    bad = [False] * len(owns)
    for index, own in enumerate(owns):
        teases = own & TEASER and (links[index] or not zones[index] & (ARTICLE | BODY | MAIN))
        bad[index] = bool(teases) or (index > 0 and bad[parents[index]])
        if teases:
            owns[index] |= BAD
        if bad[index]:
            zones[index] |= BAD
    page.zones[:] = [zones[block.box] for block in page.blocks]


def _kept_weight(page: _Page, kept: Sequence[bool]) -> int:
    return sum(weight for weight, keep in zip(page.weights, kept, strict=True) if keep)


def _weight(text: str) -> int:
    """Characters; those of a script without spaces count three times, and a placeholder of code is some characters more."""
    if CODE_OPEN in text:
        return len(text) + 10 * text.count(CODE_OPEN)
    return len(text) if len(text) < 24 or " " in text[:60] or text.isascii() else 3 * len(text)


def _clear_false_cues(page: _Page, prose: Sequence[int]) -> None:
    """Clears class names' cues for boilerplate (and for comments) that most of the page's prose stands under."""
    total = sum(prose)
    by_zone = _by_zone(page, prose)
    for cue, share in ((BAD, 0.5), (COMMENTS, 0.7), (NAV, 0.8), (HEADER, 0.5), (CAPTION, 0.5)):
        under = sum(value for zone, value in by_zone.items() if zone & cue)
        if under <= share * total:
            continue
        sums = page.sums(prose)
        zones, parents = page.boxes.zones, page.boxes.parents
        cleared = [False] * len(zones)
        for index, own in enumerate(page.boxes.owns):
            inherited = index > 0 and cleared[parents[index]]
            cleared[index] = inherited or bool(own & cue and sums[index] > 0.4 * share * total)
            if cleared[index] and not (inherited and own & cue and sums[index] <= 0.4 * share * total):
                zones[index] &= ~cue
        page.zones[:] = [zones[block.box] for block in page.blocks]
        by_zone = _by_zone(page, prose)


def _by_zone(page: _Page, prose: Sequence[int]) -> dict[int, int]:
    sums: dict[int, int] = {}
    for zone, value in zip(page.zones, prose, strict=True):
        sums[zone] = sums.get(zone, 0) + value
    return sums


def _chosen(page: _Page) -> list[bool]:
    prose = page.prose(NAV | BAD | COMMENTS | CAPTION)
    scope = _scope(page, prose)
    inside = _inside(page, scope, prose)
    first = next((index for index, value in enumerate(prose) if value and inside[page.blocks[index].box]), 0)
    title = _title(page, first)
    answered = page.has_posts() and True in page.math
    commented = answered or any(
        math and zone & COMMENTS and not zone & (NAV | BAD) for math, zone in zip(page.math, page.zones, strict=True)
    )
    listed = _link_lists(page)
    introduced = _introduced(page, listed)
    kept = []
    for index, block in enumerate(page.blocks):
        zone = page.zones[index]
        if page.math[index]:
            keep = not (page.linked[index] and zone & (NAV | BAD)) and not (zone & NAV and not inside[block.box] and OPEN not in block.text)
        elif zone & (NAV | BAD):
            keep = False
        elif title <= index < first:
            keep = index == title or (
                not page.linked[index]
                and (
                    page.weights[index] >= (20 if zone & POST else _LONG)
                    or block.kind[0] == "h"
                    or (inside[block.box] and page.plain(index))
                )
                and not zone & (COMMENTS | CAPTION)
            )
        elif not inside[block.box]:
            keep = False
        elif zone & COMMENTS:
            keep = commented
        elif zone & HEADER and not zone & (ARTICLE | BODY | MAIN):
            keep = block.kind == "h1" and not page.linked[index]
        else:
            if index in introduced:
                kept.append(True)
                continue
            alone = page.linked[index] and not block.marker and block.kind not in _STRUCTURE and block.kind[0] != "h"
            keep = not listed[block.box] and not alone
        kept.append(keep)
    for index in range(_opening(page, prose)):
        kept[index] = kept[index] and page.math[index]
    if page.every_own & (POST | COMMENTS):
        for index, block in enumerate(page.blocks):
            if kept[index] and not page.math[index] and len(block.text) < 240 and block.kind != "code" and _is_furniture(page, index):
                kept[index] = False
    _trim_edges(page, prose, kept)
    _lone_headings(page, kept)
    return kept


def _is_furniture(page: _Page, index: int) -> bool:
    """Who did what when, what a reader may do next; in readers' comments a lone number too, which counts votes (elsewhere: an answer)."""
    text = page.blocks[index].text
    if text[0].isdecimal():
        return bool(page.zones[index] & COMMENTS) and len(text) < 7 and text.isdecimal()
    return "$" not in text and _FURNITURE.fullmatch(text) is not None


def _title(page: _Page, first: int) -> int:
    """The index of the heading that opens the page's content: the last h1 before its first prose; else `first`.

    A site's name is a link; inside the main element a link is the heading of a question.
    """
    for index in range(first - 1, -1, -1):
        zone = page.zones[index]
        if page.blocks[index].kind == "h1" and not zone & (NAV | BAD) and (zone & (MAIN | ARTICLE | BODY) or not page.linked[index]):
            return index
    return first


def _opening(page: _Page, prose: Sequence[int]) -> int:
    """Where the page's only h1 stands if nearly all prose comes after it (what comes before is the site's); else 0."""
    titles = [
        index for index, block in enumerate(page.blocks)
        if block.kind == "h1" and not page.zones[index] & (NAV | BAD) and not (page.linked[index] and page.zones[index] & HEADER)
    ]  # fmt: skip
    return titles[0] if len(titles) == 1 and sum(prose[: titles[0]]) < 0.2 * sum(prose) else 0


def _scope(page: _Page, prose: Sequence[int]) -> int:
    """The box that holds the content."""
    total = sum(prose)
    if not total:
        return 0
    sums = page.sums(prose)
    owns, zones = page.boxes.owns, page.boxes.zones
    forum = page.has_posts()
    best = 0
    if not forum:
        for cue, share in ((BODY, 0.5), (ARTICLE, 0.5), (MAIN, 0.5)):
            named = [
                index for index, own in enumerate(owns) if own & cue and sums[index] > share * total and not zones[index] & (NAV | BAD)
            ]
            if named:
                best = named[-1] if cue == BODY else named[0]
                break
    if best:
        return best
    share = 0.95 if forum or sum(page.math) > 2 else 0.85
    for index, parent in enumerate(page.boxes.parents):
        if parent == best and sums[index] >= share * total:
            best = index  # its children follow it
    return best


def _inside(page: _Page, scope: int, prose: Sequence[int]) -> list[bool]:
    """The boxes of the scope, and those of further posts beside it: of the same kind and hardly smaller, or with the same parent."""
    parents, owns, zones = page.boxes.parents, page.boxes.owns, page.boxes.zones
    inside = [False] * len(parents)
    inside[scope] = True
    cue = next((cue for cue in (BODY, ARTICLE) if owns[scope] & cue), 0)
    if cue:
        sums = page.sums(prose)
        texts = page.sums([0 if linked else weight for weight, linked in zip(page.weights, page.linked, strict=True)])
        above = _ancestors(parents, scope)
        for index, own in enumerate(owns):
            if own & cue and texts[index] and index not in above and not zones[index] & (NAV | BAD | COMMENTS):
                around = _ancestors(parents, index)
                beside = not set(above[1:_BESIDE]).isdisjoint(around[1:_BESIDE])
                if beside or sums[index] > 0.3 * sums[scope]:
                    inside[index] = True
                    if beside:  # each with the heading that stands over it
                        common = next(box for box in above if box in around)
                        inside[above[above.index(common) - 1]] = inside[around[around.index(common) - 1]] = True
    for index in range(1, len(parents)):
        inside[index] = inside[index] or inside[parents[index]]
    return inside


def _ancestors(parents: Sequence[int], index: int) -> list[int]:
    """A box and those around it, from inside out."""
    found = [index]
    while parents[found[-1]] >= 0:
        found.append(parents[found[-1]])
    return found


def _link_lists(page: _Page) -> list[bool]:
    """Boxes that are lists or rows of links: three links or more that make up most of the text."""
    parents = page.boxes.parents
    texts, links, counts = [0] * len(parents), [0] * len(parents), [0] * len(parents)
    for block, math in zip(page.blocks, page.math, strict=True):
        box = block.box
        texts[box] += len(block.text)
        if block.links:
            links[box] += block.links
            counts[box] += 1
        if math:
            counts[box] = -1_000_000
    for index in range(len(parents) - 1, 0, -1):
        parent = parents[index]
        if texts[index]:
            texts[parent] += texts[index]
            if counts[index]:
                links[parent] += links[index]
                counts[parent] += counts[index]
    listed = [count > 2 and linked > 0.6 * size for count, linked, size in zip(counts, links, texts, strict=True)]
    if True in listed:
        for index in range(1, len(parents)):
            listed[index] = listed[index] or listed[parents[index]]
    return listed


def _introduced(page: _Page, listed: Sequence[bool]) -> set[int]:
    """The blocks of lists of links that a sentence of the article introduces: "There are three kinds:"."""
    found: set[int] = set()
    index, blocks = 0, page.blocks
    while index < len(blocks):
        start = index
        while index < len(blocks) and listed[blocks[index].box]:
            index += 1
        if start and index > start:
            before = blocks[start - 1]
            if before.kind == "p" and before.text[-1] in ":：" and page.weights[start - 1] > 12 and page.plain(start - 1):
                found.update(range(start, index))
        index += index == start
    return found


def _trim_edges(page: _Page, prose: Sequence[int], kept: list[bool]) -> None:
    """Short blocks before the first prose (but headings) and after the last one go."""
    strong = [
        index for index, value in enumerate(prose)
        if kept[index] and (value or _firm(page.blocks[index], page.weights[index])) and not _RIGHTS.match(page.blocks[index].text)
    ]  # fmt: skip
    if not strong:
        return
    first, last = page.blocks[strong[0]].box, page.blocks[strong[-1]].box
    for index in range(strong[0]):
        short = page.blocks[index].kind[0] != "h" and page.weights[index] < 40 and page.blocks[index].box != first
        if short and not page.math[index] and not page.plain(index):
            kept[index] = False
    for index in range(strong[-1] + 1, len(kept)):
        short = page.weights[index] < 40 and page.blocks[index].box != last and not page.plain(index)
        if (short or _RIGHTS.search(page.blocks[index].text[:200])) and not page.math[index]:
            kept[index] = False


def _firm(block: Block, weight: int) -> bool:
    return block.kind in ("table", "code") or (bool(block.marker) and weight > 30)


def _lone_headings(page: _Page, kept: list[bool]) -> None:
    """Headings whose text was all left out go with it."""
    following = 0
    lost = False
    for index in range(len(kept) - 1, -1, -1):
        block = page.blocks[index]
        if block.kind[0] == "h" and len(block.kind) == 2:
            level = int(block.kind[1])
            if kept[index] and (not following or following <= level) and lost and level > 1:
                kept[index] = False
            if kept[index]:
                following = level
            lost = False
        elif kept[index]:
            following, lost = 9, False
        elif not following or following < 9:
            lost = True
