"""A Python interpreter that keeps its state, for your own tools: `from verifiers.interpreter import Session`. The room behind is
`sandboxes/`."""

from verifiers.sandboxes.interpreter import SESSION, CellResult, Session

__all__ = ["SESSION", "CellResult", "Session"]
