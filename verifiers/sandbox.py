"""The sandbox for your own code that runs what a model wrote: `from verifiers.sandbox import Sandbox`. The room behind is `sandboxes/`."""

from verifiers.sandboxes.local_sandbox import Sandbox
from verifiers.sandboxes.running_program import Limits, Outcome, Run

__all__ = ["Limits", "Outcome", "Run", "Sandbox"]
