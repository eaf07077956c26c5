"""Linux namespaces by `ctypes`: a root of its own for the sandbox, and one set of namespaces for each program in it.

The fork-server takes these steps once: `enter_new_root` leaves a file system that holds the interpreter, the system's libraries
and a few devices, all read-only, and neither /proc nor /home nor /etc; `isolate` brings new user, pid, network, IPC and host name
namespaces. Each program then gets a pid namespace of its own inside (`PidNamespaces`) and a mount namespace with an empty /tmp of
limited size (`private_tmp`).

Root gives itself up after the first step (`become_nobody`): the root file system is built with its rights, so that an
interpreter in a folder that only root may enter still works, and everything after that runs as the user nobody.
"""

import ctypes
import os
import struct
import sys
import sysconfig
from collections.abc import Iterable

NOBODY = 65534
_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
_NOSUID, _NODEV, _BIND, _REC, _PRIVATE = 2, 4, 4096, 16384, 1 << 18
_DETACH = 2
_MOUNT_SETATTR, _AT_RECURSIVE, _ATTR_RDONLY_NOSUID = 442, 0x8000, 3
_DEATH_SIGNAL, _SET_DUMPABLE, _SET_NO_NEW_PRIVS, _SUBREAPER = 1, 4, 38, 36
_DEVICES = ("null", "zero", "full", "random", "urandom")
_STDIN = "/dev/stdin"  # elsewhere a link into /proc, which is not there
_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/lib32", "/etc/ld.so.cache", "/etc/alternatives")

_LIBC = ctypes.CDLL(None, use_errno=True)


def readable_trees(paths: Iterable[str]) -> list[str]:
    """What a program may read: the system's libraries, the interpreter, and `paths`."""
    own = [os.path.realpath(path) for path in (sys.base_prefix, sys.base_exec_prefix, sysconfig.get_path("stdlib"))]
    trees = [*_SYSTEM, *own, *map(os.path.realpath, paths)]
    return sorted({tree for tree in trees if os.path.lexists(tree) and not _is_inside(tree, trees)})


def _is_inside(path: str, trees: Iterable[str]) -> bool:
    return any(path != tree and path.startswith(tree.rstrip("/") + "/") for tree in trees)


def enter_new_root(paths: Iterable[str]) -> None:
    """Move this process into a mount namespace with a new root. Not root: into a user namespace first. Raises OSError."""
    trees = readable_trees(paths)
    proc = open_proc()
    uid, gid = os.getuid(), os.getgid()
    if uid:
        _call("unshare", _NEWUSER | _NEWNS)
        _map_ids(proc, uid, gid)
    else:
        _call("unshare", _NEWNS)
    os.close(proc)
    _mount(None, "/", None, _REC | _PRIVATE)
    _mount("tmpfs", "/tmp", "tmpfs", _NOSUID | _NODEV, b"size=1m,mode=755")
    os.chdir("/tmp")
    os.mkdir("old")
    _system_call("pivot_root", {"x86_64": 155, "aarch64": 41}[os.uname().machine], b".", b"old")
    os.chdir("/")
    for tree in trees:
        if os.path.islink("/old" + tree):
            os.makedirs(os.path.dirname(tree), exist_ok=True)
            os.symlink(os.readlink("/old" + tree), tree)
        else:
            _bind(tree)
    for device in _DEVICES:
        _bind(f"/dev/{device}")
    os.close(os.open(_STDIN, os.O_CREAT | os.O_WRONLY, 0o644))  # empty, and where `present_stdin` mounts a program's
    os.mkdir("/tmp")
    _call("umount2", b"/old", _DETACH)
    os.rmdir("/old")
    attributes = struct.pack("=QQQQ", _ATTR_RDONLY_NOSUID, 0, 0, 0)
    _system_call("mount_setattr", _MOUNT_SETATTR, -1, b"/", _AT_RECURSIVE, attributes, ctypes.c_size_t(32))


