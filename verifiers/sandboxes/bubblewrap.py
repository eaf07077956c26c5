"""The command line of `bwrap` (bubblewrap 0.8 or later) that shows a program what `namespaces.py` would show it.

Chosen for machines where a user may make no namespaces and the administrator installed `bwrap` setuid, and by those who would
rather trust a widely read program than ours. It leaves what it does not do to others: limits and the deadline are the
fork-server's, as at every level, and so is the system call filter, handed over as a file.
"""

import os
import shutil
from collections.abc import Sequence

from verifiers.sandboxes.namespaces import readable_trees

TOOL = "bwrap"


def find() -> str:
    """The path of `bwrap`. Raises OSError, with the remedy, where it is not installed."""
    path = shutil.which(TOOL, path=os.pathsep.join([os.environ.get("PATH", ""), os.defpath]))
    if path is None:
        raise OSError("bwrap is not installed (Debian: apt install bubblewrap)")
    return path


def arguments(
    tool: str,
    paths: Sequence[str],
    argv: Sequence[str],
    *,
    modules: tuple[str, str] | None,
    program: tuple[int, str],
    tmp_size: int,
    filter_file: int,
    status: int,
) -> list[str]:
    """What to execute. `modules` is a folder and where it shall be seen; `program` is a descriptor and the file in /tmp that it becomes.

    On the descriptor `status` bwrap writes JSON, the program's exit code among it if, and only if, it was started.
    """
    command = [tool, "--unshare-all", "--die-with-parent", "--new-session", "--json-status-fd", str(status)]
    for tree in readable_trees(paths):
        command += ["--symlink", os.readlink(tree), tree] if os.path.islink(tree) else ["--ro-bind", tree, tree]
    command += ["--ro-bind", *modules] if modules else []
    command += ["--dev", "/dev", "--remount-ro", "/dev", "--size", str(tmp_size), "--perms", "0700", "--tmpfs", "/tmp"]
    command += ["--perms", "0700", "--file", str(program[0]), f"/tmp/{program[1]}", "--chdir", "/tmp", "--remount-ro", "/"]
    return [*command, "--hostname", "sandbox", "--seccomp", str(filter_file), "--", *argv]
