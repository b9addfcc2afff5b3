"""The page on safety names tests: they exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "safety.md").read_text()


def test_every_test_that_the_page_names_exists() -> None:
    written = " ".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    existing = set(re.findall(r"def (test_\w+)", written))
    named = set(re.findall(r"`(test_\w+)`", PAGE))
    assert len(named) > 30
    assert named - existing == set()


def test_every_danger_names_a_test() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "---" not in line]
    dangers = [row for row in rows if not row.startswith("| how |")]
    assert [row for row in dangers if "`test_" not in row.split("|")[3]] == []
