"""What training saw of every sampled token, one Parquet file a step, beside the rollouts: for looking at, never for training.

Half precision, since eyes read it: relative errors up to 1/2048. Log-probabilities under the sampler are the rollouts' own; here are
differences to them, which so keep their precision near 0, where nearly all of them are. A file of an earlier or later Reckon may lack
columns or have others: who reads asks for what there is. Rows are the completions that trained, in the order of the step's rollouts.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Shaped

from verifiers.atomic_files import atomic_path

COLUMNS = {
    "advantage": "what the token was told of its outcome",
    "trains": "whether the loss counts it",
    "entropy": "of the policy's distribution, in nats",
    "log_ratio": "log-probability under the policy, at the last pass over the token, minus that under the sampler",
    "ref_log_ratio": "log-probability under the sampler minus that under the reference",
    "value": "what the critic expected, before the token was chosen",
}
"""Numbers of a token; nan where there is none, as of an entropy where nothing was computed because a whole group teaches nothing."""


class TokenStore:
    """`folder/step-000012.parquet`, each written whole or not at all."""

    def __init__(self, folder: Path):
        self.folder = folder

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:06d}.parquet"

    def write(self, step: int, lengths: Sequence[int], columns: Mapping[str, Shaped[np.ndarray, "T"]]) -> None:
        """`lengths`: tokens of each completion, T in all; `columns`: a number for each of those tokens, by names of `COLUMNS`."""
        ends = pa.array(np.concatenate([[0], np.cumsum(lengths)]), type=pa.int32())
        table = pa.table({name: pa.ListArray.from_arrays(ends, _narrow(column)) for name, column in columns.items()})
        with atomic_path(self.path(step)) as temporary:
            pq.write_table(table, temporary, compression="zstd")

    def read(self, step: int, lengths: Sequence[int]) -> dict[str, Shaped[np.ndarray, "T"]]:
        """The columns that there are of completions of these lengths; none where the file is missing, damaged or of other completions."""
        try:
            table = pq.read_table(self.path(step)).combine_chunks()
        except (pa.ArrowException, OSError, ValueError):
            return {}
        found = {}
        for name in COLUMNS.keys() & set(table.schema.names):
            column = table.column(name).chunk(0) if table.num_rows else None
            if isinstance(column, pa.ListArray) and column.null_count == 0 and np.array_equal(column.value_lengths(), lengths):
                found[name] = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        return found


def _narrow(column: Shaped[np.ndarray, "T"]) -> pa.Array:
    if column.dtype == np.bool_:
        return pa.array(column)
    most = float(np.finfo(np.float16).max)
    return pa.array(np.clip(column, -most, most).astype(np.float16))
