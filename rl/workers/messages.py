"""What travels between a driver and its workers, as bytes.

torch would hand tensors over as open files, which do not outlive the process that sent them and run out; as bytes they are just data.
Both ends are processes of one run on pipes of its own, so that what arrives is what was sent.
"""

import pickle
from typing import Any


def packed(message: Any) -> bytes:
    return pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)


def unpacked(message: bytes) -> Any:
    return pickle.loads(message)  # noqa: S301  # ours
