"""When the next request may go out: one pace for all threads that share a client."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_provider_ollang.api.errors import StoppedError

_waiting = True
_SLICE_SECONDS = 0.1


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
        self._interval = 1 / requests_per_second if requests_per_second else 0.0
        self._lock = threading.Lock()
        self._next_turn = 0.0
        self._held_until = -math.inf
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

    def hold(self, seconds: float) -> None:
        """Let no request out for so many seconds: the API refused one of them as too many."""
        with self._lock:
            self._held_until = max(self._held_until, time.monotonic() + seconds)
            self._next_turn = max(self._next_turn, self._held_until)

    def sleep(self, seconds: float) -> None:
        """Wait so many seconds, less if the client is stopped."""
        end = time.monotonic() + seconds
        while _waiting and not self._stopped and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _SLICE_SECONDS))

    def _take_turn(self) -> float:
        with self._lock:
            turn = max(time.monotonic(), self._next_turn)
            self._next_turn = turn + self._interval
            return turn
