"""Tables as a page reads them from disk: a header in JSON and arrays of numbers, compressed, in a script that calls `reckon.arrived`.

A page that was opened from a folder may fetch nothing, but it may load scripts. Arrays lie as the machine has them (little-endian), each
at a multiple of 8 bytes. `page/packs.js` is the other end.
"""

import base64
import gzip
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from recipes.spelling.result_line import compact_json

KINDS = {"u1": np.uint8, "u2": np.uint16, "u4": np.uint32, "i4": np.int32, "f4": np.float32, "f2": np.float16}
"""What a page can read; f2 comes as 16 bits that it widens itself."""
_NAMES = {np.dtype(kind): name for name, kind in KINDS.items()}
_ALIGNED = 8


def pack(facts: Any, arrays: Mapping[str, np.ndarray]) -> str:
    """As ASCII text. Raises KeyError for an array of another kind."""
    places, parts, end = {}, [], 0
    for name, array in arrays.items():
        data = np.ascontiguousarray(array)
        places[name] = [_NAMES[data.dtype], end, len(data)]
        raw = data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes()
        raw += b"\0" * (-len(raw) % _ALIGNED)
        parts.append(raw)
        end += len(raw)
    header = compact_json({"facts": facts, "arrays": places}).encode("utf-8", "replace")
    header += b" " * (-(len(header) + 4) % _ALIGNED)  # the arrays begin aligned
    whole = b"".join([struct.pack("<I", len(header)), header, *parts])
    return base64.b64encode(gzip.compress(whole, compresslevel=5, mtime=0)).decode("ascii")


def script(name: str, packed: str) -> str:
    """The text of the script that brings it. `name` and `packed` are ours: no quote or backslash in them."""
    return f'reckon.arrived("{name}","{packed}")\n'


def smallest(numbers: np.ndarray) -> np.ndarray:
    """Whole numbers of 0 or more in as few bytes as they need."""
    most = int(numbers.max()) if len(numbers) else 0
    return numbers.astype(np.uint8 if most < 1 << 8 else np.uint16 if most < 1 << 16 else np.uint32)
