"""What a pool says of itself: every verdict once, quantiles of their seconds, and the workers that it had to replace."""

import threading

from verifiers.problem import make_problem
from verifiers.worker_pool.pool_figures import PoolFigures
from verifiers.worker_pool.verifier_pool import VerifierPool


def test_quantiles_are_of_what_came_since_the_last_time() -> None:
    figures = PoolFigures()
    assert figures.take() == {"verdicts": 0, "replaced_workers": 0}
    figures.judged([number / 100 for number in range(101)])
    figures.replaced()
    assert figures.take() == {"verdicts": 101, "replaced_workers": 1, "p50_seconds": 0.5, "p99_seconds": 0.99, "max_seconds": 1.0}
    figures.judged([3.0])
    assert figures.take() == {"verdicts": 1, "replaced_workers": 0, "p50_seconds": 3.0, "p99_seconds": 3.0, "max_seconds": 3.0}


def test_many_verdicts_are_all_counted_and_the_latest_measured() -> None:
    figures = PoolFigures()
    threads = [threading.Thread(target=lambda: [figures.judged([1.0] * 100) for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    figures.judged([2.0] * 10_000)
    found = figures.take()
    assert found["verdicts"] == 30_000
    assert found["p50_seconds"] == 2.0


def test_a_pool_counts_what_it_judged() -> None:
    with VerifierPool(["exact"], workers=1) as pool:
        problem = make_problem("1+1=", "2")
        pool.verify_many([(problem, "2")] * 7)
        list(pool.stream(iter([(problem, "3")] * 5)))
        assert pool.take_figures()["verdicts"] == 12
        assert pool.take_figures() == {"verdicts": 0, "replaced_workers": 0}
