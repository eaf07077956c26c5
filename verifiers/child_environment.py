"""What a process that one of ours starts can import, and which variables it has."""

import os
from collections.abc import Iterable

PACKAGE_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
"""Where Reckon's packages lie."""


def child_environment(paths: Iterable[str] | None = None, *, inherit: bool = True, **settings: str) -> dict[str, str]:
    """This process's environment, if it is to be inherited, with `settings`; our packages and what lies in `paths` can be imported.

    `paths` is by default what PYTHONPATH has.
    """
    found = os.environ.get("PYTHONPATH", "").split(os.pathsep) if paths is None else paths
    path = os.pathsep.join([PACKAGE_ROOT, *filter(None, found)])
    return {**(os.environ if inherit else {}), **settings, "PYTHONPATH": path}
