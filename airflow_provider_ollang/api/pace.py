"""When the next request may go out: one pace for all threads that share a client.

The API publishes no limit, so the pace finds it, as TCP finds that of a network: refused, it falls
a little below the rate at which requests were answered since the last refusal; left alone, it
rises, and faster the longer it goes well. So it makes up for a fall within seconds: refusals by
chance, or for what others send, must not grind it down. Nor does a first one that comes before
there was anything to measure.
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
#: Refusals of so short a time are one: requests that were under way together.
_ONE_REFUSAL_SECONDS = 1.0
#: What is left of the pace after a refusal, and what share of that comes back in the first second.
_FALL_TO, _RISE_A_SECOND = 0.95, 0.025
#: After so many seconds without a refusal the pace has more than doubled.
_DOUBLING_SECONDS = 25.0
_LEAST_PER_SECOND = 0.5
#: After fewer answers, a first refusal may be by chance; of a limit, the next one follows at once.
_ENOUGH_ANSWERS = 10


@contextmanager
def no_waiting() -> Iterator[None]:
    """Switch off every pause between requests in this process, for tests.

    Back-off, ``Retry-After`` and a limit on requests a second then cost no time; what is retried,
    and how often, stays the same.
    """
    global _waiting
    before, _waiting = _waiting, False
    try:
        yield
    finally:
        _waiting = before


class Pace:
    """Spaces requests evenly, holds all of them after a refusal, and ends every wait on a stop.

    :param requests_per_second: at most so many; ``None`` sets no limit of our own
    """

    def __init__(self, requests_per_second: float | None = None) -> None:
        self._most_per_second = requests_per_second or math.inf
        # What the API was found to allow, at the last refusal; and the answers since then.
        self._found_per_second = math.inf
        self._refused_at = time.monotonic()
        self._refusals = 0
        self._answers = 0
        self._held_seconds = 0.0
        self._lock = threading.Lock()
        self._next_turn = 0.0
        self._held_until = -math.inf
        #: When a call last got a response, by the monotonic clock. At first: when this was made.
        self.last_response_at = time.monotonic()
        # A plain flag: setting an Event in a signal handler can deadlock with a thread's own wait.
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether :meth:`stop` was called."""
        return self._stopped

    def stop(self) -> None:
        """Let no further request out, and end all waits. Safe in a signal handler."""
        self._stopped = True

    def wait_turn(self) -> None:
        """Return when a request may go out.

        :raises StoppedError: none may any more
        """
        while True:
            turn = self._take_turn()
            self.sleep(turn - time.monotonic())
            self.raise_if_stopped()
            if turn >= self._held_until:
                return  # else a hold that came meanwhile has made this turn void

    def raise_if_stopped(self) -> None:
        """Raise if no request may go out any more.

        :raises StoppedError: none may
        """
        if self.stopped:
            raise StoppedError("the client was stopped before this request went out")

    def note_answer(self) -> None:
        """Heed an answer that is no refusal for speed."""
        with self._lock:
            self._answers += 1

    def hold(self, seconds: float) -> None:
        """Let no request out for so many seconds, and fewer after that: the API refused one."""
        with self._lock:
            now = time.monotonic()
            self._slow_down(now)
            held_until = max(self._held_until, now + seconds)
            self._held_seconds += held_until - max(self._held_until, now)
            self._held_until = held_until
            self._next_turn = max(self._next_turn, self._held_until)

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds, less if the client is stopped."""
        end = time.monotonic() + seconds
        while _waiting and not self._stopped and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_SECONDS))

    def _take_turn(self) -> float:
        with self._lock:
            turn = max(time.monotonic(), self._next_turn)
            self._next_turn = turn + 1 / min(self._most_per_second, self._allowed(turn))
            return turn

    def _allowed(self, moment: float) -> float:
        """Return how many requests a second the API is thought to allow by then."""
        seconds = moment - self._refused_at
        rise = _RISE_A_SECOND * seconds + (seconds / _DOUBLING_SECONDS) ** 2
        return self._found_per_second * (1 + rise)

    def _slow_down(self, now: float) -> None:
        span = now - self._refused_at
        if span < _ONE_REFUSAL_SECONDS and self._refusals:
            return
        self._refusals += 1
        if self._refusals > 1 or self._answers >= _ENOUGH_ANSWERS:
            self._found_per_second = self._estimate(span, now)
        self._refused_at, self._answers, self._held_seconds = now, 0, 0.0

    def _estimate(self, span: float, now: float) -> float:
        # A time in which nothing could go out says nothing of what is allowed.
        active = max(span - self._held_seconds, _ONE_REFUSAL_SECONDS)
        found = _FALL_TO * self._answers / active
        # One refusal does not stop the whole batch, even if nothing was answered.
        least = 0.0 if math.isinf(self._found_per_second) else self._allowed(now) / 2
        return max(found, least, _LEAST_PER_SECOND)
