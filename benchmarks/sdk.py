"""The peer: the official SDK, in a loop."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ollang import Ollang

from benchmarks.servers import Server


def seconds_an_order(server: Server, order_ids: Sequence[str]) -> float:
    """Return how long the SDK takes to cancel an order, one after the other."""
    orders = Ollang(server.api_key, base_url=server.url).orders
    start = time.perf_counter()
    for order_id in order_ids:
        orders.cancel(order_id)
    return (time.perf_counter() - start) / len(order_ids)


def seconds_a_page(server: Server, pages: int, take: int) -> float:
    """Return how long the SDK takes to read a page of orders, one after the other."""
    orders = Ollang(server.api_key, base_url=server.url).orders
    start = time.perf_counter()
    for number in range(1, pages + 1):
        orders.list(page=number, take=take, order_by="createdAt", order_direction="asc")
    return (time.perf_counter() - start) / pages
