r"""What the names in a page's markup say about a piece of it: tags, roles, classes and ids as cues for content and boilerplate.

A cue is a weak sign that thousands of templates share (`sidebar`, `share`, `entry-content`); it is read once for each element that holds
blocks and kept as bits, and `main_text.py` weighs the bits against how much text hangs on them. Nothing here looks at text or at a site's
address. Left out on purpose: words that mean content as often as boilerplate (`header` of an article, `category-...` and `tag-...` of
WordPress, Elementor's and Blogger's `widget`), and everything a class says about looks.
"""

import re
from functools import lru_cache

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
TEASER = 2048
"""What leads to another page, or into this one: boilerplate, but for a piece of an article that leads nowhere else."""
FAINT = 1024
"""Who wrote it and when: left out at the edges of an article, where a short block without it would be text."""

_TAGS = {
    "nav": NAV, "footer": NAV, "aside": NAV, "menu": NAV, "dialog": NAV, "main": MAIN, "article": ARTICLE, "header": HEADER,
    "figcaption": CAPTION, "form": 0,
}  # fmt: skip
_ROLES = {
    "navigation": NAV, "contentinfo": NAV, "complementary": NAV, "menu": NAV, "menubar": NAV, "search": NAV, "dialog": NAV,
    "alertdialog": NAV, "tablist": 0, "banner": HEADER, "main": MAIN, "article": ARTICLE,
}  # fmt: skip

_ATTRIBUTE = re.compile(r'(role|itemprop)="([^"]*)"')
_CAMEL = re.compile(r"([a-z])([A-Z])")
_WORD = re.compile(r"[a-z]+")
_TERM = re.compile(
    r"\b(?:category|tag|status|format|page-template|has|with|no|hide|show|without|wp-block|layout)-[\w-]+|\belementor-(?:widget|element|section|column|container)[\w-]*"
)
"""Words that are values, not names: `category-news` of WordPress, `has-sidebar`."""

_NAMES = {
    BAD: """nav navi navbar navigation navbox menu submenu mainmenu topmenu menubar menulist navlist topnav subnav mainnav sitenav
        breadcrumb breadcrumbs footer foot-er sitefooter pagefooter colophon masthead topbar sidebar side-bar sidebars
        sphinxsidebar rightcol leftcol right-column left-column rightcolumn leftcolumn widget widgets promotion promobox
        share shares sharing sharer sharedaddy sharethis sharebar sharebuttons social socials
        socialmedia addthis addtoany shariff follow likebox like-box cookie cookies cookiebar cookiebanner cookienotice
        consent gdpr cmplz onetrust overlay popup modal lightbox tooltip banner banners ad ads adv adsense advert adverts
        advertisement advertising advertisment anzeige anzeigen werbung sponsor sponsored sponsors newsletter subscribe
        subscription subscriptions signup sign-up signin sign-in login log-in loginbox paywall related relatedposts
        related-posts yarpp recommended recommendation recommendations recommend similar mostread most-read most-popular
        most-viewed recentposts recent-posts more-news more-posts more-articles more-stories
        more-from morenews outbrain taboola blogroll archive archives prevnext nextprev prev-next next-prev post-nav
        article-nav page-nav nav-links navlinks pager pagination paging pagenav page-numbers search searchbox searchform
        searchbar toolbar tool-bar skiplink skiplinks skip-link skip-links jump-link backtotop back-top totop scrolltop
        scroll-top tags taglist tag-list tagcloud tag-cloud tag-links catlinks cat-links entry-meta post-meta article-meta
        entry-tags post-tags post-info entry-info post-categories entry-categories categories metadata byline postmeta meta
        postmetadata author-box author-bio author-info author-profile authorbox authorbio authorinfo about-author vcard
        copyright disclaimer impressum imprint vote votes voting votecell rating ratings feedback noprint no-print printfooter
        mw-jump rss feedburner cta call-action donate donation wpcnt languages lang-switcher language-switcher jp-relatedposts
        flyout dropdown offcanvas off-canvas hamburger announcement user-info user-details userinfo userdetails usertitle
        user-title user-stats userstats postprofile post-profile postauthor post-author
        message-user poster-info posterinfo member-info memberinfo author-details user-gravatar user-card post-signature
        post-menu post-taglist comments-link comment-score comment-actions question-status bottom-notice s-anchors s-user""",
    COMMENTS: """comment comments commentlist comment-list commentarea commentbody commenttext respond disqus kommentar kommentare
        commentaire commentaires comentarios trackback trackbacks pingback pingbacks usercomments""",
    BODY: """entry-content entry-body entry-text post-body post-content post-text article-body article-content article-text article-main
        article-inner story-body story-content story-text blog-content blog-text news-content news-text news-body node-content
        page-content-inner single-content single-post-content articlebody articlecontent articletext storybody storytext
        postbody postcontent posttext entrycontent mw-parser-output mw-content-text bodycontent td-post-content e-content
        ltx-page-content ltx-document markdown-body rst-content textbody bodytext text-body body-text fliesstext articulo
        hentry main-text text-content content-text content-body""",
    HEADER: "header site-header page-header global-header main-header top-header pageheader siteheader",
    POST: """answer question answercell postcell s-prose js-post-body post-message message-body message-content message-text message-cell
        message-inner message-userContent bbwrapper topic-body topic-post forum-post cooked postcontent postbody posttext""",
    MAIN: """content maincontent main-content page-content primary-content content-main contents main-body mainbody""",
    CAPTION: """caption captions wp-caption wp-caption-text caption-text bildunterschrift image-caption image-credit photo-credit credit
        credits legende legend bildtext bildnachweis""",
    TEASER: """teaser teasers promo promos recommended recommendation recommendations similar popular trending latest recent""",
    FAINT: """date dates datetime timestamp dateline pubdate published posted author authors writer readtime reading-time read-time views
        viewcount view-count comment-count comments-count created updated modified lastmod last-updated photographer source""",
    THEOREM: """theorem lemma proposition corollary definition proof conjecture remark exercise solution example problem axiom claim
        admonition thm defn ltx-theorem ltx-proof theorem-like definition-like proof-like example-like remark-like
        exercise-like""",
}  # fmt: skip
_PARTS: dict[str, int] = {}
"""Bits of names that count as a part of a longer one too ("sidebar" in "my-sidebar-left")."""
_WHOLE: dict[str, int] = {}
"""Bits of names that count alone: "content" is a cue, "content-sidebar" is none."""
for _bit, _words in _NAMES.items():
    _table = _PARTS if _bit in (BAD, COMMENTS, BODY, CAPTION, FAINT, TEASER) else _WHOLE
    for _word in _words.split():
        _table[_word] = _table.get(_word, 0) | _bit
