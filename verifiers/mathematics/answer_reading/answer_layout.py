r"""What is written around a value, made plain before the value is read: remarks, line breaks, "repeating", clocks, decimal commas.

"\frac{737}{39} \text{(about } 18.9)" is \frac{737}{39} \approx 18.9; values on lines of their own, with nothing else in them, are a list.
What one text alone leaves open is decided beside the other answer: 20:34 is a ratio, and a time of day beside 8:34 p.m.; 3,5 is a list of
two numbers, and 7/2 beside a number. Three digits behind a comma are thousands. Left out: marks of lists ("1.", "-", "a)").
"""

import re
import unicodedata

from verifiers.first_use import compiled

_WRAPPER = compiled(r"(?a)\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf)\s*\{([^{}]*)\}")
_GAP_SOURCE = r"(?:\s|~|\$|\\[,;:! ]|\\q?quad(?![a-z]))"
_GAP = compiled(rf"(?a){_GAP_SOURCE}")
_REMARK_START = compiled(
    r"(?a)(?:\\(?:text|textrm|mbox|mathrm)\s*\{\s*)?"
    r"(?:\(\s*(?:or |that is,? |i\.e\.,? )?|,\s*(?=\\text|[a-z\\])|\bor |\bwhich is )"
    rf"(?:\\text\s*\{{\s*)?{_GAP_SOURCE}*(?:[A-Za-z]\s*)?(?:\b(?:about|approximately|approx\.?|roughly)|\\approx(?![a-z])|\\simeq(?![a-z])|≈)"
)
_REMARK = compiled(
    r"(?a)[(,]?\s*(?:or |that is,? |i\.e\.,? |which is )?\s*(?:[A-Za-z]\s*)?(?:about|approximately|approx\.?|roughly|\\approx|\\simeq|≈)\s*"
    r"(\\?[$€£]?\s?-?\d[\d,]*(?:\.\d+)?|-?\.\d+)\s*(?:\\?%|[A-Za-z]{1,20}(?: [A-Za-z]{1,20}){0,2})?\s*\)?[\s.$]*"
)
_REPEATING = compiled(
    r"(?a)(?<![\d.])(\d*)\.(\d{1,20})(?:\.{3}|\s*\\l?dots|…)?\s*(?:\\[,; ]|~)?\s*"
    r"(?:\\text\s*\{\s*\(?(?:repeating|recurring)\)?\s*\}|\(\s*(?:repeating|recurring)\s*\)|(?:repeating|recurring)\b)"
)
_CLOCK = compiled(r"(?a)(\d{1,2}):(\d\d)(?::(\d\d))?")
_COMMA = compiled(r"(?as)([-+]?(?:\d{1,3}(?:(?:\.|\s|\\[,; ]|~)\d{3})+|\d{1,15})),(\d{1,2}|\d{4,15})((?![\d,]).*)")
_NO_SPACES = "[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
_MAX_LINES = 30


def plain_layout(text: str) -> str:
    r"""Remarks such as "(about 18.9 cards)" as \approx 18.9, "0.1666 repeating" as 0.1\overline{6}; most texts have none of them."""
    if "repeating" in text or "recurring" in text:
        text = _REPEATING.sub(_with_bar, text)
    if "about" in text or "appro" in text or "roughly" in text or "≈" in text or "simeq" in text:
        start = _REMARK_START.search(text)
        if start and start.start():
            remark = " ".join(_GAP.sub(" ", _WRAPPER.sub(r" \1 ", text[start.start() :])).split())
            if match := _REMARK.fullmatch(remark):
                return rf"{text[: start.start()].rstrip('$ ,')} \approx {match[1]}" + "$" * (text[: start.start()].count("$") % 2)
    return text


def _with_bar(match: re.Match[str]) -> str:
    """The block is the digit at the end that is written at least twice, the only one, or all of a long one; else it is not known."""
    whole, digits = match[1] or "0", match[2]
    if len(digits) == 1 or digits.endswith(digits[-1] * 2):
        return rf"{whole}.{digits.rstrip(digits[-1])}\overline{{{digits[-1]}}}"
    half = len(digits) // 2
    if len(digits) % 2 == 0 and half > 1 and digits[:half] == digits[half:]:
        digits = digits[:half]
    elif len(digits) < 5:
        return match[0]
    return rf"{whole}.\overline{{{digits}}}"


def lines_of(text: str) -> list[str]:
    """The lines of an answer that may be a list of them; none where there is but one, or where they are marked or joined by TeX."""
    if "\n" not in text or "\\begin" in text or "\\\\" in text:
        return []
    lines = [line.strip(" \t,;") for line in text.split("\n")]
    lines = [line for line in lines if line not in ("", "$$", "\\[", "\\]", "\\(", "\\)", "$")]
    if not 1 < len(lines) <= _MAX_LINES or any(
        re.match(r"[-+*=<>/•·]\s|[=<>+*/^_&]|\\(?:le|ge|ne|approx|times|cdot|pm)\b", line) for line in lines
    ):
        return []
    return lines


def clock_time(text: str, *, sure: bool) -> str:
    """The time of day that digits with colons say, as HH:MM or HH:MM:SS; "" for none. `sure` asks for a sign that they are no ratio."""
    match = _CLOCK.fullmatch(text.replace("{:}", ":").replace("\\!", "").replace(" ", "").strip("$."))
    if match is None or int(match[1]) > 23 or int(match[2]) > 59 or int(match[3] or 0) > 59:
        return ""
    if sure and not any(part and part[0] == "0" and len(part) == 2 for part in match.groups()):
        return ""
    return time_of_day(int(match[1]), int(match[2]), int(match[3] or 0))


def time_of_day(hour: int, minute: int, second: int) -> str:
    """20:34, and 20:34:10 where there are seconds."""
    return f"{hour:02}:{minute:02}" + (f":{second:02}" if second else "")


def with_decimal_comma(text: str, *, sure: bool) -> str | None:
    """1000,99 and 1.000,99 and 2,5 cm with a decimal point; None where no comma need be one. `sure`: no 3,5, which may be a list."""
    match = _COMMA.fullmatch(text.strip(" $"))
    if match is None or (sure and len(match[2]) == 1 and match[1].lstrip("+-").isdigit()) or re.match(r"\s*[-+*/^=(\d]", match[3]):
        return None
    return re.sub(r"[^\d+-]", "", match[1]) + "." + match[2] + match[3]


def circled_digits(text: str) -> str | None:
    """The number 12 that ①② is beside a number; None for anything else than digits in circles without a gap."""
    digits = [unicodedata.normalize("NFKC", sign) for sign in text.strip(" $.")] if not text.isascii() else []
    return "".join(digits) if digits and all("①" <= sign <= "⑨" for sign in text.strip(" $.")) else None


def numbered_labels(text: str) -> str | None:
    """(1)(2)(4), the numbers of statements, as a list of them."""
    return ", ".join(re.findall(r"\d+", text)) if re.fullmatch(r"(?:\(\d{1,2}\)\s*){2,12}", text.strip(" $."), re.ASCII) else None


def without_gaps(words: str) -> str:
    """Text in writing without spaces (Chinese, Japanese, Thai) without them, and one space behind the punctuation of any other."""
    words = unicodedata.normalize("NFKC", words).replace("、", ",").replace("。", ".")
    return re.sub(r"\s*([,;:])\s*(?=[^\s\d])", r"\1 ", re.sub(rf"(?<={_NO_SPACES})\s+|\s+(?={_NO_SPACES})", "", words)).strip(" .")
