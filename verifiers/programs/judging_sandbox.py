"""The sandbox in which programs are judged: the chosen one, which holds in memory what runs around a program whose functions are called."""

from collections.abc import Sequence

from verifiers.sandboxes.chosen_sandbox import chosen_sandbox, local_sandbox
from verifiers.sandboxes.fusion_sandbox import RemoteSandbox
from verifiers.sandboxes.local_sandbox import Sandbox

SERVED, CHECK = "verifiers.programs.in_sandbox_functions", "verifiers.programs.in_sandbox_asserts"


def judging_sandbox(paths: Sequence[str] = ()) -> Sandbox | RemoteSandbox:
    """Where programs run. On this machine, they may also read `paths`. Raises InputError if it is not to be had."""
    return chosen_sandbox(paths, preload=(SERVED, CHECK))


def assert_sandbox() -> Sandbox:
    """Where asserts about programs run. Raises InputError if there is none on this machine."""
    purpose = "asserts, unlike standard output and calls by value, need a sandbox on this machine"
    return local_sandbox(purpose, preload=(SERVED, CHECK))
