"""Where Reckon's packages lie: what a process that one of them starts must be able to import from."""

from pathlib import Path

PACKAGE_ROOT = str(Path(__file__).resolve().parents[1])
