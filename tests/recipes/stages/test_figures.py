"""The table that a chain ends with."""

from pathlib import Path

from recipes.stages.figures import markdown, write_comparison

ROWS = {
    "before": {"accuracy": 0.25, "low": 0.2, "high": 0.3},
    "after": {"accuracy": 0.5, "low": 0.45, "high": 0.55, "format": 1.0, "n": 1200},
}


def test_a_line_for_each_method_and_nothing_where_it_has_no_such_number() -> None:
    assert markdown(ROWS, ("format", "n")).splitlines() == [
        "|  | right of held-out problems | 95 % | format | n |",
        "| --- | --- | --- | --- | --- |",
        "| before | 25.0% | 20.0% to 30.0% |  |  |",
        "| after | 50.0% | 45.0% to 55.0% | 100.0% | 1,200 |",
    ]


def test_the_same_numbers_give_the_same_picture(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_comparison(ROWS, tmp_path / name)
    first, second = ((tmp_path / name / "comparison.svg").read_bytes() for name in ("a", "b"))
    assert first == second
    assert b"right of held-out problems, %" in first
