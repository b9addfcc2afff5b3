"""The life of a created order: how long it stays in a status, and the call at its completion."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress

import requests

from airflow_provider_ollang.sandbox._model import (
    COMPLETED,
    ONGOING,
    PENDING,
    Order,
    delivery,
    format_time,
    parse_numbers,
)
from airflow_provider_ollang.sandbox._orders import Orders


class Lifecycle:
    """Takes created orders to their completion, and calls their ``callbackUrl`` then.

    :param schedule: seconds in each status, such as ``pending=30,ongoing=60``; with none, orders
        stay as they are.
    :param twice: the share of the orders for which it calls a second time.
    :raises ValueError: another status, or not a number.
    """

    def __init__(self, orders: Orders, schedule: str, twice: float, seed: int) -> None:
        self._orders = orders
        self._seconds = parse_numbers(schedule, "lifecycle", (PENDING, ONGOING), most=1_000_000)
        self._twice = twice
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, order_ids: Sequence[str], callback_url: str | None) -> None:
        """Begin the life of orders that were just created."""
        for order_id in order_ids if self._seconds else ():
            calls = 2 if self._random.random() < self._twice else 1
            task = asyncio.create_task(self._live(order_id, callback_url, calls))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _live(self, order_id: str, callback_url: str | None, calls: int) -> None:
        for before, after in ((PENDING, ONGOING), (ONGOING, COMPLETED)):
            if seconds := self._seconds.get(before):
                await asyncio.sleep(seconds)
            order = self._orders.get(order_id)
            if order and order["status"] == before:  # not cancelled, or changed by hand
                extra = delivery(order, time.time()) if after == COMPLETED else {}
                self._orders.change(order_id, status=after, **extra)
        order = self._orders.get(order_id)
        if order and order["status"] == COMPLETED and callback_url:
            for _ in range(calls):
                with suppress(OSError, ValueError):  # a failing receiver is ignored
                    await asyncio.to_thread(_call, callback_url, order)


def _call(url: str, order: Order) -> None:
    completed = {"orderId": order["id"], "orderType": order["type"]}
    completed |= {"completedAt": format_time(time.time())}
    completed |= {it: order[it] for it in ("orderDocs", "status", "targetLanguage", "vttUrl")}
    with requests.Session() as session:
        session.trust_env = False  # no proxy: who is called is on this machine
        session.post(url, json=completed, timeout=5)
