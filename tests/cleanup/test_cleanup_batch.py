from __future__ import annotations

import json
import logging
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.rate_limiter import RateLimiter, no_waiting
from airflow_provider_ollang.api.retry import RetryPolicy
from airflow_provider_ollang.cleanup.batch import NO_CONDITIONS, Batch
from airflow_provider_ollang.cleanup.conditions import Conditions, NamePattern
from airflow_provider_ollang.cleanup.report import ReportError, ReportWriter
from airflow_provider_ollang.cleanup.result import BatchResult, OrderResult, Outcome
from airflow_provider_ollang.sandbox import Sandbox, Stub
from tests.api.conftest import CANCEL, client_of, wait_until

from .conftest import ListedRecord, MemoryPath

ANY_ORDER = "/integration/orders/*"
PENDING = Conditions(statuses=("pending",))
KEEP = NamePattern("(?i)keep")


def run(client: OllangClient, order_ids: list[str], **options: Any) -> BatchResult:
    return Batch(client, order_ids, **options).run()


def run_one(client: OllangClient, order_id: str, **options: Any) -> OrderResult:
    report = ListedRecord()
    run(client, [order_id], report=report, **options)
    (result,) = report.results
    return result


def add_orders(sandbox: Sandbox, count: int, **fields: Any) -> list[str]:
    return [sandbox.orders.add(**fields)["id"] for _ in range(count)]


def cancels(sandbox: Sandbox) -> list[str | None]:
    return [received.order_id for received in sandbox.requests if received.is_cancel]


def cancelled_ids(sandbox: Sandbox) -> set[str]:
    return {order["id"] for order in sandbox.orders.where(status="cancelled")}


# Every outcome.


@pytest.mark.parametrize(
    ("fields", "outcome", "status"),
    [
        ({}, Outcome.CANCELLED, 204),
        ({"status": "ongoing", "age": timedelta(hours=1)}, Outcome.CANCELLED, 204),
        ({"status": "completed"}, Outcome.NOT_CANCELLABLE, 400),
        ({"foreign": True}, Outcome.ACCESS_DENIED, 403),
        ({"id": "another"}, Outcome.NOT_FOUND, 404),
        ({"status": "cancelled"}, Outcome.ALREADY_CANCELLED, 409),
    ],
)
def test_an_outcome_is_what_the_api_responds(sandbox, client, fields, outcome, status):
    sandbox.orders.add(**{"id": "o-1", **fields})
    result = run_one(client, "o-1")
    assert (result.id, result.outcome, result.http_status) == ("o-1", outcome, status)
    assert (result.attempts, result.response_lost) == (1, False)
    assert "probably cancelled by this task" not in result.message
    assert cancels(sandbox) == ["o-1"]


def test_a_lost_response_is_told_in_the_report(sandbox, client):
    (order_id,) = add_orders(sandbox, 1)
    sandbox.respond_next(Stub(fault="reset-after"))
    result = run_one(client, order_id)
    assert (result.outcome, result.attempts) == (Outcome.ALREADY_CANCELLED, 2)
    assert result.response_lost
    assert "probably cancelled by this task" in result.message


def test_one_orders_trouble_does_not_stop_the_others(sandbox, client):
    pending = add_orders(sandbox, 20)
    done = add_orders(sandbox, 3, status="completed")
    foreign = add_orders(sandbox, 2, foreign=True)
    order_ids = [*done, *pending[:10], "missing", *foreign, *pending[10:]]
    sandbox.respond_always(Stub(500), path=f"{CANCEL[:-1]}{pending[4]}")

    result = run(client, order_ids, tolerated_codes=("ORDER_NOT_CANCELLABLE",))

    assert result.to_json() == {
        "total": 26,
        "cancelled": 19,
        "not_cancellable": 3,
        "not_found": 1,
        "access_denied": 2,
        "failed": 1,
    }
    assert (result.done, result.failures, result.stop_reason) == (26, 4, None)
    assert Counter(cancels(sandbox)) == {
        order_id: (client.retry_policy.max_attempts if order_id == pending[4] else 1)
        for order_id in order_ids
    }


