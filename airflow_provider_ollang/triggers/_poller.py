"""One poller for all triggers of a connection in a triggerer.

It reads the orders that all of them wait for with the client that everything else uses, in a
thread. It starts with the first trigger that waits, and ends with the last one.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from asgiref.sync import sync_to_async

from airflow_provider_ollang.api._watching import Snapshot, read_orders, seconds_to_back_off
from airflow_provider_ollang.api.errors import OllangError, with_hint
from airflow_provider_ollang.hooks.ollang import OllangHook

if TYPE_CHECKING:
    from airflow_provider_ollang.api.client import OllangClient

#: Seconds after which a poller looks at the latest whether a reading is due.
TICK = 1.0

#: The running pollers: one for each event loop and connection.
_pollers: dict[tuple[asyncio.AbstractEventLoop, str], _Poller] = {}


class PollingFailedError(Exception):
    """Orders can never be read: waiting on is of no use."""


@contextmanager
def waiting(
    ollang_conn_id: str, created: Mapping[str, str | None], interval: float
) -> Iterator[Waiter]:
    """Have orders read, together with those that others wait for.

    :param ollang_conn_id: the connection
    :param created: the ``createdAt`` text of each order, ``None`` where it is unknown
    :param interval: seconds between two readings
    """
    key = (asyncio.get_running_loop(), ollang_conn_id)
    poller = _pollers.get(key) or _Poller(key)
    waiter = Waiter(created, interval)
    poller.waiters.add(waiter)
    try:
        yield waiter
    finally:
        poller.waiters.remove(waiter)
        if not poller.waiters:
            poller.end()


class Waiter:
    """What one trigger waits for, and what is known of it."""

    def __init__(self, created: Mapping[str, str | None], interval: float) -> None:
        self.created = dict(created)
        self.interval = interval
        self.read_at = time.monotonic()
        #: The orders as they were last seen.
        self.seen: dict[str, Snapshot] = {}
        #: Why the last reading was not complete; it is tried again.
        self.problem: str | None = None
        self._failure: Exception | None = None
        self._was_read = asyncio.Event()

    async def next_reading(self) -> None:
        """Return when the orders have been read again.

        :raises PollingFailedError: the orders can never be read
        """
        await self._was_read.wait()
        self._was_read.clear()
        if self._failure:
            raise self._failure

    def tell(self, seen: Mapping[str, Snapshot], problem: str | None) -> None:
        """Take what a reading has found."""
        self.read_at = time.monotonic()
        self.seen |= {order_id: seen[order_id] for order_id in self.created.keys() & seen.keys()}
        self.created |= {it.id: it.created_at for it in self.seen.values() if it.created_at}
        self.problem = problem
        self._was_read.set()

    def fail(self, error: Exception) -> None:
        """End the wait."""
        self._failure = error
        self._was_read.set()


class _Poller:
    """Reads orders for its waiters, round after round."""

    def __init__(self, key: tuple[asyncio.AbstractEventLoop, str]) -> None:
        self.waiters: set[Waiter] = set()
        self._key = key
        self._client: OllangClient | None = None
        self._failures = 0
        self._not_before = 0.0
        # A thread of its own, so that a slow API takes none from other triggers.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ollang-poller")
        # In an empty context, or it would write into the log of its first waiter.
        self._task = key[0].create_task(self._run(), context=contextvars.Context())
        _pollers[key] = self

    def end(self) -> None:
        """Read no more. Whoever waits next gets another poller."""
        if _pollers.get(self._key) is self:
            del _pollers[self._key]
        self._task.cancel()
        self._drop_client()
        self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        try:
            while True:
                await asyncio.sleep(min(TICK, *(it.interval for it in self.waiters)))
                await self._read()
        except Exception as error:
            for waiter in self.waiters:
                waiter.fail(error)
            self.end()

    async def _read(self) -> None:
        """Read the orders of all who wait if one is due, but not of those who were just told."""
        now = time.monotonic()
        waits = [(now - waiter.read_at) / waiter.interval for waiter in self.waiters]
        if now < self._not_before or max(waits) < 1:
            return
        due = [waiter for waiter, wait in zip(self.waiters, waits, strict=True) if wait >= 0.5]
        created = {k: v for waiter in due for k, v in waiter.created.items()}
        seen: dict[str, Snapshot] = {}
        is_new = self._client is None
        problem = None
        # In a thread that Airflow knows of: it is asked for its connection there.
        look = sync_to_async(self._look, thread_sensitive=False, executor=self._thread)
        try:
            await look(created, seen)
            self._failures = 0
        except OllangError as error:
            problem = self._put_off(error, is_new)
        for waiter in due:
            waiter.tell(seen, problem)

    def _look(self, created: Mapping[str, str | None], seen: dict[str, Snapshot]) -> None:
        try:
            client = self._client = self._client or OllangHook(self._key[1]).get_conn()
        except AirflowNotFoundException as error:
            raise PollingFailedError(str(error)) from error
        except OllangError:
            raise
        except Exception as error:  # Airflow itself could not be asked
            raise OllangError(f"{type(error).__name__}: {error}") from error
        seen.update((it.id, it) for it in read_orders(client, created))

    def _put_off(self, error: OllangError, is_new: bool) -> str:
        """Put off the next round, or end it all if no later one can help."""
        if error.is_final and is_new:
            raise PollingFailedError(with_hint(str(error), error.hint)) from error
        if error.is_final:  # the connection may have a new key by now
            self._drop_client()
        self._failures += 1
        wait = seconds_to_back_off(self._failures, error.retry_after)
        self._not_before = time.monotonic() + wait
        return f"{error}. Checking again in {wait:.0f} s."

    def _drop_client(self) -> None:
        if self._client:
            self._client.rate_limiter.stop()
            self._thread.submit(self._client.close)
            self._client = None
