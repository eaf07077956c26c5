"""`reckon.view`: the page of `reckon view`."""

from pathlib import Path

import pytest

import reckon
from benchmarks.viewer import make_run


def test_a_run_is_written_as_a_page(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", steps=2, groups=1, completions=2, tokens=(2, 3))
    page = reckon.view(run)
    assert page == run.resolve() / "view" / "index.html"
    assert page.is_file()
    assert reckon.view(str(run), out=tmp_path / "one.html", steps="2").stat().st_size > 500_000, "everything is in it"
    with pytest.raises(reckon.InputError, match="give the folder of a run"):
        reckon.view()