def test_cancels_start_in_the_lists_order(sandbox, client):
    order_ids = add_orders(sandbox, 20)[::-1]
    result = run(client, order_ids, max_workers=1)
    assert cancels(sandbox) == order_ids
    assert result.counts == {Outcome.CANCELLED: 20}


def test_an_empty_list_is_an_empty_report(sandbox, client):
    report = ListedRecord()
    assert run(client, [], report=report).to_json() == {"total": 0}
    assert (sandbox.requests, report.closed) == ([], True)


def test_what_an_earlier_try_cancelled_counts_as_cancelled(sandbox, client):
    earlier, elsewhere = add_orders(sandbox, 2, status="cancelled")
    (left,) = add_orders(sandbox, 1)
    report = ListedRecord()

    result = run(
        client,
        [earlier, elsewhere, left],
        max_workers=1,
        report=report,
        cancelled_earlier=(earlier, left),  # what the API says of them decides
    )

    assert result.to_json() == {"total": 3, "cancelled": 2, "already_cancelled": 1}
    assert result.of_this_try == {Outcome.CANCELLED: 1, Outcome.ALREADY_CANCELLED: 1}
    assert result.cancelled == [earlier, left]
    assert report.results[0].message == "an earlier try of this task cancelled it"


# The log.


def test_each_order_has_a_line_at_the_level_of_its_outcome(sandbox, client, caplog):
    caplog.set_level(logging.INFO)
    done, gone, bad, lost, denied = [
        *add_orders(sandbox, 1),
        *add_orders(sandbox, 1, status="cancelled"),
        *add_orders(sandbox, 2),
        *add_orders(sandbox, 1, foreign=True),
    ]
    message = {"message": "no ::group::x"}  # Airflow's UI would fold the lines after it
    sandbox.respond_always(Stub.json(400, message), path=f"{CANCEL[:-1]}{bad}")
    sandbox.respond_always(Stub(fault="reset-before"), path=f"{CANCEL[:-1]}{lost}")

    run(client, [done, gone, bad, lost, denied], max_workers=1)

    lines = [(it.levelname, it.getMessage()) for it in caplog.records if it.name.endswith("batch")]
    expected = [
        ("INFO", f"Order {done} cancelled."),
        ("INFO", f"Order {gone} was already cancelled: HTTP 409"),
        ("ERROR", f"Order {bad} not cancelled (failed): HTTP 400: no : :group: :x."),
        ("ERROR", f"Order {lost} may or may not be cancelled (failed): no response"),
        ("WARNING", f"Order {denied} not cancelled (access_denied): HTTP 403"),
    ]
    for (level, text), (wanted_level, beginning) in zip(lines, expected, strict=True):
        assert (level, text[: len(beginning)]) == (wanted_level, beginning)


def test_a_thousand_cancelled_orders_have_a_line_each(sandbox, client, caplog):
    caplog.set_level(logging.INFO)
    run(client, add_orders(sandbox, 1003), report=ListedRecord())
    lines = [text for text in caplog.messages if text.endswith(" cancelled.")]
    assert len(lines) == 1000
    more = "Further cancelled orders are not logged one by one: the report has them."
    assert caplog.messages.count(more) == 1


# The report.


def test_the_report_agrees_with_the_account_order_by_order(sandbox, tmp_path):
    order_ids = add_orders(sandbox, 60) + add_orders(sandbox, 20, status="delivered")
    faults = ("reset-after", "500", "429", "reset-before", "502") * 2
    for fault in faults:
        sandbox.respond_next(Stub(), Stub(fault=fault))
    path = tmp_path / "report.jsonl"

    # Even an order that meets every fault gets a response at last.
    policy = RetryPolicy(max_attempts=len(faults) + 1)
    with no_waiting(), client_of(sandbox, retry_policy=policy) as client:
        result = run(client, order_ids, report=ReportWriter(path))

    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert sorted(line["id"] for line in lines) == sorted(order_ids)
    said = {it["id"] for it in lines if it["outcome"] in ("cancelled", "already_cancelled")}
    assert said == cancelled_ids(sandbox)
    assert Counter(line["outcome"] for line in lines) == result.counts
    sent = Counter(cancels(sandbox))
    assert {line["id"]: line["attempts"] for line in lines} == sent


