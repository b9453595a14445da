"""Makes the virtual environments below .venvs/, one for each Python, Django and purpose."""

import fcntl
import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.servers import ROOT

FOLDER = ROOT / ".venvs"


@dataclass(frozen=True, slots=True)
class Profile:
    """What an environment is for: refcache's extras, and a dependency group of pyproject.toml."""

    extras: tuple[str, ...]
    group: str


PROFILES = {
    "demo": Profile(extras=("drf", "hiredis", "progress"), group="demo"),
    "dev": Profile(
        extras=("drf", "filter", "hiredis", "progress", "spectacular", "strawberry"), group="dev"
    ),
    "docs": Profile(extras=("drf",), group="docs"),
}


def environment(profile: str, django: str) -> Path:
    """Return the folder of an environment that holds what pyproject.toml says now.

    Args:
        profile: One of `PROFILES`.
        django: A series, such as "5.2"; empty: the newest that this Python can have.
    """
    version = "{}.{}".format(*sys.version_info)
    name = "-".join(part for part in (version, django and f"django{django}", profile) if part)
    folder = FOLDER / name
    wanted = _fingerprint(django)
    with _locked(folder):
        if _stamp(folder) != wanted:
            print(f"Making the environment {folder.relative_to(ROOT)} (once).", file=sys.stderr)
            _make(folder, PROFILES[profile], django)
            (folder / "stamp").write_text(wanted)
    return folder


def _make(folder: Path, profile: Profile, django: str) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    pip = [str(folder / "bin/python"), "-m", "pip", "-qq", "--disable-pip-version-check"]
    # Those that come with Python 3.11 and 3.12 know no dependency groups.
    subprocess.run([*pip, "install", "pip>=25.1"], check=True)
    wanted = ["--editable", f".[{','.join(profile.extras)}]", "--group", profile.group]
    series = [f"Django=={django}.*"] if django else []
    subprocess.run([*pip, "install", *wanted, *series], check=True, cwd=ROOT)


def _fingerprint(django: str) -> str:
    parts = [sys.version, str(ROOT), django, (ROOT / "pyproject.toml").read_text()]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _stamp(folder: Path) -> str:
    stamp = folder / "stamp"
    return stamp.read_text() if stamp.exists() else ""


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # Two runs of make at once shall not both fill the same folder.
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(folder.suffix + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
