from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.rate_limiter import RateLimiter, no_waiting
from airflow_provider_ollang.api.retry import RetryPolicy, backoff_seconds, is_retryable
from airflow_provider_ollang.sandbox import Sandbox, Stub

from .conftest import CANCEL, SOME_ID, client_of, error_of_cancel

POLICY = RetryPolicy(wait_initial=0.5, wait_max=4, retry_after_max=60)
CUT_OFF = Stub(400, {"Content-Length": "500"}, b'{"code": "ORDER_NOT_CANCELLABLE"')


@pytest.mark.parametrize(
    ("error", "is_worth"),
    [
        (errors.ConnectionFailedError("m"), True),
        (errors.TimedOutError("m"), True),
        (errors.RateLimitedError("m", status=429), True),
        (errors.RateLimitedError("m", status=429, retry_after=0), True),
        (errors.RateLimitedError("m", status=429, retry_after=60), True),
        (errors.RateLimitedError("m", status=429, retry_after=60.5), False),
        (errors.ServerError("m", status=500), True),
        (errors.ServerError("m", status=501), False),
        (errors.ServerError("m", status=502), True),
        (errors.ServerError("m", status=503), True),
        (errors.ServerError("m", status=503, retry_after=3600), False),
        (errors.ServerError("m", status=504), True),
        *((errors.ServerError("m", status=it), True) for it in (408, 425, 520, 524, 529)),
        (errors.ServerError("m", status=505), False),
        (errors.ServerError("m", status=599), False),
        (errors.CertificateError("m"), False),
        (errors.UnexpectedResponseError("m", status=200), False),
        (errors.BadRequestError("m", status=400), False),
        (errors.UnauthorizedError("m", status=401), False),
        (errors.AccessDeniedError("m", status=403), False),
        (errors.OrderNotFoundError("m", status=404), False),
        (errors.OrderNotCancellableError("m", status=400), False),
        (errors.OrderAlreadyCancelledError("m", status=409, retry_after=1), False),
        (errors.InvalidInputError("m"), False),
        (errors.StoppedError("m"), False),
        (ValueError("m"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_what_may_pass_is_retried(error: BaseException, is_worth: bool) -> None:
    assert is_retryable(error, POLICY) is is_worth


@pytest.mark.parametrize(
    ("retry_after", "attempt", "least", "most"),
    [
        (None, 1, 0, 0.5),
        (None, 2, 0, 1),
        (None, 3, 0, 2),
        (None, 4, 0, 4),
        (None, 5, 0, 4),
        (None, 50, 0, 4),
        (0, 3, 0, 2),  # no wait at all would hammer an API that is in trouble
        (7, 1, 7, 7),
        (7.5, 9, 7.5, 7.5),
    ],
)
def test_the_wait_is_what_the_api_asks_for_or_jitter_under_a_ceiling(
    retry_after: float | None, attempt: int, least: float, most: float
) -> None:
    error = errors.RateLimitedError("m", status=429, retry_after=retry_after)

    waits = [backoff_seconds(error, attempt, POLICY) for _ in range(50)]

    assert all(least <= wait <= most for wait in waits)
    assert (len(set(waits)) > 1) is (least != most)


# What is sent again, counted by the server.


@pytest.mark.parametrize(
    "kind", ["429", "500", "502", "503", "504", "reset-before", "timeout-before"]
)
@pytest.mark.parametrize("max_attempts", [1, 3])
def test_passing_trouble_is_retried_so_many_times(
    sandbox: Sandbox, kind: str, max_attempts: int
) -> None:
    sandbox.respond_always(Stub(fault=kind))
    policy = RetryPolicy(max_attempts=max_attempts)

    with no_waiting(), client_of(sandbox, retry_policy=policy, timeout=0.2) as client:
        error = error_of_cancel(client)

    assert len(sandbox.requests) == max_attempts
    assert error.attempts == max_attempts
    assert error.order_id == SOME_ID


@pytest.mark.parametrize(
    ("trouble", "response_lost"),
    [
        (Stub(fault="429"), False),
        (Stub(fault="500"), True),  # it may have acted before it failed
        (Stub(fault="502"), True),
        (Stub(fault="503"), True),
        (Stub(fault="504"), True),
        (Stub(fault="reset-before"), True),
        (Stub(fault="timeout-before"), True),
        (CUT_OFF, True),
    ],
)
def test_a_cancel_succeeds_after_trouble_that_passed(
    sandbox: Sandbox, trouble: Stub, response_lost: bool
) -> None:
    order_id = sandbox.orders.add()["id"]
    sandbox.respond_next(trouble, path=CANCEL)

    with no_waiting(), client_of(sandbox, timeout=0.5) as client:
        receipt = client.cancel_order(order_id)

    assert (receipt.attempts, receipt.response_lost) == (2, response_lost)
    assert len(sandbox.requests) == 2
    assert len(sandbox.orders.where(status="cancelled")) == 1


def test_a_cancel_whose_answer_was_lost_reads_as_already_cancelled(
    sandbox: Sandbox, client: OllangClient
) -> None:
    order_id = sandbox.orders.add()["id"]
    sandbox.respond_next(Stub(fault="reset-after"))

    error = error_of_cancel(client, order_id)

    assert type(error) is errors.OrderAlreadyCancelledError
    assert (error.attempts, error.response_lost) == (2, True)
    assert [received.status for received in sandbox.requests] == [None, 409]


@pytest.mark.parametrize(
    ("trouble", "response_lost"),
    [("429", False), ("500", True), ("504", True), ("reset-before", True)],
)
def test_a_lost_answer_is_told_from_a_refusal(
    sandbox: Sandbox, client: OllangClient, trouble: str, response_lost: bool
) -> None:
    order_id = sandbox.orders.add(status="cancelled")["id"]
    sandbox.respond_next(Stub(fault=trouble))

    error = error_of_cancel(client, order_id)

    assert type(error) is errors.OrderAlreadyCancelledError
    assert (error.attempts, error.response_lost) == (2, response_lost)


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        ("429", errors.RateLimitedError),
        ("500", errors.ServerError),
        ("reset-before", errors.ConnectionFailedError),
        ("reset-after", errors.OrderAlreadyCancelledError),
        ("timeout-before", errors.TimedOutError),
    ],
)
def test_trouble_that_stays_is_raised_as_what_it_is(
    sandbox: Sandbox, trouble: str, kind: type[errors.OllangError]
) -> None:
    order_id = sandbox.orders.add()["id"]
    last = [] if trouble == "reset-after" else [Stub(fault=trouble)] * 9
    sandbox.respond_next(Stub(fault=trouble), *last)

    with no_waiting(), client_of(sandbox, timeout=0.2) as client:
        assert type(error_of_cancel(client, order_id)) is kind


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 418, 422, 501, 505, 200, 302])
@pytest.mark.parametrize("body", [{"message": "m"}, {"code": "SOMETHING"}])
def test_a_final_answer_is_asked_for_once(
    sandbox: Sandbox, client: OllangClient, status: int, body: Any
) -> None:
    sandbox.respond_always(Stub.json(status, body, {"Retry-After": "0"}))

    assert error_of_cancel(client).attempts == 1
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("unit", ["seconds", "date"])
def test_a_wait_of_an_hour_is_left_to_the_caller(
    sandbox: Sandbox, client: OllangClient, status: int, unit: str
) -> None:
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    value = "3600" if unit == "seconds" else in_an_hour
    sandbox.respond_always(Stub.json(status, {}, {"Retry-After": value}))

    error = error_of_cancel(client)

    assert error.retry_after == pytest.approx(3600, abs=60)
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(
    ("value", "retry_after"), [("30", 30), ("soon", None), ("-1", None), ("", None)]
)
def test_a_bearable_or_unreadable_retry_after_does_not_end_the_call(
    sandbox: Sandbox, client: OllangClient, value: str, retry_after: float | None
) -> None:
    sandbox.respond_always(Stub.json(429, {}, {"Retry-After": value}))

    error = error_of_cancel(client)

    assert error.retry_after == retry_after
    assert len(sandbox.requests) == client.retry_policy.max_attempts


