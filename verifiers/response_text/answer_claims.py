r"""What a response says in prose: where a sentence names the answer, in which of many languages, and which value or choice it gives.

A sentence may name one value and one only: "Jane started 3 hours ago" is 3 hours, "12 months" in "220 $ in 12 months" is an adjunct, and
two numbers side by side are no answer. A choice is a letter that is claimed ("I think it's (D)", "**C**") and not taken back; a letter that
is denied ("not A", "rule out B") is passed over, and "B or C" claims nothing. What is not known to be harmless stays the sentence that it
was. Left out: what sentences mean, and whether the thing counted is the thing asked for.
"""

import re
from functools import cache

from verifiers.first_use import compiled
from verifiers.mathematics.answer_reading.short_phrases import is_derived

# --- where a sentence says "answer" ---

_IS = (
    r"(?:is|are|was|be|est|sont|ist|lautet|es|é|è|jest|je|är|er|on|este|adalah|ialah|là|είναι|ni|это|равен|равна|равно|هو|هي|है|是|为|為|は"
    r"|은|는)"
)
_ENGLISH = compiled(
    r"(?im)\b(?:answers?|(?:correct|right|best)\s(?:option|choice))(?:\s{1,4}|\*\*)?(?:\([^()\n]{1,30}\)\s?)?"
    r"(?:(?:which|that|we|i|you)\s(?:get|got|want|seek|find|found|need)\s)?"
    r"(?:\*\*\s{0,4})?(?:(?:is|are|was|equals|(?:must|should|would|will|can only|has to|have to)\sbe|(?:comes|works|turns)\sout\sto\sbe"
    r"|comes\sto|becomes)\b(?:\s(?:therefore|thus|then|hence|simply|just|indeed|clearly|exactly|equal\sto)\b)?|:|=|：)[\s:*]{0,8}"
    r"|^[#*_ ]{0,8}(?:the\s)?(?:final\s)?answer[*_ ]{0,6}\n[\s*]{0,8}"
)
_SCRIPTS = ("答案", "答え", "答", "解答", "정답", "답", "উত্তর", "คำตอบ", "விடை", "பதில்", "సమాధానం", "उत्तर")  # words without ends
_CUES = (  # what "answer" is called
    *_SCRIPTS, "réponse", "reponse", "antwort", "respuesta", "resposta", "risposta", "antwoord", "odpowied", "odpověď", "odpoveď", "svar",
    "jawaban", "jawapan", "cevap", "cevab", "yanıt", "jibu", "vastaus", "válasz", "răspuns", "raspuns", "đáp án", "đáp số", "câu trả lời",
    "ответ", "відповідь", "отговор", "одговор", "απάντηση", "الإجابة", "الاجابة", "الجواب", "جواب", "پاسخ", "תשובה",
)  # fmt: skip
_ASCII_CUES = tuple(cue for cue in _CUES if cue.isascii())
_OTHER_CUES = tuple(cue for cue in _CUES if not cue.isascii())

# --- what the sentence says then ---

