"""What a command said, without the lines that only a busy machine adds."""


def without_progress(said: str) -> str:
    """But for the lines about work that takes long (`rollout/progress.py`)."""
    return "\n".join(line for line in said.strip().splitlines() if not line.endswith(" so far)"))
