import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.api.retry import RetryPolicy, backoff_seconds, is_retryable
from airflow_provider_ollang.sandbox import Stub

from .conftest import SOME_ID, client_of, error_of_cancel, wait_until

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
        *((kind("m"), False) for kind in errors.ERROR_BY_CODE.values()),
        (errors.BadRequestError("m", status=400), False),
        (errors.InvalidInputError("m"), False),
        (errors.StoppedError("m"), False),
    ],
)
def test_what_may_pass_is_retried(error, is_worth):
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
    retry_after, attempt, least, most
):
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
    sandbox, trouble, kind
):
    sandbox.respond_always(Stub(fault=trouble))
    policy = RetryPolicy(max_attempts=3)
    with no_waiting(), client_of(sandbox, retry_policy=policy, timeout=0.2) as client:
        error = error_of_cancel(client)
    assert (type(error), error.attempts, error.order_id) == (kind, 3, SOME_ID)
    assert len(sandbox.requests) == 3


def test_no_attempt_starts_after_the_longest_time(sandbox):
    sandbox.respond_always(Stub.json(503, {}, {"Retry-After": "0.1"}))
    policy = RetryPolicy(max_attempts=1000, max_seconds=0.5)
    with client_of(sandbox, retry_policy=policy) as client:
        error = error_of_cancel(client)
    times = [received.time for received in sandbox.requests]
    assert error.attempts == len(times)
    assert 2 <= len(times) <= 6
    assert times[-1] - times[0] >= 0.1


def test_a_wait_beyond_the_longest_time_is_not_begun(sandbox):
    sandbox.respond_always(Stub.json(503, {}, {"Retry-After": "50"}))
    with client_of(sandbox, retry_policy=RetryPolicy(max_seconds=20)) as client:
        error = error_of_cancel(client)
    assert (error.attempts, error.retry_after) == (1, 50)


# A stop.


@pytest.mark.parametrize("trouble", [Stub(503, {"Retry-After": "60"}), Stub(503, delay=1)])
def test_a_stop_lets_no_other_attempt_follow(sandbox, trouble):
    sandbox.respond_always(trouble)
    with client_of(sandbox) as client, ThreadPoolExecutor() as pool:
        call = pool.submit(error_of_cancel, client)
        wait_until(lambda: [it for it in sandbox.requests if it.status or trouble.delay])
        time.sleep(0.5)  # until the client has read it
        client.rate_limiter.stop()
        error = call.result(timeout=30)

    assert type(error) is errors.ServerError
    assert (error.attempts, len(sandbox.requests)) == (1, 1)


def test_a_stopped_client_sends_nothing(sandbox, client):
    client.rate_limiter.stop()
    assert type(error_of_cancel(client)) is errors.StoppedError
    assert sandbox.requests == []


# A 429 pauses all.


def test_a_429_on_the_last_attempt_pauses_the_others_too(sandbox):
    sandbox.respond_next(Stub.json(429, {}, {"Retry-After": "1"}))
    with client_of(sandbox, retry_policy=RetryPolicy(max_attempts=1)) as client:
        assert type(error_of_cancel(client)) is errors.RateLimitedError
        assert client.list_orders()
    first, second = (received.time for received in sandbox.requests)
    assert second - first >= 0.9
