"""What was seen of a cleanup on several workers, and what follows from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

from airflow_provider_ollang.sandbox import RecordedRequest
from tests.chaos.verdict import cancelled_at

#: What a worker had sent before its end is received within this time, and no retry as early.
LAST_REQUESTS_SECONDS = 5


@dataclass(frozen=True)
class Try:
    """One try of one mapped task, as Airflow has it."""

    chunk: int
    number: int
    worker: str
    state: str
    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Observation:
    """What was seen."""

    stale: frozenset[str]
    others: Mapping[str, str]  # the other orders, with the status that each had before
    listed: int  # orders that the finder's query fits, stale or not
    chunks: list[list[str]]
    state: str  # in which the run ended
    tries: list[Try]
    counts: list[dict[str, int]]  # what each task that succeeded pushed
    requests: list[RecordedRequest]
    status_of: Mapping[str, str]  # at the end
    lines: list[dict[str, Any]]  # of all reports
    reports: frozenset[str]  # their names
    killed_at: float  # in seconds since the epoch
    killed: int  # processes

    @property
    def lost(self) -> frozenset[int]:
        """The chunks that were tried more than once."""
        return frozenset(it.chunk for it in self.tries if it.number > 1)

    @property
    def lost_orders(self) -> frozenset[str]:
        """The orders of these chunks."""
        return frozenset(order_id for chunk in self.lost for order_id in self.chunks[chunk])

    @property
    def cancelled_at(self) -> dict[str, float]:
        """When each order was cancelled, in seconds since the epoch."""
        return cancelled_at(self.requests)

    @property
    def done_by_lost_tries(self) -> frozenset[str]:
        """The orders that were cancelled by tries that did not live to their end."""
        times = self.cancelled_at
        return frozenset(
            it for it in self.lost_orders if it in times and not self._is_late(times[it])
        )

    def spans(self) -> dict[tuple[int, bool], tuple[float, float]]:
        """Return when the sandbox got the first and the last request of each try.

        The key is the chunk, and whether it is the second try of a lost one.
        """
        times: dict[tuple[int, bool], list[float]] = defaultdict(list)
        chunk_of = {order_id: n for n, chunk in enumerate(self.chunks) for order_id in chunk}
        for request in self.requests:
            if request.order_id:
                chunk = chunk_of[request.order_id]
                again = chunk in self.lost and self._is_late(request.time)
                times[chunk, again].append(request.time)
        return {key: (min(it), max(it)) for key, it in times.items()}

    def most_at_once(self) -> int:
        """Return how many tries were under way at the same time at most, as Airflow has it."""
        return _most_at_once((it.begin, it.end) for it in self.tries)

    def most_sending_at_once(self) -> int:
        """Return how many tries sent requests at the same time at most, as the sandbox saw it."""
        return _most_at_once(self.spans().values())

    def _is_late(self, moment: float) -> bool:
        """Return whether it was no longer the killed worker that did something."""
        return moment > self.killed_at + LAST_REQUESTS_SECONDS


def _most_at_once(spans: Iterable[tuple[Any, Any]]) -> int:
    changes = [change for begin, end in spans for change in ((begin, 1), (end, -1))]
    return max(accumulate(change for _, change in sorted(changes)))
