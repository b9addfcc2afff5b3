"""A thousand triggers that wait in one event loop, as in a triggerer; and how other providers wait.

The peers poll once for each trigger: with a session of its own for each call, as the providers of
dbt Cloud and fivetran do, or with a client that all of them share.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import time
from bisect import bisect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx

from benchmarks.figures import Figure, Result, Target, conclude
from benchmarks.servers import SandboxServer, sandbox

PAGE = 50
LAG_EVERY = 0.01
#: Orders with another status are waited for; no order of the sandbox gets there by itself.
REACHED = ("delivered", "cancelled")


@dataclass(frozen=True)
class Run:
    """One way of waiting, measured.

    :param requests: the most requests sent in one interval
    :param lag_ms: how late the event loop was, at the 99th percentile
    :param cpu: percent of a core
    """

    requests: float
    lag_ms: float
    cpu: float

    def figures(self, whose: str, how: str) -> list[Figure]:
        """Return what can be shown."""
        return [
            Figure(whose, f"{how}: requests a round", [self.requests], ""),
            Figure(whose, f"{how}: loop lag, 99th percentile", [self.lag_ms], "ms"),
            Figure(whose, f"{how}: CPU", [self.cpu], "% of a core"),
        ]


def run(
    *, waiters: int = 1000, interval: float = 10, rounds: int = 3, latency_ms: float = 50
) -> Result:
    """Measure each way for a few rounds, against a server of its own."""
    ways: dict[str, Callable[..., Coroutine[Any, Any, Run]]] = {
        "one poller": _ours,
        "a session for each call": _session_for_each_call,
        "a request for each waiter": _request_for_each_waiter,
    }
    runs = {}
    for how, wait in ways.items():
        with sandbox(orders=2 * waiters, latency_ms=latency_ms) as server:
            ids = [it["id"] for it in server.get("/_sandbox/orders") if _is_waited_for(it)]
            runs[how] = asyncio.run(wait(server, ids[:waiters], interval, rounds))
    ours = runs["one poller"]
    figures = [
        Figure("limit", "requests a round, 50 orders each", [waiters / PAGE], ""),
        *(
            figure
            for how, found in runs.items()
            for figure in found.figures("ours" if found is ours else "peer", how)
        ),
    ]
    targets = [
        Target("requests for 50 waiting orders a round", ours.requests * PAGE / waiters, most=2),
        Target("loop lag, 99th percentile, ms", ours.lag_ms, most=50),
        Target("CPU, percent of a core", ours.cpu, most=5),
    ]
    return Result("waiting", figures, targets)


def _is_waited_for(order: dict[str, Any]) -> bool:
    return not order["foreign"] and order["status"] not in REACHED


async def _ours(server: SandboxServer, ids: Sequence[str], interval: float, rounds: int) -> Run:
    from airflow_provider_ollang.triggers.ollang import OrderStatusTrigger

    connection = {"conn_type": "ollang", "host": server.url, "password": server.api_key}
    os.environ["AIRFLOW_CONN_OLLANG_BENCH"] = json.dumps(connection)
    created = {it["id"]: it["createdAt"] for it in server.get("/_sandbox/orders")}

    async def wait(order_id: str) -> None:
        trigger = OrderStatusTrigger(
            created={order_id: created[order_id]},
            target_statuses=REACHED,
            failure_statuses=["failed"],
            deadline=time.time() + 3600,
            poke_interval=interval,
            cancel_on_kill=False,
            ollang_conn_id="ollang_bench",
        )
        async for event in trigger.run():
            raise RuntimeError(f"a trigger has ended: {event.payload}")

    return await _measure(server, [wait(order_id) for order_id in ids], interval, rounds)


async def _session_for_each_call(
    server: SandboxServer, ids: Sequence[str], interval: float, rounds: int
) -> Run:
    async def poll(order_id: str) -> None:
        async with (
            aiohttp.ClientSession(headers={"X-Api-Key": server.api_key}) as session,
            session.get(f"{server.url}/integration/orders/{order_id}") as response,
        ):
            await response.json()

    polls = [_poll_for_ever(poll, order_id, interval) for order_id in ids]
    return await _measure(server, polls, interval, rounds)


async def _request_for_each_waiter(
    server: SandboxServer, ids: Sequence[str], interval: float, rounds: int
) -> Run:
    async with httpx.AsyncClient(headers={"X-Api-Key": server.api_key}, timeout=30) as client:

        async def poll(order_id: str) -> None:
            response = await client.get(f"{server.url}/integration/orders/{order_id}")
            response.json()

        polls = [_poll_for_ever(poll, order_id, interval) for order_id in ids]
        return await _measure(server, polls, interval, rounds)


async def _poll_for_ever(
    poll: Callable[[str], Awaitable[None]], order_id: str, interval: float
) -> None:
    await asyncio.sleep(random.uniform(0, interval))  # noqa: S311 - spreads load
    while True:
        await poll(order_id)
        await asyncio.sleep(interval)


async def _measure(
    server: SandboxServer,
    waits: Sequence[Coroutine[Any, Any, None]],
    interval: float,
    rounds: int,
) -> Run:
    """Let them wait for a few rounds, from their first moment on."""
    start, cpu = time.perf_counter(), time.process_time()
    tasks = [asyncio.create_task(wait) for wait in waits]
    lags = []
    # Half a round more: the first one comes after an interval.
    while time.perf_counter() < start + interval * (rounds + 0.5):
        before = time.perf_counter()
        await asyncio.sleep(LAG_EVERY)
        lags.append(time.perf_counter() - before - LAG_EVERY)
    seconds, used = time.perf_counter() - start, time.process_time() - cpu
    for task in tasks:
        if task.done():
            task.result()  # raises what went wrong
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    requests = await asyncio.to_thread(server.get, "/_sandbox/requests")
    times = sorted(request["time"] for request in requests)
    return Run(
        requests=max(bisect(times, begun + interval) - i for i, begun in enumerate(times)),
        lag_ms=1000 * sorted(lags)[int(0.99 * len(lags))],
        cpu=100 * used / seconds,
    )


if __name__ == "__main__":
    sys.exit(conclude(run()))
