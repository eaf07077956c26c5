"""A Python interpreter that keeps its state, for your own tools: `from verifiers.interpreter import Session`. The room behind is
`sandboxes/`."""

from verifiers.sandboxes.interpreter import CellResult, Session

__all__ = ["CellResult", "Session"]
