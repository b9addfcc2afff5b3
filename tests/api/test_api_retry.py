from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.rate_limiter import RateLimiter, no_waiting
from airflow_provider_ollang.api.retry import RetryPolicy, backoff_seconds, is_retryable
from airflow_provider_ollang.sandbox import Sandbox, Stub

from .conftest import SOME_ID, client_of, error_of_cancel

POLICY = RetryPolicy(wait_initial=0.5, wait_max=4, retry_after_max=60)
PASSING = (408, 425, 500, 502, 503, 504, *range(520, 525), 529)


@pytest.mark.parametrize(
    ("error", "is_worth"),
    [
        (errors.ConnectionFailedError("m"), True),
        (errors.TimedOutError("m"), True),
        (errors.RateLimitedError("m", status=429), True),
        (errors.RateLimitedError("m", status=429, retry_after=60), True),
        (errors.RateLimitedError("m", status=429, retry_after=60.5), False),
        (errors.ServerError("m", status=503, retry_after=3600), False),
        *((errors.ServerError("m", status=it), True) for it in PASSING),
        *((errors.ServerError("m", status=it), False) for it in (501, 505, 511, 525, 599)),
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
    ],
)
def test_what_may_pass_is_retried(error: BaseException, is_worth: bool) -> None:
    assert is_retryable(error, POLICY) is is_worth


@pytest.mark.parametrize(
    ("retry_after", "attempt", "least", "most"),
    [
        (None, 1, 0, 0.5),
        (None, 2, 0, 1),
        (None, 4, 0, 4),
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
    ("trouble", "kind"),
    [
        ("429", errors.RateLimitedError),
        ("500", errors.ServerError),
        ("reset-before", errors.ConnectionFailedError),
        ("timeout-before", errors.TimedOutError),
    ],
)
def test_passing_trouble_is_retried_up_to_the_limit_and_raised_as_what_it_is(
    sandbox: Sandbox, trouble: str, kind: type[errors.OllangError]
) -> None:
    sandbox.respond_always(Stub(fault=trouble))
    policy = RetryPolicy(max_attempts=3)

    with no_waiting(), client_of(sandbox, retry_policy=policy, timeout=0.2) as client:
        error = error_of_cancel(client)

    assert (type(error), error.attempts, error.order_id) == (kind, 3, SOME_ID)
    assert len(sandbox.requests) == 3


@pytest.mark.parametrize(("trouble", "response_lost"), [("429", False), ("500", True)])
def test_a_lost_response_is_told_from_an_error_response(
    sandbox: Sandbox, client: OllangClient, trouble: str, response_lost: bool
) -> None:
    order_id = sandbox.orders.add(status="cancelled")["id"]
    sandbox.respond_next(Stub(fault=trouble))

    error = error_of_cancel(client, order_id)

    assert type(error) is errors.OrderAlreadyCancelledError
    assert (error.attempts, error.response_lost) == (2, response_lost)


@pytest.mark.parametrize("status", [429, 503])
def test_a_wait_of_an_hour_is_left_to_the_caller(
    sandbox: Sandbox, client: OllangClient, status: int
) -> None:
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    sandbox.respond_always(Stub.json(status, {}, {"Retry-After": in_an_hour}))

    error = error_of_cancel(client)

    assert error.retry_after == pytest.approx(3600, abs=60)
    assert len(sandbox.requests) == 1


@pytest.mark.parametrize(("value", "retry_after"), [("30", 30), ("soon", None)])
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


def test_the_wait_that_the_api_asks_for_is_kept(sandbox: Sandbox) -> None:
    sandbox.respond_next(Stub.json(429, {}, {"Retry-After": "0.4"}))

    with client_of(sandbox) as client:
        assert client.list_orders()

    first, second = (received.time for received in sandbox.requests)
    assert second - first >= 0.4


# A stop.


def stop_soon(rate_limiter: RateLimiter, sandbox: Sandbox, requests: int) -> threading.Thread:
    """Stop the rate limiter from another thread, once it has got some requests."""

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


def test_a_stop_during_an_attempt_does_not_lose_its_response(sandbox: Sandbox) -> None:
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


# A 429 pauses all.


def test_a_429_on_one_thread_pauses_the_others(sandbox: Sandbox) -> None:
    sandbox.respond_next(Stub.json(429, {}, {"Retry-After": "1"}))

    with client_of(sandbox) as client:
        rejected = threading.Thread(target=client.list_orders)
        rejected.start()
        while not (sandbox.requests and sandbox.requests[0].status):
            time.sleep(0.01)
        time.sleep(0.2)  # until the response has been read
        assert client.list_orders()
        rejected.join()

    first, *others = (received.time for received in sandbox.requests)
    assert len(others) == 2
    assert all(other - first >= 0.9 for other in others)


def test_a_429_on_the_last_attempt_pauses_the_others_too(sandbox: Sandbox) -> None:
    sandbox.respond_next(Stub.json(429, {}, {"Retry-After": "1"}))

    with client_of(sandbox, retry_policy=RetryPolicy(max_attempts=1)) as client:
        assert type(error_of_cancel(client)) is errors.RateLimitedError
        assert client.list_orders()

    first, second = (received.time for received in sandbox.requests)
    assert second - first >= 0.9
