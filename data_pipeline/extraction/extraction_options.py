"""How pages are extracted: what a caller may choose, stated once. It goes as it is to the processes that work on archives."""

from dataclasses import dataclass

MATHEMATICS = "data_pipeline.extraction.page_prefilter:has_mathematics"


@dataclass(frozen=True, slots=True)
class ExtractionOptions:
    page_seconds: float = 2.0
    """A page that takes longer is killed and dropped as "extract: too slow"."""
    page_megabytes: int = 1024
    """Memory that a worker may take beyond what it has at its start; a page that needs more is "extract: too much memory"."""
    prefilter: bool = False
    """Drop pages without the markup that is sought before they are extracted."""
    markup: str = MATHEMATICS
    """The function of a page's bytes that finds it: "module:function" or "file.py:function"."""
    sought: str = "mathematics"
    """What it finds, in the reason for a drop."""
    block: tuple[str, ...] = ()
    """Files of hosts and addresses (`addresses.UrlList`) whose pages are dropped unread."""
    allow: tuple[str, ...] = ()
    """Where given, pages of all other addresses are dropped unread."""
    keep_rejects: bool = False
    """Keep the text of dropped documents."""
