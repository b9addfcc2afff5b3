"""The verdict must be able to fall."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_ollang.cleanup.result import Outcome
from tests.chaos.verdict import Verdict, judge

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def line(
    outcome: str, order_id: str = "o", response_lost: bool = False, time: datetime = NOON
) -> dict[str, Any]:
    fields = {"id": order_id, "outcome": outcome, "response_lost": response_lost}
    return {**fields, "time": time.isoformat(timespec="milliseconds")}


def verdict(status: str, *lines: dict[str, Any], stale: bool = True) -> Verdict:
    cancelled_at = {"o": NOON.timestamp()} if status == "cancelled" else {}
    return judge(frozenset({"o"} if stale else ()), {"o": status}, cancelled_at, lines)


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize(
    ("status", "true"),
    [
        ("cancelled", {"cancelled", "already_cancelled"}),
        ("pending", {"failed", "not_tried"}),
        ("ongoing", {"failed", "not_tried", "status_changed", "not_cancellable"}),
    ],
)
def test_a_line_is_true_if_the_order_is_as_it_says(status, true, outcome):
    found = verdict(status, line(outcome))
    assert found.is_good == (outcome in true)
    assert found.contradicted == (frozenset() if outcome in true else {"o"})


def test_a_cancel_may_be_admitted_as_a_lost_response():
    assert verdict("cancelled", line("failed", response_lost=True)).is_good
    assert not verdict("cancelled", line("failed")).is_good


def test_each_line_counts():
    assert verdict("cancelled", line("not_tried"), line("cancelled")).is_good
    assert not verdict("cancelled", line("status_changed"), line("cancelled")).is_good
    assert not verdict("pending", line("cancelled"), line("not_tried")).is_good


@pytest.mark.parametrize("outcome", ["cancelled", "already_cancelled"])
def test_an_order_is_not_cancelled_before_it_is(outcome):
    too_early = line(outcome, time=NOON - timedelta(seconds=1))
    assert verdict("cancelled", too_early, line("already_cancelled")).contradicted == {"o"}
    assert verdict("cancelled", line(outcome, time=NOON + timedelta(seconds=1))).is_good


def test_an_order_without_a_line_is_unaccounted():
    assert verdict("pending").unaccounted == {"o"}
    assert verdict("cancelled").contradicted == {"o"}
    assert verdict("pending", stale=False).is_good


def test_a_cancelled_order_that_was_not_stale_is_wrong():
    found = verdict("cancelled", line("cancelled"), stale=False)
    assert found.wrongly_cancelled == {"o"}
    assert not found.is_good


def test_what_was_left_is_counted_by_its_last_line():
    found = judge(
        frozenset({"a", "b", "c"}),
        {"a": "cancelled", "b": "pending", "c": "pending"},
        {"a": NOON.timestamp()},
        [line("cancelled", "a"), line("failed", "b"), line("not_tried", "b"), line("failed", "c")],
    )
    assert (found.cancelled, found.left) == (1, {"not_tried": 1, "failed": 1})
