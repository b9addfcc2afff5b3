"""The pages that promise something name the tests that hold it: they exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from airflow_provider_ollang.api.client import MAX_BODY_BYTES
from airflow_provider_ollang.api.listing import MAX_PAGES
from airflow_provider_ollang.api.retry import RetryPolicy
from airflow_provider_ollang.cleanup.batch import STOP_GRACE_SECONDS

ROOT = Path(__file__).parents[2]
PAGES = {name: (ROOT / "docs" / f"{name}.md").read_text() for name in ("safety", "reliability")}
#: Tables whose rows promise something have a column for the test.
HEAD = re.compile(r"\| (how|promise) \| .* \| test \|")


def promises(page: str) -> list[str]:
    """Return the rows of all tables that have a column for the test."""
    rows: list[str] = []
    for table in re.findall(r"(?:^\|.*\n)+", page, flags=re.MULTILINE):
        head, _, *body = table.splitlines()
        rows += body if HEAD.fullmatch(head) else []
    return rows


@pytest.mark.parametrize("name", PAGES)
def test_every_test_that_a_page_names_exists(name: str) -> None:
    written = " ".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    existing = set(re.findall(r"def (test_\w+)", written))
    named = set(re.findall(r"`(test_\w+)`", PAGES[name]))
    assert len(named) > 30
    assert named - existing == set()


@pytest.mark.parametrize("name", PAGES)
def test_every_promise_names_a_test(name: str) -> None:
    rows = promises(PAGES[name])
    assert len(rows) > 20
    assert [row for row in rows if "`test_" not in row.split("|")[3]] == []


def test_the_limits_that_the_page_names_are_those_of_the_code() -> None:
    policy = RetryPolicy()
    for sentence, limits in {
        "2 MiB are read at most": MAX_BODY_BYTES == 2 * 2**20,
        "20,000 pages are the limit": MAX_PAGES == 20_000,
        "four attempts, none later than 180 seconds": (policy.max_attempts, policy.max_seconds)
        == (4, 180),
        "a `Retry-After` beyond 60 seconds ends the batch": policy.longest_retry_after == 60,
        "it waits three seconds": STOP_GRACE_SECONDS == 3,
    }.items():
        assert sentence in PAGES["reliability"]
        assert limits, sentence
