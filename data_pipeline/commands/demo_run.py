"""`reckon mine demo`: the whole loop on the made-up web, in under a minute on two cores."""

from pathlib import Path

from data_pipeline.commands.demo_pages import SEED_HOST
from data_pipeline.commands.demo_web import BENCHMARK, write_web
from data_pipeline.loop.run_settings import Settings


def demo_settings(folder: Path) -> tuple[Settings, list[str]]:
    """Writes the web under `folder` and returns what mines it: one site as the seed, two rounds."""
    archives = write_web(folder)
    settings = Settings(seed_domains=(SEED_HOST,), preset="small", rounds=2, stop_overlap=1.0, benchmarks=(str(folder / BENCHMARK),))
    return settings, [str(archive) for archive in archives]
