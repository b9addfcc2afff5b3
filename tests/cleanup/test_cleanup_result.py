from __future__ import annotations

import json
from datetime import datetime, timedelta

import pytest

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.cleanup.result import BatchResult, OrderResult, Outcome

ALREADY_CANCELLED, NOT_CANCELLABLE = "ORDER_ALREADY_CANCELLED", "ORDER_NOT_CANCELLABLE"
TOLERATED = (ALREADY_CANCELLED, NOT_CANCELLABLE)
LOOKS_CANCELLED = errors.UnexpectedResponseError("m", status=200, code=ALREADY_CANCELLED)


def order_result(outcome: Outcome, code: str | None = None, order_id: str = "o-1") -> OrderResult:
    return OrderResult(order_id, outcome, code=code)


@pytest.mark.parametrize(
    ("error", "outcome", "code"),
    [
        (errors.OrderAlreadyCancelledError("m"), Outcome.ALREADY_CANCELLED, ALREADY_CANCELLED),
        (errors.OrderNotCancellableError("m"), Outcome.NOT_CANCELLABLE, NOT_CANCELLABLE),
        (errors.OrderNotFoundError("m", status=404), Outcome.NOT_FOUND, "ORDER_NOT_FOUND"),
        (errors.AccessDeniedError("m", status=403), Outcome.ACCESS_DENIED, "ACCESS_DENIED"),
        (errors.UnauthorizedError("m", status=401), Outcome.FAILED, "UNAUTHORIZED"),
        (errors.BadRequestError("m", status=400), Outcome.FAILED, None),
        (errors.ApiError("m", status=409, code="LOCKED"), Outcome.FAILED, "LOCKED"),
        (errors.RateLimitedError("m", status=429), Outcome.FAILED, None),
        (errors.ServerError("m", status=500), Outcome.FAILED, None),
        (LOOKS_CANCELLED, Outcome.FAILED, None),
        (errors.TimedOutError("m"), Outcome.FAILED, None),
    ],
)
def test_an_error_has_one_outcome(error, outcome, code):
    error.response_lost = True
    of_cancel = OrderResult.from_error("o-1", error, attempts=3)
    of_read = OrderResult.from_error("o-1", error, attempts=0)
    assert (of_cancel.outcome, of_cancel.code) == (outcome, code)
    assert of_cancel.http_status == error.status
    assert (of_cancel.attempts, of_cancel.response_lost) == (3, True)
    assert (of_read.attempts, of_read.response_lost) == (0, False)
    assert "no cancel request was sent" in of_read.message


def test_a_stop_before_the_request_is_not_tried():
    of_stop = OrderResult.from_error("o-1", errors.StoppedError("m"), attempts=0)
    assert (of_stop.outcome, of_stop.attempts) == (Outcome.NOT_TRIED, 0)


def test_a_result_is_a_line_of_json():
    fields = json.loads(json.dumps(order_result(Outcome.CANCELLED).to_json()))

    assert datetime.fromisoformat(fields.pop("time")).utcoffset() == timedelta(0)
    assert fields == {
        "id": "o-1",
        "outcome": "cancelled",
        "http_status": None,
        "code": None,
        "attempts": 0,
        "response_lost": False,
        "message": "",
    }


@pytest.mark.parametrize(
    ("outcome", "code", "is_failure"),
    [
        (Outcome.CANCELLED, None, False),
        (Outcome.STATUS_CHANGED, None, False),
        (Outcome.EXCLUDED, None, False),
        (Outcome.INVALID, None, True),
        (Outcome.ALREADY_CANCELLED, "ORDER_ALREADY_CANCELLED", False),
        (Outcome.NOT_CANCELLABLE, "ORDER_NOT_CANCELLABLE", False),
        (Outcome.NOT_FOUND, "ORDER_NOT_FOUND", True),
        (Outcome.ACCESS_DENIED, "ACCESS_DENIED", True),
        (Outcome.FAILED, None, True),
        (Outcome.FAILED, "UNAUTHORIZED", True),
        (Outcome.NOT_TRIED, None, True),
    ],
)
def test_a_batch_fails_by_what_is_not_tolerated(outcome, code, is_failure):
    result = BatchResult(1, tolerated_codes=TOLERATED)
    result.add(order_result(outcome, code))
    assert result.failures == is_failure
    assert result.counts == {outcome: 1}


@pytest.mark.parametrize("outcome", list(Outcome))
def test_a_preview_fails_only_by_what_it_could_not_find_out(outcome):
    result = BatchResult(1, preview=True)
    result.add(order_result(outcome))
    assert result.failures == (outcome in (Outcome.FAILED, Outcome.NOT_TRIED))


def test_a_report_counts_all_and_keeps_a_thousand_of_each_kind():
    result = BatchResult(2210)
    for number in range(1005):
        result.add(order_result(Outcome.CANCELLED, order_id=f"c-{number}"))
        result.add(order_result(Outcome.NOT_FOUND, "ORDER_NOT_FOUND", f"n-{number}"))

    assert (result.done, result.total, result.failures) == (2010, 2210, 1005)
    assert result.to_json() == {"total": 2210, "cancelled": 1005, "not_found": 1005}
    assert result.cancelled == [f"c-{number}" for number in range(1000)]
    assert [kept.id for kept in result.not_cancelled] == [f"n-{number}" for number in range(1000)]
    assert str(result) == "1005 cancelled, 1005 not_found (of 2210)"


@pytest.mark.parametrize(
    ("outcome", "may_help"),
    [
        (Outcome.FAILED, True),
        (Outcome.NOT_TRIED, True),
        (Outcome.INVALID, True),
        (Outcome.NOT_FOUND, False),
        (Outcome.ACCESS_DENIED, False),
        (Outcome.CANCELLED, False),
    ],
)
def test_a_retry_may_help_where_trouble_may_pass(outcome, may_help):
    result = BatchResult(1)
    result.add(order_result(outcome))
    assert result.retry_may_help is may_help
    result.is_final = True
    assert not result.retry_may_help


def test_a_failure_after_a_thousand_other_results_is_still_known():
    result = BatchResult(1201, tolerated_codes=("ORDER_ALREADY_CANCELLED",))
    for number in range(1200):
        result.add(
            OrderResult(f"o-{number}", Outcome.ALREADY_CANCELLED, code="ORDER_ALREADY_CANCELLED")
        )
    result.add(OrderResult("bad", Outcome.ACCESS_DENIED, code="ACCESS_DENIED"))

    assert result.failures == 1
    assert result.first_failure is not None
    assert result.first_failure.id == "bad"
