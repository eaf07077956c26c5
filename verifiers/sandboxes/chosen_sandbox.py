"""Which sandbox this process judges programs in: what the environment variable RECKON_SANDBOX says, `strict` if it is not set.

    strict, landlock, rlimits            on this machine (`local_sandbox.py`)
    http://..., https://...              a server that speaks SandboxFusion's /run_code (`fusion_sandbox.py`)

Made when first needed, kept for the life of the process, and made again after a fork.
"""

import os
import threading
from collections.abc import Sequence
from typing import cast

from verifiers.input_error import InputError
from verifiers.sandboxes.fusion_sandbox import RemoteSandbox
from verifiers.sandboxes.local_sandbox import WARM_MODULES, Level, Sandbox

_lock = threading.Lock()
_made: dict[tuple[int, str, tuple[str, ...], tuple[str, ...]], Sandbox | RemoteSandbox] = {}


def chosen_sandbox(paths: Sequence[str] = (), *, preload: Sequence[str] = ()) -> Sandbox | RemoteSandbox:
    """Where model output runs. On this machine, programs may also read `paths`, and modules that `preload` names may run around them.

    Raises InputError if it is not to be had.
    """
    return _get_sandbox(os.environ.get("RECKON_SANDBOX") or "strict", paths, preload)


def local_sandbox(purpose: str, *, preload: Sequence[str] = ()) -> Sandbox:
    """The one on this machine, for what needs one. Raises InputError that names the purpose."""
    name = os.environ.get("RECKON_SANDBOX") or "strict"
    if not _is_address(name):
        return cast(Sandbox, _get_sandbox(name, (), preload))
    try:
        return cast(Sandbox, _get_sandbox("strict", (), preload))
    except InputError as error:
        raise InputError(f"{purpose}, which a server over HTTP is not; {error}") from None


def _is_address(name: str) -> bool:
    return name.startswith(("http://", "https://"))


def _get_sandbox(name: str, paths: Sequence[str], preload: Sequence[str]) -> Sandbox | RemoteSandbox:
    with _lock:
        key = (os.getpid(), name, tuple(paths), tuple(preload))
        if key not in _made:
            local = not _is_address(name)
            warm = (*WARM_MODULES, *preload)
            _made[key] = Sandbox(cast(Level, name), paths=paths, preload=warm) if local else RemoteSandbox(name)
        return _made[key]
