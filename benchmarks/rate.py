"""Throughput under a limit that nobody told us of, and that halves mid-way."""

from __future__ import annotations

import sys
import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

from airflow_provider_ollang.sandbox import RecordedRequest, Sandbox
from benchmarks.figures import Figure, Result, Target, conclude
from benchmarks.ours import seconds_to_cancel
from benchmarks.servers import Server

LATENCY_MS = 50


@dataclass(frozen=True)
class Stretch:
    """A time under one limit.

    :param limit: requests a second
    :param begin: when it began
    :param end: when the next one began, or the batch ended
    """

    limit: float
    begin: float
    end: float

    def throughput(self, served_at: Sequence[float]) -> float:
        """Return requests served a second, without the burst that a full bucket allows at first."""
        served = bisect_right(served_at, self.end) - bisect_right(served_at, self.begin)
        return (served - self.limit) / (self.end - self.begin)


@dataclass(frozen=True)
class Run:
    """A batch under a limit.

    :param stretches: the limits, one after the other
    :param received: what the server received
    """

    stretches: Sequence[Stretch]
    received: Sequence[RecordedRequest]

    @property
    def served_at(self) -> list[float]:
        """When the requests were served that were."""
        return sorted(it.acted for it in self.received if it.acted is not None)

    @property
    def rejected(self) -> float:
        """The share of all requests that were rejected."""
        return sum(it.status == 429 for it in self.received) / len(self.received)

    def a_second(self, status: int) -> list[int]:
        """Return how many requests met this status in each second."""
        start = self.stretches[0].begin
        counts = [0] * (int(self.stretches[-1].end - start) + 1)
        for it in self.received:
            if it.status == status:
                counts[min(int(it.time + LATENCY_MS / 1000 - start), len(counts) - 1)] += 1
        return counts

    def to_json(self) -> dict[str, object]:
        """Return what can be plotted."""
        start = self.stretches[0].begin
        return {
            "limits": [[it.begin - start, it.end - start, it.limit] for it in self.stretches],
            "served": self.a_second(204),
            "rejected": self.a_second(429),
        }


def run(*, orders: int = 2000, workers: int = 16, limit: float = 40) -> Result:
    """Measure: both runs side by side, each with a server of its own."""
    with ThreadPoolExecutor() as pool:
        steady = pool.submit(_run, orders, workers, [limit])
        halving = pool.submit(_run, orders, workers, [limit, limit / 2])
    runs = {"steady limit": steady.result(), "halving limit": halving.result()}
    figures, targets = [], []
    for name, seen in runs.items():
        for stretch in seen.stretches:
            what = f"{name}, {stretch.limit:g} a second"
            throughput = stretch.throughput(seen.served_at)
            figures.append(Figure("ours", f"{what}: served", [throughput], "/s"))
            figures.append(Figure("limit", what, [stretch.limit], "/s"))
            targets.append(Target(f"{what}: share", throughput / stretch.limit, least=0.95))
        targets.append(Target(f"{name}: rejected", seen.rejected, most=0.02))
        lost = orders - len(seen.served_at)
        targets.append(Target(f"{name}: orders lost", lost, most=0))
    series = {name: seen.to_json() for name, seen in runs.items()}
    return Result("rate", figures, targets, series)


def _run(orders: int, workers: int, limits: Sequence[float]) -> Run:
    """Cancel orders; the limits follow one another after as many orders each."""
    with Sandbox(order_count=0, latency_ms=LATENCY_MS, rate_limit=limits[0]) as sandbox:
        ids = [sandbox.orders.add(age=timedelta(days=30))["id"] for _ in range(orders)]
        begins = [time.time()]
        changer = threading.Thread(target=_change, args=(sandbox, orders, limits, begins))
        changer.start()
        seconds_to_cancel(Server(sandbox.url, sandbox.api_key), ids, workers)
        changer.join()
        received = sandbox.requests
    ends = [*begins[1:], max(it.acted for it in received if it.acted is not None)]
    stretches = [Stretch(*parts) for parts in zip(limits, begins, ends, strict=True)]
    return Run(stretches, received)


def _change(sandbox: Sandbox, orders: int, limits: Sequence[float], begins: list[float]) -> None:
    """Put the limits after the first in force when their turn has come."""
    for number, limit in enumerate(limits[1:], start=1):
        while len(sandbox.orders.where(status="cancelled")) < orders * number / len(limits):
            time.sleep(0.02)
        sandbox.limit_rate(limit)
        begins.append(time.time())


if __name__ == "__main__":
    sys.exit(conclude(run()))
