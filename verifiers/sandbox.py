"""The sandbox for your own code that runs what a model wrote: `from verifiers.sandbox import Sandbox`. The room behind is `sandboxes/`."""

from verifiers.sandboxes.local_sandbox import Limits, Outcome, Run, Sandbox

__all__ = ["Limits", "Outcome", "Run", "Sandbox"]
