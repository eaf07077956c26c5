"""Looking at what came of it, as a function over objects."""

from pathlib import Path

from recipes.in_python.objects import Run
from recipes.viewer import view as viewing


def view(*runs: "Run | str | Path", out: str | Path | None = None, steps: str = "", explain: int = 0, tokenizer: str | None = None) -> Path:
    """The page of `reckon view` of these runs, or of their folders; the file to open, such as with `webbrowser.open(path.as_uri())`.

    `out`: a folder, or a file NAME.html that holds all of it (default: view/ in the first run). Raises InputError for what is no run.
    """
    places = tuple(run.path if isinstance(run, Run) else Path(run) for run in runs)
    config = viewing.Config(places, out=None if out is None else Path(out), steps=steps, explain=explain, tokenizer=tokenizer)
    return viewing.write_run_view(config).resolve()
