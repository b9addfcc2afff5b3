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
    poller = _pollers.get(key)
    if poller is None or poller.has_ended:
        poller = _pollers[key] = _Poller(ollang_conn_id)
    waiter = Waiter(created, interval)
    poller.add(waiter)
    try:
        yield waiter
    finally:
        poller.remove(waiter)
        if poller.has_ended and _pollers.get(key) is poller:
            del _pollers[key]


class Waiter:
    """What one trigger waits for, and what is known of it.

    :param created: the ``createdAt`` text of each order, ``None`` where it is unknown
    :param interval: seconds between two readings
    """

    def __init__(self, created: Mapping[str, str | None], interval: float) -> None:
        self.created = dict(created)
        self.interval = interval
        self.read_at = time.monotonic()
        #: The orders as they were last seen.
        self.seen: dict[str, Snapshot] = {}
        #: Why the last reading was not complete; it is tried again.
        self.problem: str | None = None
        self._failure: Exception | None = None
        self._changed = asyncio.Event()

    @property
    def due(self) -> float:
        """When the orders are to be read next."""
        return self.read_at + self.interval

    async def changed(self) -> None:
        """Return when something else is known than before.

        :raises PollingFailedError: the orders can never be read
        """
        await self._changed.wait()
        self._changed.clear()
        if self._failure:
            raise self._failure

    def tell(self, seen: Mapping[str, Snapshot], problem: str | None) -> None:
        """Take what a reading has found, and wake who waits if it is new."""
        found = {order_id: seen[order_id] for order_id in self.created.keys() & seen.keys()}
        self.created |= {it.id: it.created_at for it in found.values() if it.created_at}
        if self.problem != problem or self.seen != self.seen | found:
            self.seen |= found
            self.problem = problem
            self._changed.set()

    def fail(self, error: Exception) -> None:
        """End the wait."""
        self._failure = error
        self._changed.set()


class _Poller:
    """Reads orders for its waiters, round after round."""

    def __init__(self, ollang_conn_id: str) -> None:
        self.has_ended = False
        self._ollang_conn_id = ollang_conn_id
        self._waiters: set[Waiter] = set()
        self._client: OllangClient | None = None
        self._failures = 0
        self._not_before = self._next_round = 0.0
        self._joined = asyncio.Event()
        # A thread of its own, so that a slow API takes none from other triggers.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ollang-poller")
        # In an empty context, or it would write into the log of its first waiter.
        self._task = asyncio.get_running_loop().create_task(
            self._run(), context=contextvars.Context()
        )

    def add(self, waiter: Waiter) -> None:
        self._waiters.add(waiter)
        if waiter.due < self._next_round:
            self._joined.set()

    def remove(self, waiter: Waiter) -> None:
        """Forget a waiter; end if it was the last one."""
        self._waiters.discard(waiter)
        if not self._waiters:
            self.has_ended = True
            self._task.cancel()
            self._drop_client()
            self._thread.shutdown(wait=False)

    async def _run(self) -> None:
        try:
            while True:
                await self._wait_for_round()
                await self._read()
        except Exception as error:  # nobody may wait for a poller that has ended
            self.has_ended = True
            for waiter in self._waiters:
                waiter.fail(error)

    async def _wait_for_round(self) -> None:
        while True:
            self._joined.clear()
            first_due = min(waiter.due for waiter in self._waiters)
            self._next_round = max(first_due, self._not_before)
            try:
                async with asyncio.timeout(max(0.0, self._next_round - time.monotonic())):
                    await self._joined.wait()
            except TimeoutError:
                return

    async def _read(self) -> None:
        """Read the orders of all who wait, but for those who have just been told."""
        now = time.monotonic()
        due = [it for it in self._waiters if now - it.read_at >= it.interval / 2]
        seen, problem = await self._snapshots({k: v for it in due for k, v in it.created.items()})
        now = time.monotonic()
        for waiter in due:
            waiter.read_at = now
            waiter.tell(seen, problem)

    async def _snapshots(
        self, created: Mapping[str, str | None]
    ) -> tuple[dict[str, Snapshot], str | None]:
        """Return the orders as they are now, and what went wrong if some are missing."""
        seen: dict[str, Snapshot] = {}
        is_new = self._client is None
        try:
            client = await self._connected()
        except (AirflowNotFoundException, OllangError) as error:  # the connection is wrong
            raise PollingFailedError(str(error)) from error
        except Exception as error:  # Airflow itself could not be asked
            return seen, self._put_off(f"{type(error).__name__}: {error}", None)
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._thread,
                lambda: seen.update((it.id, it) for it in read_orders(client, created)),
            )
        except OllangError as error:
            return seen, self._take_problem(error, is_new)
        self._failures = 0
        return seen, None

    async def _connected(self) -> OllangClient:
        """Return the client; Airflow is asked for its connection in a thread that it knows of."""
        if self._client is None:
            look_up = sync_to_async(
                OllangHook(self._ollang_conn_id).get_conn,
                thread_sensitive=False,
                executor=self._thread,
            )
            self._client = await look_up()
        return self._client

    def _take_problem(self, error: OllangError, is_new: bool) -> str:
        """Put off the next round, or end it all if no later one can help."""
        if error.is_final and is_new:
            raise PollingFailedError(with_hint(str(error), error.hint)) from error
        if error.is_final:  # the connection may have a new key by now
            self._drop_client()
        return self._put_off(str(error), error.retry_after)

    def _put_off(self, problem: str, retry_after: float | None) -> str:
        self._failures += 1
        wait = seconds_to_back_off(self._failures, retry_after)
        self._not_before = time.monotonic() + wait
        return f"{problem}. Checking again in {wait:.0f} s."

    def _drop_client(self) -> None:
        if self._client:
            self._client.rate_limiter.stop()
            self._thread.submit(self._client.close)
            self._client = None
