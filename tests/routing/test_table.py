"""The table of docs/routing.md is what the Django that runs does."""

import subprocess
import sys
from pathlib import Path

import django

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- python -m tests.routing.table -->\n", "<!-- end of the table -->"
LATER = "### Fetch modes (Django 6.1)"
LIMIT = 120.0  # seconds, for a loaded machine


def test_the_table_is_what_the_routers_are_asked() -> None:
    page = (ROOT / "docs" / "routing.md").read_text()
    shown = page.split(BEGIN)[1].split(END)[0]
    if django.VERSION < (6, 1):
        shown = shown.split(LATER)[0]

    made = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.routing.table"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )

    assert made.returncode == 0, made.stderr
    assert made.stdout.split() == shown.split()