_NUMBER_SOURCE = (
    r"(?:(?<![A-Za-z\d)\]}/.,])[-−])?(?<![A-Za-z\d.,/^_])(?:[$€£¥₹]\s?)?(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:[.,]\d+)?(?:\s?/\s?\d+)?"
    r"(?:\s?(?:\\?%|[€£¥₹]|thousand\b|million\b|billion\b))?"
)
_UNSAFE = compiled(  # what denies, bounds, joins or restricts, in English; and in the other languages
    r"(?i)\b(?:not|no|never|none|nor|neither|either|or|if|unless|except|than|least|most|may|might|could|cannot|nothing|false|wrong|incorrect"
    r"|impossible|between|times|about|approximately|roughly|around|nearly|almost|over|under|another|other|both|either|two"
    r"|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|hundred|half|quarter)\b|n['’]t\b|\d\W{0,3}\band\b|\band\W{1,3}\d|\b(?:per|every|each)\b[^.]*\d"
)
_NUMBER = compiled(_NUMBER_SOURCE)
_UNSAFE_ABROAD = compiled(
    r"(?i)\b(?:pas|ni|ou|si|sauf|plus|moins|environ|entre|fois|demi\w*|nicht|kein\w*|oder|wenn|außer|mehr|weniger|mindestens|höchstens|etwa"
    r"|zwischen|mal|halb\w*|no|o|salvo|más|menos|aproximadamente|veces|medi[oa]|não|nem|se|exceto|mais|cerca|vezes|mei[oa]|non|né|oppure"
    r"|tranne|più|meno|circa|tra|mezz[oa]|niet|geen|of|als|meer|minder|не|ни|или|если|кроме|больше|меньше|более|менее|около|примерно|между"
    r"|половин\w*|inte|eller|om|mer|mindre|ikke|nie|lub|albo|jeśli|tidak|bukan|atau|jika|lebih|kurang|setengah|değil|veya|yaklaşık|buçuk"
    r"|không|hoặc)\b|\d\W{0,3}\b(?:et|und|y|e|и|en|og|och|i|dan|ve|và)\b"
    r"|不|非|没|沒|或|和|与|與|约|約|大于|小于|大於|小於|以上|以下|超过|超過|至少|至多|最多|半|ない|では|また|および|아니|아닙|않|또는|그리고|以外|除|नहीं|ليس|לא|ไม่"
)
_ADJUNCT = compiled(  # what stands before a number that only says when, for whom or in what: "in 12 months", "of 5 boys"
    r"(?i)\b(?:in|within|during|for|by|of|from|since|until|at|on|with|out of|among|d['’]ici|dans|pendant|pour|de|en|sur|parmi|avec|depuis"
    r"|innerhalb(?: von)?|während|nach|von|mit|seit|für|durante|para|con|por|dentro de|com|em|dopo|di|per|su|voor|na|van|met|через|за|из"
    r"|för|av|på|do|dla|z|po|w)\s(?:the\s|les\s|den\s|los\s|las\s|next\s|first\s|last\s|each\s|all\s)?$"
)
_RELATIVE = compiled(
    r"(?i)\b(?:after|before|later|earlier|past|après|avant|nach|vor|después|antes|depois|dopo|prima|после|до|more|fewer|less)\b[^.]{0,60}\d"
)
_COMPUTED = compiled(r"\$\D{1,99}\$|\d\s?[-+*^=<>]\s?\w|\d\s?/\s?(?!\d)\w|[=<>^_{}()]")
_RANGE = compiled(r"(?i)\d\s?(?:to|through|till|until|bis|à|a|hasta|até|tot|do|до|至|到|から|~|～)\s?\d")
_COUNTED = compiled(r"(?i)\s(?!(?:of|per|every|each|in|for)\b)([A-Za-z]{1,20})(?![\w'’])")
_NUMBER_GOES_ON = compiled(r"(?i)\s?(?:[-:,/]\s?\d|[A-Za-z]*\d|(?:st|nd|rd|th)\b)")
_WORD_BEHIND = compiled(r"\s?[^\W\d_]{2,}")
_LABEL_VERBS = compiled(r"(?i)\s(?:wins?|loses?|has|have|can|is|are|will|was|were|always|does|must|should|th|st|nd|rd)\b")
_NAMED = compiled(r"[A-Z][A-Za-z]*\s#?$")
_NUMBERED = compiled(
    r"(?i)\b(?:number|no\.|player|case|step|part|option|question|problem|row|column|team|group|day|page|room|line|set|box|chapter|level|grade|year"
    r"|january|february|march|april|may|june|july|august|september|october|november|december)\s#?$"
)
_ENDINGS = compiled(r"(?:です|である|になります|となります|だ|입니다|이다|이에요|예요|है|হয়|।|。|個|个|元|円|人|명|개|원)")
_WORD = compiled(r"[^\W\d_]{2,}")

# --- choices ---