@pytest.mark.parametrize("breaks_after", [0, 5])
def test_a_report_that_breaks_ends_the_batch_and_the_log_goes_on(
    sandbox, client, caplog, breaks_after
):
    caplog.set_level(logging.INFO)
    order_ids = add_orders(sandbox, 30)
    report = ListedRecord(breaks_after)
    batch = Batch(client, order_ids, max_workers=2, report=report)

    with pytest.raises(ReportError, match="no space left") as caught:
        batch.run()

    assert isinstance(caught.value.__cause__, OSError)
    assert batch.result.done == batch.result.total == 30
    assert batch.result.counts[Outcome.NOT_TRIED] > 0
    assert len(sandbox.orders.where(status="cancelled")) == batch.result.counts[Outcome.CANCELLED]
    recorded = {result.id for result in report.results}
    assert len(recorded) == breaks_after
    for order_id in set(order_ids) - recorded:
        assert order_id in caplog.text


def test_a_report_that_breaks_at_the_end_leaves_no_cancelled_order_unnamed(sandbox, client, caplog):
    caplog.set_level(logging.INFO)
    order_ids = add_orders(sandbox, 3)
    path = MemoryPath({})
    report = ReportWriter(path)
    path.refuses = "part0001"  # all results are in it: it is due at the end

    with pytest.raises(ReportError):
        run(client, order_ids, report=report)

    assert len(sandbox.orders.where(status="cancelled")) == 3
    for order_id in order_ids:
        assert order_id in caplog.text


# An early end.


@pytest.mark.parametrize("conditions", [NO_CONDITIONS, PENDING])
def test_a_rejected_key_ends_the_batch_at_once(sandbox, client, conditions):
    order_ids = add_orders(sandbox, 20)
    sandbox.respond_always(Stub.json(401, {"code": "UNAUTHORIZED"}))
    report = ListedRecord()

    result = run(client, order_ids, max_workers=1, report=report, conditions=conditions)

    assert result.to_json() == {"total": 20, "failed": 1, "not_tried": 19}
    assert result.is_final
    assert not result.retry_may_help
    assert result.stop_reason
    assert len(sandbox.requests) == 1
    assert [result.id for result in report.results] == order_ids
    assert all(result.attempts == 0 for result in report.results[1:])


def test_a_wait_of_an_hour_ends_the_batch(sandbox, client):
    order_ids = add_orders(sandbox, 20)
    sandbox.respond_next(Stub(), Stub.json(429, {}, {"Retry-After": "3600"}))
    result = run(client, order_ids, max_workers=1)
    assert result.to_json() == {"total": 20, "cancelled": 1, "failed": 1, "not_tried": 18}
    assert "3600" in str(result.stop_reason)
    assert result.retry_may_help
    assert len(sandbox.requests) == 2


# An API that is down.


def impatient_client_of(sandbox: Sandbox) -> OllangClient:
    return client_of(sandbox, timeout=0.25, retry_policy=RetryPolicy(max_attempts=2))


@pytest.mark.parametrize("responses", [0, 25])
@pytest.mark.parametrize("options", [{}, {"conditions": PENDING}, {"preview": True}])
def test_an_api_that_does_not_respond_any_more_ends_the_batch(sandbox, options, responses):
    order_ids = add_orders(sandbox, 100)
    method = "GET" if "preview" in options else "POST"  # a read that goes well is no cancel
    sandbox.respond_next(*[Stub()] * responses, method=method)
    sandbox.respond_always(Stub(fault="timeout-before"), method=method)
    with no_waiting(), impatient_client_of(sandbox) as client:
        result = run(client, order_ids, down_seconds=0.3, **options)

    counts = result.to_json()
    assert 10 <= counts["failed"] <= 32  # three rounds of eight workers, and those under way
    assert counts["not_tried"] == 100 - responses - counts["failed"]
    assert result.retry_may_help
    assert re.fullmatch(
        r"the API is down: no response to any order for \d s",
        str(result.stop_reason),
    )


