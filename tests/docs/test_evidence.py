"""Each danger that docs/background/safety.md names is held by a test that exists."""

from __future__ import annotations

import re

from .pages import PAGES, ROOT, code, text


def dangers(page: str) -> list[str]:
    tables = [table for table in PAGES[page].tables if table.head[0] == "danger"]
    return [text(row[0]) for table in tables for row in table.rows]


def test_each_danger_has_its_evidence_and_the_other_way_round():
    listed = dangers("docs/background/safety.md")
    assert len(listed) > 50
    assert dangers("tests/EVIDENCE.md") == listed


def test_the_tests_that_are_named_exist():
    written = " ".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    existing = set(re.findall(r"def (test_\w+)", written))
    for table in PAGES["tests/EVIDENCE.md"].tables:
        for danger, tests in table.rows:
            assert code(tests), text(danger)
            assert set(code(tests)) <= existing, text(danger)
