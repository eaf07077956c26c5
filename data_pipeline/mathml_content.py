"""Content MathML to TeX."""

from data_pipeline.mathml_tree import Element

CONTENT = frozenset({"apply"})


def content_to_tex(element: Element) -> str:
    return ""
