"""The life of an order: how long it stays in a status, and the call when it is completed."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.request import ProxyHandler, Request, build_opener

from airflow_provider_ollang.sandbox._model import (
    COMPLETED,
    ONGOING,
    PENDING,
    Order,
    format_time,
    parse_numbers,
)

if TYPE_CHECKING:
    from airflow_provider_ollang.sandbox._orders import Orders

CALLBACK_TIMEOUT = 5.0
_WITHOUT_PROXY = build_opener(ProxyHandler({}))  # who is called is on this machine
MAX_SECONDS = 1_000_000


@dataclass(frozen=True)
class Lifecycle:
    """How many seconds an order stays pending, and then ongoing, before it is completed."""

    pending: float = 0.0
    ongoing: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Lifecycle | None:
        """Return the schedule of a text such as ``pending=30,ongoing=60``; ``None`` for none.

        :raises ValueError: another status, or not a number.
        """
        seconds = parse_numbers(text, "lifecycle", (PENDING, ONGOING), most=MAX_SECONDS)
        return cls(**seconds) if seconds else None

    @property
    def seconds(self) -> float:
        """How long it takes from an order's creation to its completion."""
        return self.pending + self.ongoing

    def changes(self, created: float) -> list[tuple[float, str, str]]:
        """Return each moment at which an order's status changes, from which one to which."""
        begun = created + self.pending
        return [(begun, PENDING, ONGOING), (created + self.seconds, ONGOING, COMPLETED)]


class Callbacks:
    """Calls the ``callbackUrl`` of orders when they are completed; a failing receiver is ignored.

    :param lifecycle: what created orders go through; ``None`` if they never are completed.
    :param twice: the share of the orders for which it calls a second time.
    """

    def __init__(
        self, orders: Orders, lifecycle: Lifecycle | None, twice: float, seed: int
    ) -> None:
        self._orders = orders
        self._lifecycle = lifecycle
        self._twice = twice
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._tasks: set[asyncio.Task[None]] = set()

    def expect(self, url: str, order_ids: Sequence[str]) -> None:
        """Call ``url`` for each of these orders, which were just created, once it is completed."""
        if self._lifecycle is None:
            return
        due = time.time() + self._lifecycle.seconds
        for order_id in order_ids:
            calls = 2 if self._random.random() < self._twice else 1
            task = asyncio.create_task(self._call(url, order_id, due, calls))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _call(self, url: str, order_id: str, due: float, calls: int) -> None:
        while (left := due - time.time()) > 0:
            await asyncio.sleep(left)
        order = self._orders.get(order_id)
        if order is None or order["status"] != COMPLETED:
            return
        for _ in range(calls):
            with suppress(OSError, ValueError):
                await asyncio.to_thread(_post, url, _payload(order))


def _payload(order: Order) -> bytes:
    fields = ("orderDocs", "status", "targetLanguage", "vttUrl")
    completed = {"orderId": order["id"], "orderType": order["type"]}
    completed |= {"completedAt": format_time(time.time())}
    return json.dumps(completed | {field: order[field] for field in fields}).encode()


def _post(url: str, body: bytes) -> None:
    request = Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - checked
    with _WITHOUT_PROXY.open(request, timeout=CALLBACK_TIMEOUT):
        pass
