"""The table of docs/writes.md is the one that the tests of all writes run."""

import re
from pathlib import Path

from tests.integration.every_write.table import KINDS

PAGE = Path(__file__).parents[1] / "docs" / "writes.md"


def test_the_page_shows_each_write_as_the_tests_find_it() -> None:
    table = PAGE.read_text().split("\n## The table\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+) \| (\S+) \| (\S+) \| (\S+) \|$", table, re.MULTILINE)

    assert [(title, tuple(on)) for title, *on in rows[2:]] == [
        (kind.title, kind.on) for kind in KINDS
    ]