def test_a_closed_port_ends_the_batch(closed_port):
    with no_waiting(), OllangClient("key", base_url=f"http://127.0.0.1:{closed_port}") as client:
        result = run(client, [f"o-{number}" for number in range(2000)], down_seconds=0.2)
    assert 10 <= result.counts[Outcome.FAILED] < 2000
    assert result.counts[Outcome.NOT_TRIED] == 2000 - result.counts[Outcome.FAILED]


@pytest.mark.parametrize("bad", [slice(0, 1), slice(None, None, 3), slice(30, 39)])
def test_orders_without_a_response_among_others_do_not_end_the_batch(sandbox, bad):
    order_ids = add_orders(sandbox, 60)
    for order_id in order_ids[bad]:
        sandbox.respond_always(Stub(fault="timeout-before"), path=f"{CANCEL[:-1]}{order_id}")
    with no_waiting(), impatient_client_of(sandbox) as client:
        result = run(client, order_ids, down_seconds=0.0)
    assert (result.stop_reason, result.counts[Outcome.NOT_TRIED]) == (None, 0)
    assert result.counts[Outcome.FAILED] >= len(order_ids[bad])


@pytest.mark.parametrize("fault", ["429", "503"])
def test_an_api_that_refuses_all_is_not_down(sandbox, client, fault):
    sandbox.respond_always(Stub(fault=fault))
    result = run(client, add_orders(sandbox, 40), down_seconds=0.0)
    assert result.to_json() == {"total": 40, "failed": 40}


# Orders that moved on.


NOW = datetime.now(UTC)


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        *(({"status": status}, Outcome.STATUS_CHANGED) for status in ("ongoing", "Pending")),
        *(({"status": status}, Outcome.INVALID) for status in (None, ["pending"])),
        ({"name": "Trailer KEEP"}, Outcome.EXCLUDED),
        ({"name": None}, Outcome.INVALID),
        ({"folderId": "f-1"}, Outcome.EXCLUDED),
        ({"folderId": None}, Outcome.INVALID),
        ({"age": timedelta(days=6)}, Outcome.EXCLUDED),
        ({"createdAt": "yesterday"}, Outcome.INVALID),
        ({"status": "cancelled", "name": None}, Outcome.ALREADY_CANCELLED),
    ],
)
def test_an_order_for_which_a_condition_does_not_hold_gets_no_cancel(
    sandbox, client, fields, outcome
):
    conditions = Conditions(("pending",), KEEP, ("f-1",), NOW - timedelta(days=7))
    fit = {"age": timedelta(days=8), "folderId": "f-2"}
    (other,) = add_orders(sandbox, 1, **fit)
    sandbox.orders.add(**{"id": "o-1", **fit, **fields})
    report = ListedRecord()

    options = {"max_workers": 1, "report": report, "tolerated_codes": ["ORDER_ALREADY_CANCELLED"]}
    result = run(client, ["o-1", other], conditions=conditions, **options)

    assert result.counts == {outcome: 1, Outcome.CANCELLED: 1}
    assert result.failures == (outcome is Outcome.INVALID)
    assert result.retry_may_help is (outcome is Outcome.INVALID)
    assert (report.results[0].attempts, cancels(sandbox)) == (0, [other])
    assert "no cancel request was sent: it" in report.results[0].message
    assert [it.method for it in sandbox.requests] == ["GET", "GET", "POST"]


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (Stub.json(404, {"code": "ORDER_NOT_FOUND"}), Outcome.NOT_FOUND),
        (Stub.json(403, {"code": "ACCESS_DENIED"}), Outcome.ACCESS_DENIED),
        (Stub.json(200, {"id": "o-2", "status": "pending"}), Outcome.FAILED),
        (Stub(200, {}, b"<html>"), Outcome.FAILED),
        (Stub(503), Outcome.FAILED),
        (Stub(fault="reset-before"), Outcome.FAILED),
    ],
)
def test_an_order_that_cannot_be_read_gets_no_cancel(sandbox, client, response, outcome):
    sandbox.respond_always(response, method="GET")
    result = run_one(client, "o-1", conditions=PENDING)
    assert (result.outcome, result.attempts, result.response_lost) == (outcome, 0, False)
    assert "no cancel request was sent" in result.message
    assert cancels(sandbox) == []


