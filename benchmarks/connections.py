"""TCP connections of a whole batch, as the server counts them."""

from __future__ import annotations

import sys

from benchmarks.figures import Figure, Result, Target, conclude
from benchmarks.ours import seconds_to_cancel
from benchmarks.server import order_id
from benchmarks.servers import Server, canned_server


def run(*, orders: int = 2000, workers: int = 16) -> Result:
    """Measure."""
    with canned_server(latency_ms=5) as server:
        before = _counts(server)
        seconds_to_cancel(server, [order_id(number) for number in range(orders)], workers)
        after = _counts(server)
    # Each look at the counts is a connection too.
    opened = after["connections"] - before["connections"] - 1
    sent = after["requests"] - before["requests"]
    figures = [
        Figure("ours", f"connections for {orders} orders", [opened], ""),
        Figure("ours", "requests", [sent], ""),
        Figure("limit", "workers", [workers], ""),
    ]
    targets = [
        Target("connections / workers", opened / workers, most=1),
        Target("requests / orders", sent / orders, most=1),
    ]
    return Result("connections", figures, targets)


def _counts(server: Server) -> dict[str, int]:
    counts: dict[str, int] = server.get("/_server")
    return counts


if __name__ == "__main__":
    sys.exit(conclude(run()))
