"""Landlock: the files, TCP ports and processes that this process and its children may still reach. Linux 5.13 and later.

Everything is refused but what is named: trees to read (and execute), trees to write. Where the kernel knows how, TCP (version 4)
and signals and abstract sockets to processes outside (version 6) are refused as well. Not covered by any version: `stat`, `chmod`
and `utime` of a path that is visible and whose owner one is; a mount namespace hides such paths.
"""

import ctypes
import os
import struct
from collections.abc import Iterable

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446  # the same numbers on every architecture
_READ = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, read a folder
_WRITE_FILE, _TRUNCATE, _IOCTL_DEVICE = 1 << 1, 1 << 14, 1 << 15
_FILE_RIGHTS = 1 << 0 | _WRITE_FILE | 1 << 2 | _TRUNCATE | _IOCTL_DEVICE  # the others are refused in a rule for a file
_FS_BITS = {1: 13, 2: 14, 3: 15, 4: 15}
_TCP, _SCOPES = 0b11, 0b11
SIGNALS_SINCE = 6
_LIBC = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Landlock's version in this kernel; 0 where it is absent or turned off."""
    return max(0, int(_LIBC.syscall(_CREATE, None, ctypes.c_size_t(0), 1)))


def restrict(read: Iterable[str], write: Iterable[str]) -> None:
    """Leave this process the trees `read` and `write`, for good; what does not exist is passed over. Raises OSError.

    Needs no_new_privs.
    """
    known = version()
    if not known:
        raise OSError("Landlock is absent or turned off in this kernel")
    handled = (1 << _FS_BITS.get(known, 16)) - 1
    attributes = struct.pack("=QQQ", handled, _TCP if known >= 4 else 0, _SCOPES if known >= SIGNALS_SINCE else 0)
    size = 24 if known >= SIGNALS_SINCE else 16 if known >= 4 else 8
    rules = _raise_for(_LIBC.syscall(_CREATE, attributes[:size], ctypes.c_size_t(size), 0))
    for path in read:
        _allow(rules, path, _READ)
    for path in write:
        _allow(rules, path, handled & ~_IOCTL_DEVICE)
    _raise_for(_LIBC.syscall(_RESTRICT, rules, 0))
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        tree = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if not os.path.isdir(path):
        rights &= _FILE_RIGHTS
    _raise_for(_LIBC.syscall(_ADD_RULE, rules, 1, struct.pack("=Qi", rights, tree), 0))
    os.close(tree)


def _raise_for(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), f"Landlock: {os.strerror(ctypes.get_errno())}")
    return result