# A preview.


@pytest.mark.parametrize(
    ("fields", "conditions", "outcome"),
    [
        ({}, NO_CONDITIONS, Outcome.WOULD_CANCEL),
        ({"status": "ongoing"}, NO_CONDITIONS, Outcome.WOULD_CANCEL),
        ({"status": "ongoing"}, PENDING, Outcome.STATUS_CHANGED),
        ({"name": "KEEP"}, Conditions(exclude_name_matches=KEEP), Outcome.EXCLUDED),
        ({"name": None}, Conditions(exclude_name_matches=KEEP), Outcome.INVALID),
        ({"status": "completed"}, NO_CONDITIONS, Outcome.NOT_CANCELLABLE),
        ({"status": "archived"}, NO_CONDITIONS, Outcome.NOT_CANCELLABLE),
        ({"status": []}, NO_CONDITIONS, Outcome.NOT_CANCELLABLE),
        ({"status": "cancelled"}, NO_CONDITIONS, Outcome.ALREADY_CANCELLED),
        ({"foreign": True}, NO_CONDITIONS, Outcome.ACCESS_DENIED),
        ({"id": "another"}, NO_CONDITIONS, Outcome.NOT_FOUND),
    ],
)
def test_a_preview_says_what_would_happen_and_only_reads(
    sandbox, client, fields, conditions, outcome
):
    sandbox.orders.add(**{"id": "o-1", **fields})
    before = list(sandbox.orders)
    result = run_one(client, "o-1", preview=True, conditions=conditions)
    assert (result.outcome, result.attempts, result.response_lost) == (outcome, 0, False)
    assert {received.method for received in sandbox.requests} == {"GET"}
    assert list(sandbox.orders) == before


# A stop from another thread.


def run_and_stop(batch: Batch, condition: Callable[[], object]) -> None:
    """Run a batch in another thread, stop it once a condition holds, and wait for its end."""
    runner = threading.Thread(target=batch.run)
    runner.start()
    wait_until(condition)
    batch.stop("enough")
    runner.join(timeout=20)
    assert not runner.is_alive()


@pytest.mark.slow("waits for a response that stays away")
def test_an_order_whose_response_stays_away_after_a_stop_is_a_failure(sandbox):
    order_ids = add_orders(sandbox, 10)
    sandbox.respond_always(Stub(fault="timeout-before"), path=CANCEL)
    report = ListedRecord()
    with client_of(sandbox) as client:
        batch = Batch(client, order_ids, max_workers=4, report=report)
        run_and_stop(batch, lambda: len(sandbox.requests) == 4)

    assert batch.result.to_json() == {"total": 10, "failed": 4, "not_tried": 6}
    failed = [result for result in report.results if result.outcome is Outcome.FAILED]
    assert {result.id for result in failed} == set(cancels(sandbox))
    assert all((result.attempts, result.response_lost) == (1, True) for result in failed)
    assert len(sandbox.requests) == 4  # no more at once than workers


@pytest.mark.slow("waits for a response that stays away")
@pytest.mark.parametrize("options", [{"preview": True}, {"conditions": PENDING}])
def test_an_order_that_was_being_read_at_a_stop_had_no_cancel(sandbox, options):
    sandbox.respond_always(Stub(fault="timeout-before"), method="GET", path=ANY_ORDER)
    report = ListedRecord()
    with client_of(sandbox) as client:
        batch = Batch(client, add_orders(sandbox, 4), max_workers=2, report=report, **options)
        run_and_stop(batch, lambda: len(sandbox.requests) == 2)

    assert len(report.results) == 4
    for result in report.results:
        assert (result.attempts, result.response_lost) == (0, False)
        assert "may be cancelled" not in result.message