def _bind(path: str) -> None:
    if os.path.isdir("/old" + path):
        os.makedirs(path, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY))
    _mount("/old" + path, path, None, _BIND | _REC)


def open_proc() -> int:
    """A descriptor of /proc, which serves to write id maps when the path is no longer there."""
    return os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def become_nobody() -> None:
    """Give up root for good, together with its groups. Not root: nothing to do."""
    if os.getuid() == 0 or os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        _prctl(_SET_DUMPABLE, 1)  # else /proc/self belongs to root, and no id map can be written


def isolate(proc: int) -> None:
    """New namespaces for this process's children; the next one is process 1. Raises OSError."""
    uid, gid = os.getuid(), os.getgid()
    _call("unshare", _NEWUSER | _NEWPID | _NEWNET | _NEWIPC | _NEWUTS)
    _map_ids(proc, uid, gid)


class PidNamespaces:
    """One new pid namespace after the other, without a process in between: for a process that `isolate` has put into one."""

    def __init__(self, proc: int) -> None:
        self._own = os.open("self/ns/pid", os.O_RDONLY | os.O_CLOEXEC, dir_fd=proc)

    def fork(self) -> int:
        """As os.fork; the child is process 1 of a new pid namespace. Raises OSError."""
        _call("unshare", _NEWPID)
        pid = os.fork()
        if pid:
            _call("setns", self._own, _NEWPID)
        return pid


def private_tmp(size: int) -> None:
    """A mount namespace with an empty /tmp of at most `size` bytes, which ends with this process. Raises OSError."""
    _call("unshare", _NEWNS)
    _mount("tmpfs", "/tmp", "tmpfs", _NOSUID | _NODEV, b"size=%d,nr_inodes=4096,mode=700,uid=%d" % (size, NOBODY))


def present_stdin(data: bytes) -> None:
    """Show standard input as the file /dev/stdin too, out of /tmp, and make it descriptor 0; ends with `private_tmp`. Raises OSError."""
    place = "/tmp/stdin"
    with open(place, "xb") as file:
        file.write(data)
    _mount(place, _STDIN, None, _BIND)
    os.unlink(place)
    file_descriptor = os.open(_STDIN, os.O_RDONLY)
    os.dup2(file_descriptor, 0)
    os.close(file_descriptor)


def _map_ids(proc: int, uid: int, gid: int) -> None:
    for name, text in (("setgroups", "deny"), ("uid_map", f"{NOBODY} {uid} 1"), ("gid_map", f"{NOBODY} {gid} 1")):
        file = os.open(f"self/{name}", os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc)
        try:
            os.write(file, text.encode())
        finally:
            os.close(file)


def drop_privileges() -> None:
    """No capabilities, and none to be had by starting a program. Raises OSError."""
    _prctl(_SET_NO_NEW_PRIVS, 1)
    _call("capset", struct.pack("=II", 0x20080522, 0), bytes(24))


def adopt_orphans() -> None:
    """Become the parent of what descendants leave behind, so that it can be found."""
    _prctl(_SUBREAPER, 1)


def die_with_parent() -> None:
    """Be killed when the process that forked this one ends (one with a single thread: the kernel looks at threads)."""
    _prctl(_DEATH_SIGNAL, 9)


def _prctl(option: int, value: int) -> None:
    _call("prctl", option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: bytes | None = None) -> None:
    names = [None if name is None else os.fsencode(name) for name in (source, target, kind)]
    _call("mount", *names, ctypes.c_ulong(flags), data, what=f"mount {target}")


def _call(name: str, *arguments: object, what: str = "") -> None:
    if getattr(_LIBC, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), f"{what or name}: {os.strerror(ctypes.get_errno())}")


def _system_call(name: str, number: int, *arguments: object) -> None:
    if _LIBC.syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), f"{name}: {os.strerror(ctypes.get_errno())}")
