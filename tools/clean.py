"""Removes all that `make` has made: environments, servers, caches and built documentation."""

import shutil

from tools.environments import FOLDER
from tools.servers import ROOT, downloads

MADE = (
    "example/var",
    ".hypothesis",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    "dist",
    "docs/_build",
)


def main() -> None:
    """Remove them; what does not exist is no error."""
    for folder in (FOLDER, downloads(), *(ROOT / name for name in MADE)):
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
