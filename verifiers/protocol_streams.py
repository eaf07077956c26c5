"""A child's end of a protocol of lines: standard input and output, which are moved out of the way of the code that runs there.

What that code reads, prints or closes then cannot disturb the protocol by accident; by intent it can. This goes into sandboxes with
what speaks there, and needs nothing but the standard library.
"""

import os
from typing import BinaryIO


def take_streams() -> tuple[BinaryIO, int]:
    """Requests, to be read by line, and the descriptor of replies. From now on 0 is empty, and 1 leads to standard error."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, replies


def write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
