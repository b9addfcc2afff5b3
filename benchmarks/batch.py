"""Cancelling many orders at once, against the official SDK and against Airflow's HTTP operator."""

from __future__ import annotations

import sys
from collections.abc import Callable
from statistics import median

from benchmarks.figures import Figure, Result, Target, alternate, conclude
from benchmarks.http_operator import seconds_an_order_in_airflow
from benchmarks.ours import CANCEL, seconds_to_cancel
from benchmarks.sdk import seconds_an_order
from benchmarks.servers import SandboxServer, sandbox
from benchmarks.sockets import seconds_to_send


def run(
    *,
    orders: int = 1000,
    workers: int = 16,
    latency_ms: float = 50,
    runs: int = 3,
    sample: int = 100,
    mapped_tasks: int = 24,
) -> Result:
    """Measure.

    :param sample: orders that the SDK cancels; the others would take as long each
    :param mapped_tasks: orders that Airflow cancels, with an ``HttpOperator`` each; 0 leaves it out
    """
    # 45 % of the sandbox's orders are pending.
    with sandbox(orders=3 * orders, latency_ms=latency_ms) as server:
        pending = server.orders("pending")[:orders]
        lines = [f"POST {CANCEL}{order_id}" for order_id in pending]
        measured = alternate(
            runs,
            _anew(server, lambda: seconds_to_cancel(server, pending, workers) / orders),
            _anew(server, lambda: seconds_to_send(server, lines, workers) / orders),
            _anew(server, lambda: seconds_an_order(server, pending[:sample])),
        )
        server.reset()
        mapped = seconds_an_order_in_airflow(server, pending[: mapped_tasks + 1])
    ours, bare, sdk = ([1000 * seconds for seconds in runs] for runs in measured)
    ideal = latency_ms / workers
    figures = [
        Figure("ours", f"an order of {orders}, {workers} workers", ours, "ms"),
        Figure("limit", "an order, latency / workers", [ideal], "ms"),
        Figure("limit", f"an order, {workers} bare sockets", bare, "ms"),
        Figure("peer", "an order, official SDK in a loop", sdk, "ms"),
    ]
    targets = [
        Target("ours / ideal", median(ours) / ideal, most=1.08),
        Target("official SDK / ours", median(sdk) / median(ours), least=14),
    ]
    if mapped is not None:
        figures.append(Figure("peer", "an order, mapped HttpOperator", [1000 * mapped], "ms"))
        ratio = 1000 * mapped / median(ours)
        targets.append(Target("mapped HttpOperator / ours", ratio, least=50))
    return Result("batch", figures, targets)


def _anew(server: SandboxServer, measure: Callable[[], float]) -> Callable[[], float]:
    """Return the measurement with the server's orders as they were at first."""

    def measure_anew() -> float:
        server.reset()
        return measure()

    return measure_anew


if __name__ == "__main__":
    sys.exit(conclude(run()))
