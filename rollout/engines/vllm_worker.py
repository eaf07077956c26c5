"""What a vLLM server runs for us inside its workers: taking the policy's weights from a folder, and saying whose weights it has.

Named on the server's command line by vLLM's public `--worker-extension-cls`; vLLM adds the class to its worker's bases. It asks the
worker for three things: `reload_weights`, `get_model` and `vllm_config`. Everything is called through `/collective_rpc`,
which passes strings only. Whoever can reach that endpoint can make the server read a folder: bind it to an address that you trust.
"""

from pathlib import Path
from typing import Any


class PolicyWorker:
    """Mixed into vLLM's worker."""

    reckon_stamp_of_weights = ""

    def reckon_load(self, folder: str, stamp: str) -> None:
        """The full weights of `folder`, in place. While they are read, and if that fails, they are nobody's: the stamp is empty."""
        from vllm.platforms import current_platform

        from rollout.engines.vllm_facts import repack_tied_head

        if not any(Path(folder).glob("*.safetensors")):
            raise FileNotFoundError(f"the server sees no weights in {folder}")
        worker: Any = self
        self.reckon_stamp_of_weights = ""
        worker.reload_weights(weights_path=folder)
        if current_platform.is_cpu():
            repack_tied_head(worker.get_model())
        self.reckon_stamp_of_weights = stamp

    def reckon_dtype(self) -> str:
        """What the server computes in, such as "bfloat16"."""
        worker: Any = self
        return str(worker.vllm_config.model_config.dtype).removeprefix("torch.")

    def reckon_stamp(self) -> str:
        """Of the last weights that were taken; empty since the server's start."""
        return self.reckon_stamp_of_weights
