r"""What pages put into TeX that is none: tags and entities of HTML, and dollars inside a formula.

Tags come from editors and filters that do not know a formula when they see one (`<br />` at the ends of lines, `<sup>` for a power). An
angle bracket is a sign of mathematics first: a tag is one that HTML has and that no comparison can be (`a<b>c` needs its `</b>`).

A dollar inside a formula leaves mathematics for text: `$word$` in a cell of an array, which is `\text{word}` without. Dollars in a text box
(`\text{if $x>0$}`) are LaTeX and stay; those around parts of a sentence (`$a$ and $b$`) make the rest text.
"""

import html
import re

_ENTITY = re.compile(r"&(?:amp;)?(?:#\d{2,5}|#x[0-9a-fA-F]{2,5}|[A-Za-z][A-Za-z0-9]{1,24});")
_COMMENT = re.compile(r"<!--.{0,2000}?-->", re.DOTALL)
_TAG = re.compile(
    r"<(/?)(br|wbr|hr|div|span|em|strong|font|small|big|center|code|tt|nobr|img|sub|sup|li|ul|ol|td|tr|th|tbody|table|blockquote|pre|abbr|acronym|"
    r"b|i|u|p|a|s)(\s(?:[^<>\"']|\"[^\"]{0,2000}\"|'[^']{0,2000}'){0,2000})?/?>",
    re.IGNORECASE,
)
_SINGLE = frozenset("biupas")
_TOKEN = re.compile(r"\\[A-Za-z]+|\\.|[{}$]", re.DOTALL)
_TEXT = frozenset(
    ("\\text", "\\mbox", "\\hbox", "\\textrm", "\\textit", "\\textbf", "\\textsf", "\\texttt", "\\textnormal", "\\textup", "\\textsl",
     "\\fbox", "\\framebox")
)  # fmt: skip
_SIGNS = re.compile(r"[\\^_=<>+*/|\d]")
_DOLLAR = re.compile(r"(?<!\\)(?:\\\\)*\$")


def without_html(tex: str) -> str:
    """The TeX without tags and comments of HTML, its entities as characters; escaped twice is escaped once too often."""
    for _ in range(2):  # a third time would be the author's own text
        if "&" not in tex or _ENTITY.search(tex) is None:
            break
        tex = _ENTITY.sub(lambda entity: html.unescape(entity[0]), tex)
    if "<" not in tex or (_TAG.search(tex) is None and "<!--" not in tex):
        return tex
    lower = tex.lower()

    def read(tag: re.Match[str]) -> str:
        name = tag[2].lower()
        if name in _SINGLE and not tag[3] and not (f"</{name}>" in lower and f"<{name}" in lower):
            return tag[0]
        if name in ("sub", "sup"):
            return "}" if tag[1] else "^{" if name == "sup" else "_{"
        return "\n" if name == "br" and not tag[1] else " " if name in ("p", "div", "li", "tr", "hr") else ""

    read_text = _TAG.sub(read, _COMMENT.sub("", tex))
    return read_text if read_text.count("{") == read_text.count("}") or tex.count("{") != tex.count("}") else _TAG.sub("", tex)


def without_dollars(tex: str) -> str:
    """The TeX without dollars outside of text boxes, but for escaped ones: what they set as text is in `\\text`."""
    if "$" not in tex or _DOLLAR.search(tex) is None:
        return tex
    if tex.startswith("$") and tex.endswith("$"):
        return _Dollars(f"\\text{{{tex}}}", sentence=True).read()
    return _Dollars(tex, sentence=False).read()


class _Dollars:
    """One pass over a formula. `boxes`: for each open brace the command of a text box, or "" for any other group."""

    def __init__(self, tex: str, *, sentence: bool) -> None:
        """`sentence`: all of it stands in a text box, which dollars leave."""
        self.tex, self.sentence = tex, sentence
        self.out: list[str] = []
        self.boxes: list[str] = []
        self.opened: list[bool] = []
        """Whether a dollar has left the text box, for each open brace."""

    def read(self) -> str:
        done, skip, command = 0, -1, ""
        for token in _TOKEN.finditer(self.tex):
            if token.start() < skip:
                continue
            between = self.tex[done : token.start()]
            self.out.append(between)
            done, mark = token.end(), token[0]
            if mark == "$":
                skip = done = self.dollar(token.start())
            elif mark == "{":
                box = command if command in _TEXT and not between.strip() else ""
                self.boxes.append(box)
                self.opened.append(False)
                self.out.append("{")
            elif mark == "}":
                left = self.opened.pop() if self.opened else False
                if self.boxes:
                    self.boxes.pop()
                if not left:
                    self.out.append("}")
            else:
                self.out.append(mark)
            command = mark if mark[0] == "\\" else ""
        text = "".join([*self.out, self.tex[done:]])
        return text.replace("\\text{}", "") if self.sentence else text

    def dollar(self, at: int) -> int:
        """Reads a dollar, or two; the position behind what was read."""
        if self.boxes and self.boxes[-1]:
            if len(self.boxes) > 1 or not self.sentence:
                self.out.append("$")
                return at + 1
            self.out.append("}" if not self.opened[-1] else self.boxes[-1] + "{")
            self.opened[-1] = not self.opened[-1]
            return at + 1
        after = at + 2 if self.tex.startswith("$$", at) else at + 1
        end = self.tex.find("$", after)
        inside = self.tex[after:end] if end >= 0 else ""
        if end < 0 or inside.count("{") != inside.count("}") or "&" in inside or "\\\\" in inside:
            self.out.append("\\$" if end < 0 else "")
            return after
        words = _SIGNS.search(inside) is None and len(inside.strip()) > 1
        self.out.append(f"\\text{{{inside}}}" if words else inside)
        return end + (2 if self.tex.startswith("$$", end) else 1)