_LABELLED = frozenset(["theorem", "lemma", "proposition", "corollary", "definition", "proof", "conjecture", "axiom"])

TITLE_CLASS = re.compile(
    r'class="[^"]{0,200}?(?:admonition-title|ltx_title_(?:theorem|proof)|theorem-?title|thm-?title|theorem-?header|proof-?title)'
)
"""A paragraph or heading that is the heading of a theorem, proof or note."""


@lru_cache(50_000)
def is_faint(classes: str) -> bool:
    """Whether the value of a class attribute names a date or an author."""
    return any(_word_bits(name) & FAINT for name in classes.split() if not name.startswith("ltx_"))


def zone_of(tag: str, attrs: str) -> tuple[int, str]:
    """The bits of one element, its parents' aside, and the label of a theorem-like element that may have to be spelled ("Theorem")."""
    return _element_zone(tag, attrs) if len(attrs) < 300 else _element_zone.__wrapped__(tag, attrs)


@lru_cache(20_000)
def _element_zone(tag: str, attrs: str) -> tuple[int, str]:
    zone, names = _TAGS.get(tag, 0), ""
    if not attrs:
        return zone, ""
    for name in ("class", "id"):
        start = attrs.find(name + '="') + len(name) + 2
        if start > len(name) + 1:
            names += " " + attrs[start : min(attrs.find('"', start), start + 1000)]
    if "role=" in attrs or "itemprop=" in attrs:
        zone |= _attribute_bits(attrs)
    return (zone | _name_bits(tag, names), _theorem_label(names)) if names else (zone, "")


def _attribute_bits(attrs: str) -> int:
    zone = 0
    for name, value in _ATTRIBUTE.findall(attrs[:2000]):
        if name == "role":
            zone |= _ROLES.get(value.lower(), 0)
        else:
            zone |= BODY if value.lower() == "articlebody" else COMMENTS if value == "comment" else 0
    return zone


def _theorem_label(names: str) -> str:
    first = names.split(None, 1)[0].lower() if not names.isspace() else ""
    return first.capitalize() if first in _LABELLED else ""


def _name_bits(tag: str, names: str) -> int:
    zone = 0
    for name in names.split():
        zone |= _word_bits(name)
    return zone & ~(BAD | COMMENTS) if tag == "main" or zone & THEOREM else zone


@lru_cache(100_000)
def _word_bits(name: str) -> int:
    """The bits of one class or id. Remembered across pages: templates share their names."""
    name = _TERM.sub("", _CAMEL.sub(r"\1-\2", name).lower().replace("_", "-"))
    zone, before = _WHOLE.get(name, 0), ""
    for word in _WORD.findall(name):
        zone |= _PARTS.get(word, 0) | _PARTS.get(f"{before}-{word}", 0)
        before = word
    return zone
