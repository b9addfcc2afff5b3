"""Finding stale orders: pages are read side by side.

The sandbox sorts and writes pages for some milliseconds each; the canned server has them ready.
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta
from statistics import median

from airflow_provider_ollang.cleanup.stale import READERS, StaleRule, find_stale_orders
from benchmarks.figures import Figure, Result, Target, alternate, conclude
from benchmarks.sdk import seconds_a_page
from benchmarks.server import PAGE_SIZE
from benchmarks.servers import Server, canned_server
from benchmarks.sockets import seconds_to_send


def run(*, orders: int = 10_000, latency_ms: float = 50, runs: int = 5, sample: int = 50) -> Result:
    """Measure.

    :param sample: pages that the SDK reads; the others would take as long each
    """
    pages = -(-orders // PAGE_SIZE)
    with canned_server(orders=orders, latency_ms=latency_ms) as server:
        ours, bare, sdk = alternate(
            runs,
            lambda: _seconds_to_find(server, orders),
            lambda: _bare_seconds(server, pages),
            lambda: pages * seconds_a_page(server, min(sample, pages), PAGE_SIZE),
        )
    ideal = (1 + (pages - 1) / READERS) * latency_ms / 1000
    figures = [
        Figure("ours", f"{orders} orders, {READERS} readers", ours, "s"),
        Figure("limit", "latency of the first page, and of the others / readers", [ideal], "s"),
        Figure("limit", f"the same pages, {READERS} bare sockets", bare, "s"),
        Figure("peer", "official SDK, page after page", sdk, "s"),
    ]
    targets = [Target("ours / ideal", median(ours) / ideal, most=1.25)]
    return Result("find", figures, targets)


def _seconds_to_find(server: Server, orders: int) -> float:
    rule = StaleRule(reference_time=datetime.now(UTC), older_than=timedelta(days=7))
    start = time.perf_counter()
    with server.client() as client:
        finding = find_stale_orders(client, rule)
    seconds = time.perf_counter() - start
    if len(finding.orders) != orders:
        raise RuntimeError(f"{len(finding.orders)} of {orders} orders were found")
    return seconds


def _bare_seconds(server: Server, pages: int) -> float:
    path = f"GET /integration/orders?pageOptions[take]={PAGE_SIZE}&pageOptions[page]="
    first, *others = [f"{path}{number}" for number in range(1, pages + 1)]
    seconds = seconds_to_send(server, [first], 1)
    return seconds + (seconds_to_send(server, others, READERS) if others else 0)


if __name__ == "__main__":
    sys.exit(conclude(run()))
