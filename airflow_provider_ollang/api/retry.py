"""The one retry policy: what is sent again, when, and how often. Tenacity runs the loop."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_any,
    stop_before_delay,
)

from airflow_provider_ollang.api.errors import (
    OllangError,
    RateLimitedError,
    StoppedError,
    TransportError,
)
from airflow_provider_ollang.api.rate_limiter import RateLimiter

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a call is repeated: exponential backoff with full jitter, bounded in every direction.

    :param max_attempts: requests in one call, the first included
    :param max_seconds: no new attempt starts later than this after the first
    :param wait_initial: upper bound of the first wait, in seconds; it doubles with each attempt
    :param wait_max: upper bound of every wait of our own, in seconds
    :param retry_after_max: a longer ``Retry-After`` ends the call; the error carries the wait
    """

    max_attempts: int = 4
    max_seconds: float = 180.0
    wait_initial: float = 0.5
    wait_max: float = 20.0
    retry_after_max: float = 60.0


@dataclass(slots=True)
class RetryState:
    """What one call took.

    :param attempts: requests sent
    :param response_lost: whether one of them may have been acted on although no response says so
    :param begun_at: when the call began, by the monotonic clock
    """

    attempts: int = 0
    response_lost: bool = False
    last_error: OllangError | None = None
    begun_at: float = field(default_factory=time.monotonic)


def is_retryable(error: OllangError, policy: RetryPolicy) -> bool:
    """Return whether the same request may succeed if it is sent again after a bearable wait."""
    return error.is_retryable and (error.retry_after or 0) <= policy.retry_after_max


def backoff_seconds(error: OllangError | None, attempt: int, policy: RetryPolicy) -> float:
    """Return how long to wait after the attempt: what the API asks for, else full jitter."""
    if error and error.retry_after:
        return error.retry_after
    ceiling = min(policy.wait_max, policy.wait_initial * 2 ** (attempt - 1))
    return random.uniform(0, ceiling)  # noqa: S311 - spreads load, guards nothing


def call_with_retries(
    send: Callable[[], Result],
    policy: RetryPolicy,
    rate_limiter: RateLimiter,
    *,
    check: Callable[[], None] | None = None,
    retry_state: RetryState | None = None,
    is_repeatable: bool = True,
) -> Result:
    """Send until a response is final, and return it.

    :param send: one attempt
    :param rate_limiter: the client's: a 429 pauses every thread that shares it
    :param check: a request that must go well right before each sending; not an attempt itself
    :param retry_state: counts along, for a caller that looks at it meanwhile
    :param is_repeatable: whether it may be sent again after a request that may have been acted on
    :raises OllangError: the last attempt's error, with ``attempts`` and ``response_lost`` set
    """
    counted = retry_state or RetryState()

    def attempt() -> Result:
        was_sent = False
        try:
            rate_limiter.acquire()
            if check:
                # Both turns are taken before, so that nothing lies between check and request.
                rate_limiter.acquire()
                check()
                rate_limiter.raise_if_stopped()
            counted.attempts += 1
            was_sent = True
            result = send()
            rate_limiter.last_response_at = time.monotonic()
            return result
        except StoppedError as stop:  # what the earlier attempts met says more than the stop
            raise counted.last_error or stop from None
        except OllangError as error:
            counted.last_error = error
            counted.response_lost |= was_sent and (error.response_lost or error.proves_nothing)
            error.attempts, error.response_lost = counted.attempts, counted.response_lost
            _tell(rate_limiter, error, policy)
            raise

    def should_retry(error: BaseException) -> bool:
        is_safe = is_repeatable or not counted.response_lost
        return isinstance(error, OllangError) and is_safe and is_retryable(error, policy)

    limits = stop_any(
        stop_after_attempt(policy.max_attempts), stop_before_delay(policy.max_seconds)
    )

    def log_wait(state: RetryCallState) -> None:
        log.warning(
            "%s. Retrying in %.1f s (attempt %d of %d).",
            counted.last_error,
            state.upcoming_sleep,
            state.attempt_number + 1,
            policy.max_attempts,
        )

    return Retrying(
        retry=retry_if_exception(should_retry),
        wait=lambda state: backoff_seconds(counted.last_error, state.attempt_number, policy),
        stop=lambda state: rate_limiter.stopped or limits(state),
        sleep=rate_limiter.sleep,
        before_sleep=log_wait,
        reraise=True,
    )(attempt)


def _tell(rate_limiter: RateLimiter, error: OllangError, policy: RetryPolicy) -> None:
    # A check that goes well says nothing: the request that follows may be swallowed.
    if not isinstance(error, TransportError):
        rate_limiter.last_response_at = time.monotonic()
    if isinstance(error, RateLimitedError) and is_retryable(error, policy):
        rate_limiter.pause(backoff_seconds(error, 1, policy))
