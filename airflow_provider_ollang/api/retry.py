"""The one retry policy: what is sent again, when, and how often.

The decisions are pure functions; tenacity runs the loop.
"""

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
    ServerError,
    StoppedError,
    TransportError,
    UnexpectedAnswerError,
)
from airflow_provider_ollang.api.pace import Pace

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a call is repeated: exponential back-off with full jitter, bounded in every direction.

    :param max_attempts: requests in one call, the first included
    :param max_seconds: no new attempt starts later than this after the first
    :param first_wait: upper bound of the first wait, in seconds; it doubles with each attempt
    :param longest_wait: upper bound of every wait of our own, in seconds
    :param longest_retry_after: a longer ``Retry-After`` ends the call; the error carries the wait
    """

    max_attempts: int = 4
    max_seconds: float = 180.0
    first_wait: float = 0.5
    longest_wait: float = 20.0
    longest_retry_after: float = 60.0


@dataclass(slots=True)
class Tally:
    """What one call took.

    :param attempts: requests sent
    :param answer_lost: whether one of them may have been acted on although no answer says so
    :param begun_at: when the call began, by the monotonic clock
    """

    attempts: int = 0
    answer_lost: bool = False
    last_error: OllangError | None = None
    begun_at: float = field(default_factory=time.monotonic)

    def count(self, error: OllangError, *, was_sent: bool) -> None:
        """Heed an error, and tell it what the call has taken so far.

        :param was_sent: it is the request's own, not that of a check before it
        """
        self.last_error = error
        # A server in trouble may have acted before it was, and so may one whose answer was
        # replaced on its way: such an answer proves nothing.
        proves_nothing = isinstance(error, (ServerError, UnexpectedAnswerError))
        self.answer_lost |= was_sent and (error.answer_lost or proves_nothing)
        error.attempts, error.answer_lost = self.attempts, self.answer_lost


def is_worth_retrying(error: BaseException, policy: RetryPolicy) -> bool:
    """Return whether the same request may succeed if it is sent again after a bearable wait."""
    return (
        isinstance(error, OllangError)
        and error.is_retryable
        and (error.retry_after or 0) <= policy.longest_retry_after
    )


def seconds_to_wait(error: BaseException | None, attempt: int, policy: RetryPolicy) -> float:
    """Return how long to wait after the attempt: what the API asks for, else full jitter."""
    if isinstance(error, OllangError) and error.retry_after:
        return error.retry_after
    ceiling = min(policy.longest_wait, policy.first_wait * 2 ** (attempt - 1))
    return random.uniform(0, ceiling)  # noqa: S311 - spreads load, guards nothing


def call_with_retries(
    send: Callable[[], Result],
    policy: RetryPolicy,
    pace: Pace,
    *,
    check: Callable[[], None] | None = None,
    tally: Tally | None = None,
    is_repeatable: bool = True,
) -> tuple[Result, Tally]:
    """Send until an answer is final, and return it with what it took.

    :param send: one attempt; returns the answer or raises an :class:`OllangError`
    :param policy: how often and how long
    :param pace: the client's pace: a 429 holds every thread that shares it
    :param check: a request that must go well right before each sending; not an attempt itself
    :param tally: counts along, for a caller that looks at it meanwhile
    :param is_repeatable: whether it may be sent again after a request that may have been acted on
    :raises OllangError: the last attempt's error, with ``attempts`` and ``answer_lost`` set
    """
    counted = tally or Tally()

    def attempt() -> Result:
        was_sent = False
        try:
            pace.wait_turn()
            if check:
                # Both turns are taken before, so that nothing lies between check and request.
                pace.wait_turn()
                check()
                pace.raise_if_stopped()
            counted.attempts += 1
            was_sent = True
            result = send()
            pace.last_response_at = time.monotonic()
            return result
        except StoppedError:
            if counted.last_error:  # what the earlier attempts met says more than the stop
                raise counted.last_error from None
            raise
        except OllangError as error:
            counted.count(error, was_sent=was_sent)
            # A check that goes well says nothing: the request that follows may be swallowed.
            if not isinstance(error, TransportError):
                pace.last_response_at = time.monotonic()
            if isinstance(error, RateLimitedError) and is_worth_retrying(error, policy):
                pace.hold(seconds_to_wait(error, 1, policy))
            raise

    limits = stop_any(
        stop_after_attempt(policy.max_attempts), stop_before_delay(policy.max_seconds)
    )

    def should_retry(error: BaseException) -> bool:
        return is_worth_retrying(error, policy) and (is_repeatable or not counted.answer_lost)

    retrying = Retrying(
        retry=retry_if_exception(should_retry),
        wait=lambda state: seconds_to_wait(_error_of(state), state.attempt_number, policy),
        stop=lambda state: pace.stopped or limits(state),
        sleep=pace.sleep,
        before_sleep=_log_wait,
        reraise=True,
    )
    return retrying(attempt), counted


def _log_wait(state: RetryCallState) -> None:
    error, seconds = _error_of(state), state.upcoming_sleep
    log.warning("%s. Attempt %d follows in %.1f s.", error, state.attempt_number + 1, seconds)


def _error_of(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
