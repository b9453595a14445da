"""The pages as their readers follow them: every Python example is run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from refcache import ReferenceCache, checks, conf, reference_checks, server_checks
from refcache.core import events, exceptions
from refcache.reading.columns import UnsupportedField
from refcache.routing import checks as routing_checks
from tests.integration.test_example import COUNTS
from tests.servers.redis_server import RedisServer

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [*sorted((ROOT / "docs").glob("*.md")), README]
RUN = [page for page in PAGES if "\n```python\n" in page.read_text()]
# For a loaded machine; no page takes more than a few seconds on an idle one.
LIMIT = 120.0

SETUP = (
    "import django; django.setup(); "
    "from django.core.management import call_command; call_command('check')"
)
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+/\S+\.py)\n")


class Block(NamedTuple):
    """A fenced block; `line` is that of its first line of code, from 0 on."""

    language: str
    code: str
    line: int

    @property
    def file(self) -> str | None:
        """The file that it is, where its first line says so."""
        found = FILE.match(self.code)
        return found[1] if found and self.language == "python" else None


class Project:
    """A Django project in a folder: the quickstart's, before a page is followed."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self.folder = folder
        self._environ = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "mysite.settings",
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": redis_url,
        }

    def write(self, blocks: list[Block]) -> None:
        """Put the blocks that are files in their place; settings are added to."""
        for block in blocks:
            if block.file is not None:
                path = self.folder / block.file
                before = path.read_text() if path.name == "settings.py" else ""
                path.write_text(before if block.code in before else before + block.code)

    def follow(self, page: Path) -> None:
        """Run the blocks that are no files, one after the other, in one session."""
        blocks = blocks_of(page)
        self.write(blocks)
        (self.folder / page.name).write_text(session(page, blocks))
        self.run(page.name)

    def run(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            cwd=self.folder,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def quickstart(redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What the quickstart has its reader make, with empty tables."""
    project = Project(tmp_path_factory.mktemp("quickstart"), redis_server.url)
    project.run("-m", "django", "startproject", "mysite", ".")
    for app in ("shop", "events"):
        project.run("manage.py", "startapp", app)
    project.write(blocks_of(ROOT / "docs" / "quickstart.md"))
    project.run("manage.py", "makemigrations", "shop", "events")
    project.run("manage.py", "migrate")
    project.run("manage.py", "migrate", "--database", "events")
    return project


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_every_example_runs(
    page: Path, quickstart: Project, redis_server: RedisServer, tmp_path: Path
) -> None:
    folder = shutil.copytree(quickstart.folder, tmp_path / "project")
    with (folder / "mysite" / "settings.py").open("a") as settings:
        # Each page has tables of its own, so it needs entries of its own.
        settings.write(f'CACHES["default"]["KEY_PREFIX"] = "docs-{page.stem}"\n')

    Project(folder, redis_server.url).follow(page)


def test_the_readme_shows_what_the_demo_counts() -> None:
    rows = re.findall(
        r"^\| ([^|`]+) \| (\d+) \| (\d+) \| (\d+) \|$", README.read_text(), re.MULTILINE
    )
    shown = {title: (int(a), int(b), int(redis)) for title, a, b, redis in rows}

    assert shown.items() >= COUNTS.items()


def test_settings_are_documented_with_their_defaults() -> None:
    documented = first_cells(section("settings.md", "`REFCACHE`"), 2)

    assert documented == [(name.upper(), literal(each)) for name, each in conf.DEFAULTS.items()]


def test_arguments_of_register_are_documented() -> None:
    names = [name for name, *_ in first_cells(section("settings.md", "`register`"), 1)]
    code = ReferenceCache.register.__code__

    assert names == list(code.co_varnames[1 : code.co_argcount + code.co_kwonlyargcount])


def test_every_check_has_a_heading() -> None:
    headings = re.findall(r"^## (refcache\.\w+)$", page_text("checks.md"), re.MULTILINE)

    modules = (checks, server_checks, reference_checks, routing_checks)
    sources = "".join(map(source_of, modules))
    assert headings == sorted(set(re.findall(r"refcache\.[EW]\d+", sources)))


def test_every_error_is_documented() -> None:
    documented = {name for name, *_ in first_cells(section("errors.md", "What is raised"), 1)}

    assert documented == {*names_of(exceptions, Exception), UnsupportedField.__name__}


def test_every_event_is_documented() -> None:
    documented = {name for name, *_ in first_cells(section("errors.md", "Events"), 1)}

    assert documented == names_of(events, events.Event) - {"Event"}


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text()
    return [
        Block(found[1], found[2], text.count("\n", 0, found.start(2)))
        for found in BLOCK.finditer(text)
    ]


def session(page: Path, blocks: list[Block]) -> str:
    """The examples, each in its line of the page for the tracebacks; then the commands."""
    lines = [""] * len(page.read_text().splitlines())
    lines[0] = SETUP
    for block in blocks:
        if block.language == "python" and block.file is None:
            code = block.code.splitlines()
            lines[block.line : block.line + len(code)] = code
    lines += [f"call_command(*{command.split()!r})" for command in commands(blocks)]
    return "\n".join(lines)


def commands(blocks: list[Block]) -> list[str]:
    """The management commands of refcache's own that the page shows, with their arguments."""
    console = "".join(block.code for block in blocks if block.language == "console")
    return re.findall(r"^python manage\.py (refcache_.+)$", console, re.MULTILINE)


def page_text(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def section(name: str, heading: str) -> str:
    """What a page says under a heading of the second level."""
    return page_text(name).split(f"\n## {heading}\n")[1].split("\n## ")[0]


def first_cells(text: str, count: int) -> list[tuple[str, ...]]:
    """The code in the first cells of each row of the tables in *text*."""
    pattern = r"^\| " + r" \| ".join(["`([^`]+)`"] * count) + r" \|"
    return [found.groups() for found in re.finditer(pattern, text, re.MULTILINE)]


def literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def names_of(module: object, base: type) -> set[str]:
    """The classes below *base* that *module* defines."""
    classes = [each for each in vars(module).values() if isinstance(each, type)]
    return {
        each.__name__
        for each in classes
        if issubclass(each, base) and each.__module__ == vars(module)["__name__"]
    }


def source_of(module: object) -> str:
    return Path(vars(module)["__file__"]).read_text()
