"""How the workers of a pool end, and how much it has in hand: seen from inside, for a pool does not count what only tests ask."""

from collections import Counter

from verifiers.worker_pool.verifier_pool import VerifierPool

ENDS = {"died": "_bury", "killed": "_expire", "freed": "_free", "recycled": "_recycle"}


def watch_ends(pool: VerifierPool) -> Counter[str]:
    """How many workers end from now on, by why: it counts on while the pool runs."""
    ends: Counter[str] = Counter()
    for end, name in ENDS.items():

        def counted(*args: object, end: str = end, method: object = getattr(pool._dispatcher, name)) -> None:
            ends[end] += 1
            method(*args)  # type: ignore[operator]

        setattr(pool._dispatcher, name, counted)
    return ends


def queued(pool: VerifierPool) -> int:
    """Items that no worker has yet."""
    return len(pool._dispatcher._inbox) + len(pool._dispatcher._pending)
