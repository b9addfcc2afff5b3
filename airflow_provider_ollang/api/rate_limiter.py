"""When the next request may go out: one rate limiter for all threads that share a client.

The API publishes no limit, so the limiter finds it the way TCP finds that of a network. After a
429 the rate drops a little below the rate of successful requests since the 429 before. Then it
rises, faster the longer no 429 arrives, so that a stray 429 costs only seconds.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_ollang.api.errors import StoppedError

_waiting = True
_SLICE_SECONDS = 0.1
#: 429s within this time count as one: their requests were under way together.
_ONE_REJECTION_SECONDS = 1.0
#: The share of the rate that is left after a 429, and what comes back in the first second.
_FALL_TO, _RISE_A_SECOND = 0.95, 0.025
#: After this many seconds without a 429 the rate has more than doubled.
_DOUBLING_SECONDS = 25.0
_LEAST_PER_SECOND = 0.5
#: After fewer responses, a first 429 may be a stray one; at a limit, the next follows at once.
_ENOUGH_RESPONSES = 10


@contextmanager
def no_waiting() -> Iterator[None]:
    """Switch off every pause between requests in this process, for tests.

    Backoff, ``Retry-After`` and a limit on requests a second then cost no time; what is retried,
    and how often, stays the same.
    """
    global _waiting
    before, _waiting = _waiting, False
    try:
        yield
    finally:
        _waiting = before


class RateLimiter:
    """Spaces requests evenly, pauses all of them after a 429, and ends every wait on a stop.

    :param requests_per_second: the highest rate; ``None`` sets no limit of our own
    """

    def __init__(self, requests_per_second: float | None = None) -> None:
        self._most_per_second = requests_per_second or math.inf
        # The rate that the API was found to allow at the last 429, and the responses since then.
        self._found_per_second = math.inf
        self._rejected_at = time.monotonic()
        self._rejections = 0
        self._responses = 0
        self._paused_seconds = 0.0
        self._lock = threading.Lock()
        self._next_turn = 0.0
        self._paused_until = -math.inf
        #: When a call last got a response, by the monotonic clock. At first: when this was made.
        self.last_response_at = time.monotonic()
        #: Whether :meth:`stop` was called. A plain flag: setting an Event in a signal handler can
        #: deadlock with a thread's own wait.
        self.stopped = False

    def stop(self) -> None:
        """Let no further request out, and end all waits. Safe in a signal handler."""
        self.stopped = True

    def acquire(self) -> None:
        """Return when a request may go out.

        :raises StoppedError: the client was stopped
        """
        while True:
            with self._lock:
                turn = max(time.monotonic(), self._next_turn)
                self._next_turn = turn + 1 / min(self._most_per_second, self._allowed(turn))
            self.sleep(turn - time.monotonic())
            self.raise_if_stopped()
            if turn >= self._paused_until:
                return  # else a pause that began meanwhile has made this turn void

    def raise_if_stopped(self) -> None:
        """Raise a ``StoppedError`` if no request may go out anymore."""
        if self.stopped:
            raise StoppedError("the client was stopped before this request went out")

    def note_response(self) -> None:
        """Count a response that is not a 429."""
        with self._lock:
            self._responses += 1

    def pause(self, seconds: float) -> None:
        """Let no request out for some seconds, and fewer after that: the API sent a 429."""
        with self._lock:
            now = time.monotonic()
            self._slow_down(now)
            paused_until = max(self._paused_until, now + seconds)
            self._paused_seconds += paused_until - max(self._paused_until, now)
            self._paused_until = paused_until
            self._next_turn = max(self._next_turn, self._paused_until)

    def sleep(self, seconds: float) -> None:
        """Wait some seconds, less if the client is stopped."""
        end = time.monotonic() + seconds
        while _waiting and not self.stopped and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_SECONDS))

    def _allowed(self, moment: float) -> float:
        """Return how many requests a second the API is thought to allow by then."""
        seconds = moment - self._rejected_at
        rise = _RISE_A_SECOND * seconds + (seconds / _DOUBLING_SECONDS) ** 2
        return self._found_per_second * (1 + rise)

    def _slow_down(self, now: float) -> None:
        span = now - self._rejected_at
        if span < _ONE_REJECTION_SECONDS and self._rejections:
            return
        self._rejections += 1
        if self._rejections > 1 or self._responses >= _ENOUGH_RESPONSES:
            # A time in which nothing could go out says nothing of what is allowed.
            active = max(span - self._paused_seconds, _ONE_REJECTION_SECONDS)
            # One 429 does not stop the whole batch, even if no request succeeded.
            least = 0.0 if math.isinf(self._found_per_second) else self._allowed(now) / 2
            found = _FALL_TO * self._responses / active
            self._found_per_second = max(found, least, _LEAST_PER_SECOND)
        self._rejected_at, self._responses, self._paused_seconds = now, 0, 0.0
