"""Runs a command in an environment that is made, or brought up to date, first.

python -m tools.run dev --servers -- pytest tests
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tools.downloads import get_servers
from tools.environments import PROFILES, environment
from tools.servers import ROOT


def main() -> None:
    """Parse, prepare, and become the command."""
    options = _parser().parse_args()
    try:
        folder = environment(options.profile, options.django)
    except subprocess.CalledProcessError as error:
        # pip, or venv, has said what is wrong.
        sys.exit(error.returncode)
    if options.servers:
        get_servers(folder / "bin/python")
    _become(options.command, folder)


def _become(command: list[str], folder: Path) -> None:
    programs = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", os.defpath)])
    environ = {**os.environ, "VIRTUAL_ENV": str(folder), "PATH": programs}
    os.chdir(ROOT)
    # Looked up on the new PATH; Ctrl-C and the exit code are the command's own.
    os.execvpe(command[0], command, environ)  # noqa: S606 - no shell is wanted


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("profile", choices=PROFILES, help="what the environment is for")
    parser.add_argument("--django", default="", help="a series, such as 5.2; else the newest")
    parser.add_argument("--servers", action="store_true", help="get the tests' servers too")
    parser.add_argument("command", nargs="+", help="the command, after --")
    return parser


if __name__ == "__main__":
    main()
