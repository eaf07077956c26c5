"""datatrove's pipeline over archives, for `benchmarks.mining.pipeline`: run by a Python that has datatrove and not this project.

`python datatrove_pipeline.py ARCHIVES OUT MODEL.bin LID.ftz ORDER`: WARC, trafilatura, language, fastText classifier, quality rules
(Gopher, C4, FineWeb), MinHash in four stages, gzipped JSON Lines; in one process, a task at a time. ORDER `pool` removes near-duplicates of
all pages before anything is filtered, as mining does; `filtered` filters first, as FineWeb does. The last line is JSON: documents after
each stage.
"""

import gzip
import json
import sys
from pathlib import Path

from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FastTextClassifierFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.lid import FT176LID

CONFIG = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)


def run(out: Path, name: str, *steps: PipelineStep, tasks: int = 1) -> None:
    LocalPipelineExecutor(pipeline=list(steps), tasks=tasks, workers=1, logging_dir=str(out / "logs" / name)).run()


def filters(model: str, language_model: str) -> list[PipelineStep]:
    FT176LID.MODEL_URL = language_model  # a file of this machine in the place of its download
    quality = [GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(filter_no_terminal_punct=False), FineWebQualityFilter()]
    classifier = FastTextClassifierFilter(model, keep_labels=[("math", 0.5)], newline_replacement=" ")
    return [LanguageFilter(languages=["en"]), classifier, *quality]


def near_duplicates(out: Path, documents: Path, *kept: PipelineStep) -> None:
    """The four stages over the documents of a folder; what is kept goes through `kept`. No document makes no file, which they refuse."""
    if not documents_in(documents):
        return
    minhash = out / "minhash"
    run(out, "signatures", JsonlReader(str(documents)), MinhashDedupSignature(str(minhash / "signatures"), config=CONFIG))
    run(out, "buckets", MinhashDedupBuckets(str(minhash / "signatures"), str(minhash / "buckets"), config=CONFIG), tasks=CONFIG.num_buckets)
    run(out, "clusters", MinhashDedupCluster(str(minhash / "buckets"), str(minhash / "remove"), config=CONFIG))
    run(out, "filter", JsonlReader(str(documents)), MinhashDedupFilter(str(minhash / "remove")), *kept)


def documents_in(folder: Path) -> int:
    return sum(sum(1 for _ in gzip.open(file, "rb")) for file in folder.glob("*.jsonl.gz"))


def main() -> None:
    archives, target, model, language_model, order = sys.argv[1:]
    out = Path(target)
    pages = [WarcReader(archives), Trafilatura(favour_precision=True, timeout=30)]
    first, last = out / "first", out / "corpus"
    if order == "pool":
        run(out, "extract", *pages, JsonlWriter(str(first)))
        near_duplicates(out, first, JsonlWriter(str(out / "unique")), *filters(model, language_model), JsonlWriter(str(last)))
    else:
        run(out, "extract", *pages, *filters(model, language_model), JsonlWriter(str(first)))
        near_duplicates(out, first, JsonlWriter(str(last)))
    print()
    print(json.dumps({folder.name: documents_in(folder) for folder in (first, out / "unique", last)}))


if __name__ == "__main__":
    main()