def test_no_attempt_starts_after_the_longest_time(sandbox: Sandbox) -> None:
    sandbox.respond_always(Stub.json(503, {}, {"Retry-After": "0.1"}))
    policy = RetryPolicy(max_attempts=1000, max_seconds=0.5)

    with client_of(sandbox, retry_policy=policy) as client:
        error = error_of_cancel(client)

    times = [received.time for received in sandbox.requests]
    assert error.attempts == len(times)
    assert 2 <= len(times) <= 6
    assert times[-1] - times[0] >= 0.1


def test_a_wait_beyond_the_longest_time_is_not_begun(sandbox: Sandbox) -> None:
    sandbox.respond_always(Stub.json(503, {}, {"Retry-After": "50"}))

    with client_of(sandbox, retry_policy=RetryPolicy(max_seconds=20)) as client:
        error = error_of_cancel(client)

    assert (error.attempts, error.retry_after) == (1, 50)


@pytest.mark.parametrize("unit", ["seconds", "date"])
def test_the_wait_that_the_api_asks_for_is_kept(sandbox: Sandbox, unit: str) -> None:
    in_two_seconds = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    value = "0.4" if unit == "seconds" else in_two_seconds
    sandbox.respond_next(Stub.json(429, {}, {"Retry-After": value}))

    with client_of(sandbox) as client:
        assert client.list_orders()

    first, second = (received.time for received in sandbox.requests)
    # A date has no fractions: from now to it, it is more than a second.
    assert second - first >= (0.4 if unit == "seconds" else 0.5)