@pytest.mark.slow("waits for the log's interval")
def test_the_log_tells_how_far_a_long_batch_is(sandbox, client, caplog):
    caplog.set_level(logging.INFO)
    order_ids = add_orders(sandbox, 13)
    sandbox.respond_always(Stub(delay=0.5), path=CANCEL)

    run(client, order_ids, max_workers=1)

    (progress,) = [text for text in caplog.messages if text.startswith("Processed")]
    expected = r"Processed (\d+) of 13 orders, ([\d.]+) a second, about \d s left"
    found = re.fullmatch(expected, progress)
    assert found is not None
    assert 0 < int(found[1]) < 13
    assert 0 < float(found[2]) <= 2


def test_a_client_that_was_stopped_before_tries_nothing(sandbox, client):
    client.rate_limiter.stop()
    report = ListedRecord()
    result = run(client, add_orders(sandbox, 3), report=report)
    assert (result.to_json(), sandbox.requests) == ({"total": 3, "not_tried": 3}, [])
    assert all("None" not in result.message for result in report.results)


# An exception that a signal raises in the calling thread.


class Interrupted(BaseException):
    """What the tests' signal handler raises."""


@pytest.fixture
def alarm() -> Iterator[None]:
    def interrupt(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.usefixtures("alarm")
@pytest.mark.parametrize(("delay", "seconds"), [(0.05, (0.2,)), (0.05, (0.5,)), (1.0, (0.3, 0.3))])
def test_an_interrupted_batch_has_a_complete_report(sandbox, tmp_path, delay, seconds):
    order_ids = add_orders(sandbox, 500)
    sandbox.respond_always(Stub(delay=delay), path=CANCEL)
    path = tmp_path / "report.jsonl"
    with client_of(sandbox) as client:
        batch = Batch(client, order_ids, max_workers=4, report=ReportWriter(path))
        signal.setitimer(signal.ITIMER_REAL, *seconds)  # the last: again and again while it ends
        with pytest.raises(Interrupted):
            batch.run()
        signal.setitimer(signal.ITIMER_REAL, 0)

    result, lines = batch.result, [json.loads(line) for line in path.read_bytes().splitlines()]
    assert "Interrupted" in str(result.stop_reason)
    assert result.done == result.total == len(lines) == 500
    assert {line["id"] for line in lines} == set(order_ids)
    assert Counter(line["outcome"] for line in lines) == result.counts
    assert cancelled_ids(sandbox) == {it["id"] for it in lines if it["outcome"] == "cancelled"}
    assert result.counts[Outcome.NOT_TRIED] > 0


# One rate_limiter for all workers.


def test_workers_share_one_rate(sandbox):
    order_ids = add_orders(sandbox, 9)
    with client_of(sandbox, rate_limiter=RateLimiter(20)) as client:
        assert run(client, order_ids, max_workers=4).counts == {Outcome.CANCELLED: 9}
    times = sorted(received.time for received in sandbox.requests)
    assert times[-1] - times[0] >= 0.25  # at a rate of its own for each it would be 0.1


def test_one_429_slows_all_workers(sandbox):
    order_ids = add_orders(sandbox, 12)
    sandbox.respond_next(Stub.json(429, {}, {"Retry-After": "1"}), path=CANCEL)
    sandbox.respond_always(Stub(delay=0.1), path=CANCEL)
    with client_of(sandbox) as client:
        assert run(client, order_ids, max_workers=4).counts == {Outcome.CANCELLED: 12}
    first, *others = sorted(received.time for received in sandbox.requests)
    at_once = [time for time in others if time - first < 0.9]
    assert len(at_once) <= 3  # those that were on their way