_OPEN = r"[\s(\[{*_\"'“‘「『（【:：$]{0,6}(?:\\(?:text|textbf|mathbf|mathrm|boxed)\s?\{\s?)?\(?"
_AFTER = (
    r"(?=[)\]}*_\"'”’」』）】.$\s]{0,8}(?:$|\n|[,;.:!?。，；！]|because\b|since\b|as\b|due\b|for\b|rather\b|instead\b|not\b|and not\b|but\b"
    r"|which\b|that\b|is the\b|is correct\b|is right\b|—|–|-|不|因|parce\b|car\b|weil\b|porque\b))"
)
_LETTER = compiled(rf"(?<![A-Za-z0-9_'’\\])(?:\(([A-J])\)|([A-HJ])){_AFTER}")
_CLAIM = compiled(
    r"(?i)(?:\b(?:it['’]?s|it is|it must be|it has to be|it should be|it would be|must be|has to be|should be|would be|so|therefore|thus"
    r"|hence|i (?:think|believe|choose|pick|select|say|guess|vote|would say|would choose|would pick|'d say|'ll go with|will go with"
    r"|go with)|(?:i )?(?:choose|choosing|pick|picking|select|selecting|go with|going with|go for|opt for)|option|choice|alternative|letter"
    r"|answer|c['’]est|es ist|ist|es la|è la|это|option is|choice is|leaves|leaving|left with)"
    r"(?:\s(?:option|choice|answer|letter|the|la|die|der|das|opción|l['’]option))?|应选|应该选|故选|选择|(?<!不)选|選|答案是|正确的是|(?<!不)是|정답은|答えは|正解は)"
    rf"{_OPEN}$"
)
_ASSERTED = compiled(
    r"(?i)\)?\*{0,2}\s(?:is|must be)\s(?:therefore\s|indeed\s)?(?:the\s)?(?:only\s)?"
    r"(?:(?:correct|right|best)(?:\s(?:answer|option|choice|one))?|answer)"
    r"(?=\W{0,3}(?:$|[.,;!\n]|because\b|since\b|as\b))"
)
_ONE_OF = compiled(
    r"(?i)\b(?:if|whether|either|neither|or|and|nor|(?<!think )(?<!believe )(?<!conclude )that"
    r"|suppose|assume|statement|claim)\s\(?(?:option\s|choice\s)?$"
)
_DENIED = compiled(
    r"(?i)(?:\b(?:not|never|n't|cannot be|can't be|rule out|ruled out|eliminate|eliminating|exclude|excluding|discard|reject|instead of"
    r"|rather than"
    r"|isn['’]t|wasn['’]t|than|pas|nicht|keine?|no es|não é|non è|не|nor)\b|n['’]t\b|不是|不选|排除|非|ではなく|아니)[^.!?;。\n]{0,14}$"
)
_DENIED_AFTER = compiled(
    r"(?i)[)\]}*_\"'\s.,]{0,4}(?:is|was|are)?\s{0,2}(?:(?:not|wrong|incorrect|false|ruled out|eliminated|impossible|out\b|invalid)|isn['’]t"
    r"|can['’]?t|cannot|doesn['’]t|不对|不對|错|錯|不正确)"
)
_ALONE = compiled(
    rf"^[\s>#*_]{{0,8}}{_OPEN}(?:\(([A-J])\)|([A-HJ]))[)\]}}*_\"'”’」』）】.$\s:：]{{0,8}}"
    rf"(?:$|\n|[,，。;；]|不是|不|,?\s?not\b|because\b|since\b)"
)
_LINE = compiled(rf"{_OPEN}(?:\(([A-J])\)|([A-HJ]))[)\]}}*_\"'”’」』）】.$\s]{{0,8}}")
_JOINED = compiled(r"[)\]}*\"'\s,]{0,4}(?:,|/|&|\bor\b|\band\b|或|和|ou\b|oder\b|y\b|et\b|und\b)\s{0,3}\(?\*{0,2}[A-J]\b(?!['’])")
_LEADING = compiled(
    r"[(\[*_\"'“]{0,3}(?:\((?P<bracketed>[A-J])\)|(?P<bare>[A-J]))[)\]*_\"'”]{0,4}(?P<end>)"
    r"(?:,\s(?![A-J]\b)[a-z]|\s?[—–-]\s[a-z]|\s(?:because|since|as|due to|not|and not|but not|rather than|instead of|for)\b"
    r"|[,，]?\s?(?:不是|因为))"
)
_DENIED_BUT = compiled(r"not\s\(?[A-J]\)?,?\s(?:but|it['’]s|it is)\s(?:rather\s)?\(?([A-J])\)?[.\s]{0,3}")
_SUBJECT = compiled(r"(?i)\)?\sis\b")
_OR_ANOTHER = compiled(r"[^.\n]{0,8}\b(?:or|oder|ou|o)\b[^.\n]{0,16}\b[A-J]\b")
_TAIL = 600
_BEFORE = 90  # characters before a letter that may claim or deny it
_FAR = 2000
_SHORTEST_RETRACTION = 8
_TAKEN_BACK = compiled(
    r"(?i)[\s.…,!?—–-]{0,6}\b(?:no|wait|actually|sorry|rather|or rather|I mean)\b[\s.…,!—–-]{1,6}(?:it['’]s\s)?\(?([A-J])\)?[\s.*!]{0,6}"
)
_CALLED_WRONG = compiled(r"(?i)[\s$)\]*.}\\]{0,8}(?:is|was)\s(?:not\s(?:right|correct|the answer)|wrong|incorrect|a mistake)\b")
_RETRACTED = compiled(
    r"(?i)\b(?:wait|actually|no|oops|sorry|correction|scratch that|on second thought|i was wrong|my mistake|let me correct)\b[,.!:— -]"
)
_INSTEAD = compiled(
    r"(?i)\b(?:it['’]s|it is|should be|must be|ought to be|should have been|answer is|result is|we get|this gives|that gives|is actually"
    r"|(?:correct|right|actual|true)\s(?:\w{1,20}\s)?is)\s"
    rf"(?:actually\s|really\s)?(?:\$(\S[^$\n]{{0,100}})\$|\\\((.{{1,100}}?)\\\)|({_NUMBER_SOURCE})(?![\w(^/]))"
)


