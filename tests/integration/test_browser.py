"""The example, served by a process of its own and opened in a real browser."""

import os
import re
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from tests.conftest import PostgresServers
from tests.integration.test_example import EXAMPLE, clean_environment
from tests.servers.addresses import free_port
from tests.servers.process import wait_until
from tests.servers.redis_server import RedisServer
from tools.servers import Program, find_chromium

LIMIT = 120.0  # seconds, for a loaded machine

PNG = b"\x89PNG\r\n\x1a\n"
COST = r"x-cost: +queries to A: (\d+), queries to B: (\d+), Redis round trips: (\d+)"


class Browser:
    """A Chromium without a screen, started anew for each page."""

    def __init__(self, program: Program, folder: Path) -> None:
        self._program = program
        self._folder = folder

    def text(self, url: str) -> str:
        """Give what stands on the page, once its scripts have run."""
        return unescape(re.sub(r"<[^>]+>", "", self._run(url, "--dump-dom")))

    def screenshot(self, url: str) -> bytes:
        file = self._folder / "page.png"
        self._run(url, f"--screenshot={file}", "--window-size=1200,1600")
        return file.read_bytes()

    def _run(self, url: str, *options: str) -> str:
        profile = f"--user-data-dir={self._folder / 'profile'}"
        # As root, and in most containers, it cannot have its own sandbox; the pages are ours.
        general = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        return subprocess.run(
            [self._program.path, *general, profile, *options, url],
            env=self._program.environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            timeout=LIMIT,
            check=True,
        ).stdout


class Site:
    """The example shop under an address of its own."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._folder = folder
        self._environment = clean_environment() | environment
        self._port = free_port()

    def url(self, page: str = "") -> str:
        return f"http://127.0.0.1:{self._port}/{page}"

    def run(self, *command: str) -> None:
        """Run a script of the example, in a process of its own, to its end."""
        subprocess.run(
            [sys.executable, *command],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            timeout=LIMIT,
            check=True,
        )

    def serve(self) -> "subprocess.Popen[bytes]":
        """Start the server; it answers when this returns."""
        address = f"127.0.0.1:{self._port}"
        process = subprocess.Popen(
            [sys.executable, "manage.py", "runserver", "--noreload", address],
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: self._answers() or process.poll() is not None, LIMIT)
        assert process.poll() is None, f"The example's server ended with {process.returncode}."
        return process

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


@pytest.fixture
def browser(tmp_path: Path) -> Browser:
    program = find_chromium()
    if program is None:
        message = "Chromium 112 or later was not found; `make test` gets it from Debian's archive."
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return Browser(program, tmp_path)


@pytest.fixture(scope="module")
def site(
    tmp_path_factory: pytest.TempPathFactory,
    postgres_servers: PostgresServers,
    redis_server: RedisServer,
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site") / "example"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("var", "__pycache__"))
    environment = {
        "DATABASE_URL": postgres_servers.application.url,
        "EVENTS_DATABASE_URL": postgres_servers.events.url,
        "REDIS_URL": redis_server.url,
    }
    site = Site(folder, environment)
    site.run("demo.py", "--data-only", "--customers=300", "--events=150")
    process = site.serve()
    try:
        yield site
    finally:
        process.terminate()
        process.wait(LIMIT)


def test_a_page_shows_what_its_references_hold(browser: Browser, site: Site) -> None:
    page = browser.text(site.url("refcache/"))

    assert "HTTP 200 OK" in page
    assert len(re.findall(r'"customer_name": "[^"]+"', page)) == 100
    assert len(re.findall(r'"serial": "[^"]+"', page)) >= 90


@pytest.mark.parametrize(("page", "expected"), [("refcache/", (1, 0, 1)), ("nested/", (2, 0, 2))])
def test_a_page_that_is_shown_again_asks_database_b_nothing(
    browser: Browser, site: Site, page: str, expected: tuple[int, int, int]
) -> None:
    browser.text(site.url(page))

    costs = re.search(COST, browser.text(site.url(page)), re.IGNORECASE)

    assert costs is not None
    assert tuple(map(int, costs.groups())) == expected


def test_a_name_written_by_another_process_is_on_the_next_page(
    browser: Browser, site: Site
) -> None:
    first = re.search(r'"customer_id": (\d+)', browser.text(site.url("refcache/")))
    assert first is not None
    code = (
        "from customers.models import Customer; "
        f"customer = Customer.objects.get(pk={first[1]}); "
        "customer.name, customer.is_active = 'Renamed from afar', True; customer.save()"
    )

    site.run("manage.py", "shell", "--command", code)

    assert '"customer_name": "Renamed from afar"' in browser.text(site.url("refcache/"))


def test_a_page_can_be_looked_at(browser: Browser, site: Site) -> None:
    picture = browser.screenshot(site.url("refcache/"))

    assert picture.startswith(PNG)
    # A blank page is a hundredth of it.
    assert len(picture) > 50_000


def test_the_page_has_its_style(site: Site) -> None:
    with urllib.request.urlopen(  # noqa: S310 - our own address
        site.url("static/rest_framework/css/bootstrap.min.css"), timeout=LIMIT
    ) as style:
        assert style.status == 200
