from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_ollang.api.errors import StoppedError
from airflow_provider_ollang.api.rate_limiter import RateLimiter, no_waiting


def rate_limiter_after(responses: int, rejections: int = 1, **options: float) -> RateLimiter:
    """Return one that has got some responses within a moment, and then some 429s."""
    rate_limiter = RateLimiter(**options)
    for _ in range(responses):
        rate_limiter.note_response()
    for _ in range(rejections):
        rate_limiter.pause(0.01)
    return rate_limiter


def seconds_for(turns: int, rate_limiter: RateLimiter) -> float:
    begin = time.monotonic()
    for _ in range(turns):
        rate_limiter.acquire()
    return time.monotonic() - begin


def test_a_pause_delays_the_next_turn_and_a_shorter_one_does_not_end_it():
    rate_limiter = RateLimiter()
    rate_limiter.pause(0.3)
    rate_limiter.pause(0.01)
    assert seconds_for(1, rate_limiter) >= 0.28


@pytest.mark.parametrize(("responses", "rejections"), [(20, 0), (5, 1)])
def test_without_a_429_or_after_few_responses_nothing_is_slowed_down(responses, rejections):
    rate_limiter = rate_limiter_after(responses, rejections)
    assert seconds_for(1000, rate_limiter) < seconds_for(10, RateLimiter(10))


@pytest.mark.parametrize("options", [{}, {"requests_per_second": 20}])
def test_a_429_slows_down_to_the_rate_of_responses_and_never_above_an_own_limit(options):
    # 40 responses in what counts as a second are half of that from then on.
    rate_limiter = rate_limiter_after(1000 if options else 40, **options)
    rate_limiter.acquire()
    assert seconds_for(10 if options else 21, rate_limiter) >= 0.45


@pytest.mark.slow("measures a rate of a few requests a second")
def test_429s_to_requests_that_were_under_way_together_count_once():
    assert seconds_for(21, rate_limiter_after(40, 16)) < seconds_for(11, RateLimiter(5))


@pytest.mark.slow("measures a rate of a few requests a second")
def test_a_second_429_right_after_it_slows_down():
    rate_limiter = rate_limiter_after(0)
    time.sleep(1.1)
    for _ in range(20):
        rate_limiter.note_response()
    rate_limiter.pause(0.01)
    rate_limiter.acquire()
    assert seconds_for(11, rate_limiter) >= 0.45


@pytest.mark.slow("measures a rate of a few requests a second")
def test_a_429_without_any_response_halves_the_rate_at_most():
    rate_limiter = rate_limiter_after(40)
    time.sleep(1.1)
    rate_limiter.pause(0.01)
    rate_limiter.acquire()
    assert 0.45 <= seconds_for(11, rate_limiter) < seconds_for(21, RateLimiter(10))


@pytest.mark.parametrize("kind", ["paused", "slow", "asleep"])
def test_a_stop_ends_every_wait(kind):
    rate_limiter = RateLimiter(0.01 if kind == "slow" else None)
    if kind == "slow":
        rate_limiter.acquire()
    if kind == "paused":
        rate_limiter.pause(60)
    threading.Timer(0.1, rate_limiter.stop).start()
    begin = time.monotonic()
    if kind == "asleep":
        rate_limiter.sleep(60)
    else:
        with pytest.raises(StoppedError):
            rate_limiter.acquire()
    assert time.monotonic() - begin < 30
    assert rate_limiter.stopped


def test_without_waiting_no_pause_costs_time_and_a_stop_still_counts():
    rate_limiter = RateLimiter(0.001)
    begin = time.monotonic()
    with no_waiting():
        with no_waiting():
            pass
        rate_limiter.pause(1000)
        rate_limiter.sleep(1000)
        rate_limiter.acquire()
        rate_limiter.stop()
        with pytest.raises(StoppedError):
            rate_limiter.acquire()
    assert time.monotonic() - begin < 30
    RateLimiter().sleep(0.2)
    assert time.monotonic() - begin >= 0.2


def test_a_pause_delays_those_that_wait_for_a_turn_and_lets_them_go_one_by_one():
    rate_limiter = RateLimiter(20)
    rate_limiter.acquire()
    with ThreadPoolExecutor(6) as pool:
        turns = [pool.submit(lambda: (rate_limiter.acquire(), time.monotonic())) for _ in range(6)]
        paused_at = time.monotonic()
        rate_limiter.pause(0.5)
    late = sorted(turn.result()[1] for turn in turns)[1:]  # one may have gone before the pause
    assert late[0] >= paused_at + 0.5
    assert late[-1] - late[0] >= 0.9 * (len(late) - 1) / 20