def cue_end(response: str) -> int:
    """Where the last "the answer is", in whatever language, ends; -1 where there is none."""
    low = response.lower()
    end = -1
    if "answer" in low or "correct " in low or "right " in low or "best " in low:
        for match in _ENGLISH.finditer(response):
            end = match.end()
    cues = [cue for cue in _ASCII_CUES if cue in low]
    if not response.isascii():
        cues += [cue for cue in _OTHER_CUES if cue in low]
    for cue in cues:
        for match in _cue_pattern(cue).finditer(response):
            end = max(end, match.end())
    return end


@cache
def _cue_pattern(cue: str) -> re.Pattern[str]:
    if cue in _SCRIPTS:  # words are not set apart by spaces, and the verb may stand last
        verb = "应该是|应为|應為|就是|是|คือ|为|為|选|選|は|은|는|:|：|=|है"
        source = rf"{cue}(?:[^\S\n]{{0,3}}\*\*)?[^\S\n]{{0,3}}(?:(?:{verb})[\s:：*]{{0,8}}|(?<=\s)(?=[\d$\\−-]))"
        return re.compile(source, re.IGNORECASE)
    word = rf"\b{cue}\w{{0,4}}"
    between = r"(?:\s(?!(?:no|ne|nicht|não|non|niet|не|pas|nie|inte|ikke|tidak|bukan|değil|không)\b)[^\W\d_]{1,12}){0,3}?"
    return re.compile(rf"{word}{between}(?:\s{{0,3}}\*\*)?(?:\s{{0,3}}(?:[:：=—–])|\s{_IS}(?!\w))[\s:：*]{{0,8}}", re.IGNORECASE)


def value_in_sentence(text: str, *, english: bool = True) -> str:
    """The one number that a sentence gives, with what it counts; the text itself where it is no sentence or gives more than one.

    A number behind a preposition ("in 12 months", "of 5 boys") says when or of what, and is never the value.
    """
    plain = text if text.isascii() else _ENDINGS.sub("", text)
    words = _WORD.findall(plain)
    if not words and plain != text:
        return plain
    if (len(words) < 3 and text.isascii()) or "\\" in text or _COMPUTED.search(text):
        return text
    if _RANGE.search(plain):
        return text
    if (_UNSAFE if english else _UNSAFE_ABROAD).search(plain) or _RELATIVE.search(plain):
        return text
    numbers = list(_NUMBER.finditer(plain))
    free = [found for found in numbers if not _ADJUNCT.search(plain[max(0, found.start() - 24) : found.start()])]
    if len(free) != 1 or is_derived(plain[: free[0].start()]) or _is_label(plain, free[0]):
        return text
    number = free[0][0].strip()
    from verifiers.mathematics.answer_reading.answer_parser import parse  # needed by few responses
    from verifiers.mathematics.answer_reading.values import Unparsed

    counted = _COUNTED.match(plain, free[0].end()) if english else None
    return number if counted is None or isinstance(parse(f"{number} {counted[1]}"), Unparsed) else f"{number} {counted[1]}"


