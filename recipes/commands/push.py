"""`reckon push PLACE REPO`: a model or an adapter to the Hugging Face hub, with a card that says how it was made.

    reckon push runs/grpo_math me/my-model --private
    reckon push runs/sft me/my-adapter --base-model Qwen/Qwen2.5-1.5B-Instruct

Of a run its newest weights, as they are: an adapter stays an adapter, and must be one of a model that others can reach too; `reckon merge`
makes a plain model of it. The card has the run's command, options, numbers and versions, and no path of this machine. A token comes from
`hf auth login` or HF_TOKEN.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from recipes.spelling.result_line import tell_result
from verifiers.input_error import InputError, first_line

if TYPE_CHECKING:
    from recipes.setup.model_source import ModelSource


@dataclass(frozen=True)
class Config:
    """A model or an adapter to the Hugging Face hub, with a card that says how it was made."""

    model: Annotated[str, tyro.conf.Positional]
    """A run's folder, one of its checkpoints, an adapter, or the folder of a model."""
    repo: Annotated[str, tyro.conf.Positional]
    """Repository on the hub, as OWNER/NAME; made where there is none."""
    private: bool = False
    """Make the repository private, where this makes it."""
    revision: str | None = None
    """Branch to write to; made where there is none (default: main)."""
    base_model: str | None = None
    """Of an adapter on a local model: that model's id on the hub, under which others find it."""
    message: str = "Upload by Reckon"
    """Of the commit."""


def run(config: Config) -> int:
    """Uploads, and prints the address. Raises InputError in one line for whatever is in the way; what was uploaded stays."""
    from recipes.setup.model_source import find_model

    source = find_model(config.model)
    folder = _folder_of(source, config)
    with tempfile.TemporaryDirectory(prefix="reckon-push-") as staging, _in_one_line(config.repo):
        _stage(Path(staging), folder, source, config)
        address = _upload(Path(staging), config)
    print(address)
    tell_result({"address": address}, only_json=True)
    return 0


def _folder_of(source: "ModelSource", config: Config) -> Path:
    """Where the weights lie. Raises InputError for what others could not load."""
    remedy = f"make a plain model of it first: reckon merge {config.model} --out FOLDER"
    if source.gguf or source.merged:
        what = "a GGUF file" if source.gguf else "an adapter on other adapters"
        raise InputError(f"{config.model} is {what}; {remedy}")
    if config.base_model and not source.adapter:
        raise InputError(f"--base-model would be ignored: {config.model} is a model, not an adapter; leave it out")
    if source.adapter and Path(source.base).exists() and not config.base_model:
        raise InputError(
            f"{config.model} is an adapter of {source.base}, a folder that nobody else has; {remedy}, or name that model's id on the hub "
            "with --base-model"
        )
    folder = Path(source.adapter or source.base)
    if not folder.is_dir():
        raise InputError(f"{config.model} is on the hub already; give a run, a checkpoint, an adapter, or the folder of a model")
    return folder


def _stage(staging: Path, folder: Path, source: "ModelSource", config: Config) -> None:
    """What is uploaded: the folder's files (by links), a tokenizer, the card, and an adapter's config that names a base on the hub."""
    from recipes.setup.model_card import write_card
    from recipes.setup.model_source import ADAPTER, run_of

    source.load_tokenizer().save_pretrained(staging)
    for file in folder.iterdir():
        if file.is_file() and not (staging / file.name).exists():
            (staging / file.name).symlink_to(file)
    base = config.base_model or (source.base if source.adapter else None)
    if source.adapter:
        (staging / ADAPTER).unlink()
        settings = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
        (staging / ADAPTER).write_text(json.dumps(settings | {"base_model_name_or_path": base}, indent=2), encoding="utf-8")
    card, made_by = staging / "README.md", run_of(folder)
    if made_by or source.adapter or not card.exists():  # the card of a folder from elsewhere is its maker's
        card.unlink(missing_ok=True)  # peft's, which has blanks to fill in
        write_card(card, name=config.repo, run=made_by, base=base, adapter=source.adapter is not None)


def _upload(staging: Path, config: Config) -> Any:
    from huggingface_hub import HfApi, get_token

    from rollout.progress import watched

    if get_token() is None:
        raise InputError("no token for the hub: run `hf auth login`, or set HF_TOKEN to one that may write")
    api = HfApi()
    with watched(f"uploading to {config.repo}"):
        address = api.create_repo(config.repo, private=config.private or None, exist_ok=True)
        if config.private and not api.repo_info(config.repo).private:
            raise InputError(
                f"{config.repo} is there already and public, which --private does not change; change it on the hub, or leave it out"
            )
        if config.revision:
            api.create_branch(config.repo, branch=config.revision, exist_ok=True)
        api.upload_folder(repo_id=config.repo, folder_path=staging, revision=config.revision, commit_message=config.message)
    return address


@contextlib.contextmanager
def _in_one_line(repo: str) -> Iterator[None]:
    """The hub's and the network's errors as InputErrors."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, RepositoryNotFoundError

    try:
        yield
    except HFValidationError as error:
        raise InputError(f"{repo!r} is no repository's name on the hub; write OWNER/NAME ({first_line(error):.200})") from error
    except RepositoryNotFoundError as error:
        raise InputError(f"the hub has no repository {repo}, or does not show it to this token; mend the name, or log in again") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "?"
        told = error.server_message or first_line(error)
        remedy = "; the token may not write there: log in with one that may" if status in (401, 403) else ""
        raise InputError(f"the hub refuses {repo} (status {status}): {' '.join(told.split()):.200}{remedy}") from error
    except (HTTPError, ConnectionError) as error:
        raise InputError(f"the hub cannot be reached for {repo}: {first_line(error):.200}; try again when it can") from error
