r"""What the names in a page's markup say about a piece of it: tags, roles, classes and ids as cues for content and boilerplate.

A cue is a weak sign that thousands of templates share (`sidebar`, `share`, `entry-content`); it is read once for each element that holds
blocks and kept as bits, and `main_text.py` weighs the bits against how much text hangs on them. Nothing here looks at text or at a site's
address. Left out on purpose: words that mean content as often as boilerplate (`header` of an article, `category-...` and `tag-...` of
WordPress, Elementor's and Blogger's `widget`), and everything a class says about looks.
"""

import re

NAV = 1
"""nav, footer, aside, menu and their roles: boilerplate by the page's own word."""
BAD = 2
"""A class or id that names boilerplate."""
COMMENTS = 4
"""Readers' comments."""
MAIN = 8
ARTICLE = 16
BODY = 32
"""A class that names the body of an article."""
THEOREM = 64
HEADER = 128
CAPTION = 256
POST = 512
"""A post of a forum, an answer, a question."""

_TAGS = {
    "nav": NAV, "footer": NAV, "aside": NAV, "menu": NAV, "dialog": NAV, "main": MAIN, "article": ARTICLE, "header": HEADER,
    "figcaption": CAPTION, "form": 0,
}  # fmt: skip
_ROLES = {
    "navigation": NAV, "contentinfo": NAV, "complementary": NAV, "menu": NAV, "menubar": NAV, "search": NAV, "dialog": NAV,
    "alertdialog": NAV, "tablist": 0, "banner": HEADER, "main": MAIN, "article": ARTICLE,
}  # fmt: skip

_ATTRIBUTE = re.compile(r'(class|id|role|itemprop)="([^"]*)"')
_CAMEL = re.compile(r"([a-z])([A-Z])")
_TERM = re.compile(r"(?<![a-z])(?:category|tag|status|format|page-template|has|with|no|hide|show|without|elementor-widget)-[\w-]+")

_BAD = re.compile(
    r"""(?<![a-z])(?:
    (?:main|sub|site|top|side|global|primary|secondary|mobile)?(?:nav|navi|navbar|navigation|navbox|menu)(?:list|item|s)?
    | breadcrumbs? | (?:site|page|main|global|entry|post|article|content|block)?-?footer | colophon | masthead | topbar
    | (?<!content-)(?:side-?bar|sidebar[0-9]|sphinxsidebar|rightcol|leftcol)(?!-(?:wrap|main|content)) | widgets? | teasers? | promo(?:s|tion|box)?
    | shar(?:e|es|ing|er|edaddy|ethis|ebar) | socials? | social-?(?:media|links|icons|bar|share) | addthis | addtoany | shariff | follow(?:-us)? | like-?box
    | cookies? | cookie-?(?:notice|banner|bar|law|consent) | consent | gdpr | cmplz | onetrust | overlay | popup | modal | lightbox | tooltip | banners?
    | ads? | adsense | advert\w{0,12} | anzeigen? | werbung | sponsor(?:ed|s)? | newsletter | subscri(?:be|ption)\w? | sign-?up | sign-?in | log-?in | loginbox | paywall
    | related\w{0,8} | yarpp | recommend(?:ed|ations?)? | similar | see-?also-?box | most-?(?:read|popular|viewed) | popular | trending | latest | recent\w{0,8} | more-?(?:news|posts|articles|stories|from)
    | outbrain | taboola | blog-?roll | archives? | next-?prev | prev-?next | (?:post|article|page)-?nav\w{0,10} | nav-?links | pag(?:er|ination|ing|enav) | page-?numbers
    | search | search-?(?:box|form|bar|field) | toolbar | tool-?bar | skip-?links? | jump-?links? | back-?to-?top | scroll-?top
    | tags | tag-?(?:list|cloud|links) | tagcloud | cat-?links | catlinks | (?:post|entry)-?(?:meta|tags|cats|categories|info) | categories | metadata | byline | postmeta | meta
    | author-?(?:box|bio|info|profile) | about-?(?:the-?)?author | vcard | copyright | disclaimer | impressum | imprint | credits?
    | vote\w{0,6} | votecell | ratings? | feedback | no-?print | printfooter | mw-?jump\w{0,5} | noprint | siteinfo | rss | feedburner
    | call-?to-?action | cta | donat(?:e|ion) | jp-?relatedposts | wpcnt | hidden-?print | screen-?reader\w{0,8} | sr-only | languages? | lang-?switcher
    )(?![a-z])""",
    re.VERBOSE,
)
_COMMENTS = re.compile(
    r"(?<![a-z])(?:(?:user|post|entry|article|reader|fb|wp)?-?comments?(?:list|area|body|text|s|form|section|-?respond)?|respond|disqus\w{0,8}|"
    r"kommentare?|commentaires?|leserkommentare|trackbacks?|pingbacks?)(?![a-z])"
)
_BODY = re.compile(
    r"(?<![a-z])(?:(?:entry|post|article|story|blog|news|node|page|main|single|text|body|wiki|mw|content)-?_?(?:body|content|text|main|inner)(?:-text)?|"
    r"article(?:text|body|content)|story(?:text|body)|post(?:body|text|content)|mw-parser-output|bodycontent|hentry|td-post-content|articletext|"
    r"ltx_page_content|ltx_document|markdown-?body|rst-content|e-content|textbody|fliesstext|bodytext|articulo|inhalt)(?![a-z])"
)
_POST = re.compile(
    r"(?<![a-z])(?:answer|question|answercell|postcell|s-prose|post-?text|postbody|post-?message|message-?(?:body|content|text|cell|inner)|bbwrapper|"
    r"js-post-body|topic-?(?:body|post)|forum-?post|posts?content|cooked)(?![a-z])"
)
_MAIN = re.compile(r"(?<![a-z])(?:main-?content|maincontent|page-?content|primary-?content|content-?main|content)(?![a-z-])")
_CAPTION = re.compile(r"(?<![a-z])(?:wp-)?(?:caption|captions|bildunterschrift|image-?(?:caption|credit|text)|credits?|legende?)(?:-text)?(?![a-z])")
_THEOREM = re.compile(
    r"(?<![a-z])(?:theorem|lemma|proposition|corollary|definition|proof|conjecture|remark|exercise|solution|example|problem|axiom|claim|"
    r"admonition|theorem-like|definition-like|proof-like|example-like|remark-like|exercise-like|thm|defn|ltx_theorem\w{0,20}|ltx_proof)(?![a-z-])"
)
_LABELLED = frozenset(["theorem", "lemma", "proposition", "corollary", "definition", "proof", "conjecture", "axiom"])

