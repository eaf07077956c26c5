"""Processes that torchrun has started: rank 0 is the command, the others are workers of its policy."""

import os


def served() -> bool:
    """Serves the driver until it is done, where this process is a rank that does; whether it was."""
    if "TORCHELASTIC_RUN_ID" not in os.environ or os.environ["RANK"] == "0":
        return False
    from rl.workers.torchrun_workers import serve

    serve()
    return True