# A stop.


def stop_soon(rate_limiter: RateLimiter, sandbox: Sandbox, requests: int) -> threading.Thread:
    """Stop the rate_limiter from another thread, once so many requests have come."""

    def wait_and_stop() -> None:
        while len(sandbox.requests) < requests:
            time.sleep(0.01)
        time.sleep(0.1)
        rate_limiter.stop()

    thread = threading.Thread(target=wait_and_stop, daemon=True)
    thread.start()
    return thread


def test_a_stop_ends_the_wait_for_the_next_attempt(sandbox: Sandbox) -> None:
    sandbox.respond_always(Stub.json(503, {}, {"Retry-After": "60"}))

    with client_of(sandbox) as client:
        stop_soon(client.rate_limiter, sandbox, 1)
        begin = time.monotonic()
        error = error_of_cancel(client)

    assert time.monotonic() - begin < 30
    assert type(error) is errors.ServerError
    assert (error.attempts, len(sandbox.requests)) == (1, 1)


def test_a_stop_during_an_attempt_lets_no_other_follow(sandbox: Sandbox) -> None:
    sandbox.respond_always(Stub(503, delay=0.5))

    with no_waiting(), client_of(sandbox) as client:
        stop_soon(client.rate_limiter, sandbox, 1)
        error = error_of_cancel(client)

    assert (error.attempts, len(sandbox.requests)) == (1, 1)


def test_a_stop_during_an_attempt_does_not_lose_its_answer(sandbox: Sandbox) -> None:
    order_id = sandbox.orders.add()["id"]
    sandbox.respond_next(Stub(delay=0.4))

    with client_of(sandbox) as client:
        stop_soon(client.rate_limiter, sandbox, 1)
        assert client.cancel_order(order_id).order_id == order_id


def test_a_stopped_client_sends_nothing(sandbox: Sandbox, client: OllangClient) -> None:
    client.rate_limiter.stop()

    assert type(error_of_cancel(client)) is errors.StoppedError
    with pytest.raises(errors.StoppedError):
        list(client.iter_orders())
    assert sandbox.requests == []


# A 429 holds all.


def test_a_429_on_one_thread_holds_the_others(sandbox: Sandbox) -> None:
    sandbox.respond_next(Stub.json(429, {}, {"Retry-After": "1"}))

    with client_of(sandbox) as client:
        refused = threading.Thread(target=client.list_orders)
        refused.start()
        while not (sandbox.requests and sandbox.requests[0].status):
            time.sleep(0.01)
        time.sleep(0.2)  # until the refusal has been read
        assert client.list_orders()
        refused.join()

    first, *others = (received.time for received in sandbox.requests)
    assert len(others) == 2
    assert all(other - first >= 0.9 for other in others)


def test_a_429_on_the_last_attempt_holds_the_others_too(sandbox: Sandbox) -> None:
    sandbox.respond_next(Stub.json(429, {}, {"Retry-After": "1"}))

    with client_of(sandbox, retry_policy=RetryPolicy(max_attempts=1)) as client:
        assert type(error_of_cancel(client)) is errors.RateLimitedError
        assert client.list_orders()

    first, second = (received.time for received in sandbox.requests)
    assert second - first >= 0.9
