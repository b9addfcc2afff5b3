"""Ten and a hundred times as many orders: the time for each must stay the same."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median

from benchmarks.figures import Figure, Result, Target, conclude
from benchmarks.ours import CANCEL, seconds_to_cancel
from benchmarks.sdk import seconds_an_order
from benchmarks.server import order_id
from benchmarks.servers import Server, canned_server
from benchmarks.sockets import seconds_to_send

#: A batch of this size takes longer than any fluctuation, and is measured once.
MEASURED_ONCE = 100_000
#: Batches of the first size before each larger one, and after it.
SMALL_BATCHES = 8


def run(
    *,
    sizes: Sequence[int] = (1000, 10_000, 100_000),
    workers: int = 16,
    latency_ms: float = 5,
    runs: int = 3,
    sample: int = 500,
) -> Result:
    """Measure.

    :param sizes: numbers of orders; the first is what the others are held against
    :param sample: orders that the SDK cancels; the others would take as long each
    """
    ids = [order_id(number) for number in range(max(sizes))]
    with canned_server(latency_ms=latency_ms) as server, _on_one_core():
        seconds_to_cancel(server, ids[: sizes[0]], workers)  # warms up
        ours, ratios = _measure(server, ids, sizes, workers, runs)
        lines = [f"POST {CANCEL}{it}" for it in ids[: sizes[0]]]
        bare = [seconds_to_send(server, lines, workers) / len(lines) for _ in range(runs)]
        sdk = [seconds_an_order(server, ids[:sample]) for _ in range(min(runs, 3))]
    figures = [
        *(Figure("ours", f"an order of {size}", _ms(ours[size]), "ms") for size in sizes),
        Figure("limit", "an order, latency / workers", [latency_ms / workers], "ms"),
        Figure("limit", f"an order, {workers} bare sockets", _ms(bare), "ms"),
        Figure("peer", "an order, official SDK in a loop", _ms(sdk), "ms"),
    ]
    targets = [
        Target(f"an order of {size} / of {sizes[0]}", median(found), most=1.05)
        for size, found in ratios.items()
    ]
    series = {
        "orders": list(sizes),
        "ours": [size * median(ours[size]) for size in sizes],
        "sdk": [size * median(sdk) for size in sizes],
        "ideal": [size * latency_ms / workers / 1000 for size in sizes],
        "workers": workers,
        "latency_ms": latency_ms,
    }
    return Result("scale", figures, targets, series)


@contextmanager
def _on_one_core() -> Iterator[None]:
    """Leave the other cores to the server: threads of one Python slow each other down on several.

    How much so changes from second to second, by more than what is looked for here.
    """
    if not hasattr(os, "sched_setaffinity"):  # only Linux lets a process choose
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _measure(
    server: Server, ids: Sequence[str], sizes: Sequence[int], workers: int, runs: int
) -> tuple[dict[int, list[float]], dict[int, list[float]]]:
    """Return the seconds an order by size, and their ratios to those of the first size.

    A ratio is to the small batches right before and after it: the machine's speed drifts.
    """
    first, *larger = sizes

    def seconds(size: int) -> float:
        return seconds_to_cancel(server, ids[:size], workers) / size

    found: dict[int, list[float]] = {size: [] for size in sizes}
    ratios: dict[int, list[float]] = {size: [] for size in larger}
    for number in range(runs):
        for size in larger:
            if number == 0 or size < MEASURED_ONCE:
                before = [seconds(first) for _ in range(SMALL_BATCHES)]
                found[size].append(seconds(size))
                after = [seconds(first) for _ in range(SMALL_BATCHES)]
                found[first] += before + after
                ratios[size].append(found[size][-1] / median(before + after))
    return found, ratios


def _ms(seconds: Sequence[float]) -> list[float]:
    return [1000 * it for it in seconds]


if __name__ == "__main__":
    sys.exit(conclude(run()))