def _is_label(text: str, number: re.Match[str]) -> bool:
    """Whether the number only names a thing, as in "player 2 wins" or "June 3", or is a part of a word or of a larger number."""
    before, behind = text[max(0, number.start() - 24) : number.start()], text[number.end() : number.end() + 12]
    if _LABEL_VERBS.match(behind) or _NUMBER_GOES_ON.match(behind):
        return True
    if _NUMBERED.search(before):
        return True
    counts = _WORD_BEHIND.match(behind) is not None
    return not counts and _NAMED.search(before) is not None


def leading_choice(text: str) -> str:
    """D of "D, it does not make sense for it to be A", B of "not A but B"; the text itself where it is no choice with a remark."""
    if denied := _DENIED_BUT.fullmatch(text):
        return denied[1]
    match = _LEADING.match(text)
    if match is None or _JOINED.match(text, match.start("end")):
        return text
    return match["bracketed"] or match["bare"]


def claimed_choice(response: str) -> str | None:
    """The letter that a response claims in prose, or that stands alone as its last line; None where it claims none, or two."""
    tail = response[-_TAIL:]
    if tail.rstrip(" \n.*$")[-1:].isdigit():
        return None  # the last word is a number's
    found, end = None, 0
    if len(response) <= _TAIL and (match := _ALONE.match(tail)):
        found, end = match[1] or match[2], match.end()
    first = found
    for match in _LETTER.finditer(tail):
        letter, before = match[1] or match[2], tail[max(0, match.start() - _BEFORE) : match.start()].rpartition("\n")[2]
        asserted = _ASSERTED.match(tail, match.end())
        sentence = _SUBJECT.match(tail, match.end())  # "so A is the right triangle" is about a thing called A
        claim = asserted or (_CLAIM.search(before) if before and not sentence else None)  # "A: 26" begins with a label
        if claim is None or _DENIED.search(before if asserted else before[: claim.start()]):
            continue
        if _DENIED_AFTER.match(tail, match.end()):
            continue
        joined = _JOINED.match(tail, match.end()) or (asserted and _ONE_OF.search(before))
        found, end = None if joined else letter, match.end()
    line = tail.rstrip().rpartition("\n")[2]
    if alone := _LINE.fullmatch(line):
        found, end = alone[1] or alone[2], len(tail)
    if found is None or (first and alone and first != found):
        return None  # A on the first line and B on the last
    if (instead := _TAKEN_BACK.fullmatch(tail, end)) is not None:
        found, end = instead[1].upper(), len(tail)
    if any(character.isdigit() for character in tail[end:].partition("\n")[2]):
        return None
    if _OR_ANOTHER.match(tail, end):
        return None
    denied = rf"(?:\b(?:not|isn['’]t|wasn['’]t|rule out|never)\b|不是|不选)[^.\n]{{0,12}}\b{found}\b"
    return None if re.compile(denied).search(tail, end) else found


def retraction(response: str, start: int) -> str | None:
    """What a response says instead, behind `start`, once it has taken back what stood before: "Wait, it should be 6"."""
    if len(response) - start < _SHORTEST_RETRACTION:
        return None
    taken_back = max((match.end() for match in _RETRACTED.finditer(response, start, start + _FAR)), default=-1)
    if called := _CALLED_WRONG.match(response, start):
        taken_back = max(taken_back, called.end())
    if taken_back < 0:
        return None
    rest = response[taken_back : taken_back + _FAR]
    values = [next(part for part in match.groups() if part) for match in _INSTEAD.finditer(rest)]
    return values[-1] if values else claimed_choice(rest)
