"""The sandbox's rate limit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


class RateLimit:
    """A token bucket that holds one second's worth of requests.

    :param per_second: how many requests are let through in a second; ``None`` for any number.
    :param clock: tells the seconds that the bucket fills by.
    """

    def __init__(
        self, per_second: float | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self.set(per_second)

    def set(self, per_second: float | None) -> None:
        """Let another number of requests through, beginning with a full bucket."""
        self._per_second = per_second
        self._capacity = max(1.0, per_second or 0.0)
        self.reset()

    def reset(self) -> None:
        """Fill the bucket."""
        self._tokens = self._capacity
        self._filled_at = self._clock()

    def wait(self) -> int:
        """Let a request through and return 0, or return the whole seconds it should wait."""
        if self._per_second is None:
            return 0
        now = self._clock()
        gained = (now - self._filled_at) * self._per_second
        self._tokens = min(self._capacity, self._tokens + gained)
        self._filled_at = now
        if self._tokens < 1:
            return max(1, math.ceil((1 - self._tokens) / self._per_second))
        self._tokens -= 1
        return 0