SKIPPED = re.compile(
    r"""(?P<hidden> \ hidden="(?!until-found) | display:\s{0,3}none | visibility:\s{0,3}hidden | \ aria-hidden="true )
    | (?P<junk> (?:class|id)="[^"]*(?<![a-zA-Z])(?:headerlink|header-anchor|anchorjs-link|heading-anchor|anchor-link|permalink|mw-editsection|
        linenos|lineno|linenodiv|line-numbers-rows|gutter|blob-num|sr-only|screen-reader-text|visually-hidden|visuallyhidden|clipboard|copybtn|mw-cite-backlink)(?![a-zA-Z]))""",
    re.VERBOSE,
)
"""An element whose attributes match is not read: `hidden` ones but for their formulas, `junk` altogether."""

TITLE_CLASS = re.compile(r'class="[^"]*(?:admonition-title|ltx_title_(?:theorem|proof)|theorem-?title|thm-?title|theorem-?header|proof-?title)')
"""A paragraph or heading that is the heading of a theorem, proof or note."""


def zone_of(tag: str, attrs: str) -> tuple[int, str]:
    """The bits of one element, its parents' aside, and the label of a theorem-like element that may have to be spelled ("Theorem")."""
    zone = _TAGS.get(tag, 0)
    if not attrs:
        return zone, ""
    names, label = "", ""
    for name, value in _ATTRIBUTE.findall(attrs[:2000]):
        if name == "role":
            zone |= _ROLES.get(value.lower(), 0)
        elif name == "itemprop":
            zone |= BODY if value.lower() in ("articlebody", "text") else COMMENTS if value == "comment" else 0
        else:
            names += " " + value
    if not names:
        return zone, ""
    names = _CAMEL.sub(r"\1-\2", names).lower().replace("_", "-") if "ltx_" not in names else names.lower()
    theorem = _THEOREM.search(names)
    if theorem is not None:
        zone |= THEOREM
        label = theorem[0].capitalize() if theorem[0] in _LABELLED and names.split()[0] == theorem[0] else ""
    named = _TERM.sub(" ", names)
    if _BODY.search(named):
        zone |= BODY
    if _POST.search(named):
        zone |= POST
    if _MAIN.search(named):
        zone |= MAIN
    if _CAPTION.search(named):
        zone |= CAPTION
    if tag != "main" and not theorem:
        if _COMMENTS.search(named):
            zone |= COMMENTS
        if _BAD.search(named) and "widget blog" not in named and not zone & CAPTION:
            zone |= BAD
        if "header" in named and "-header" not in named.replace("site-header", "header").replace("page-header", "header"):
            zone |= HEADER
    return zone, label
