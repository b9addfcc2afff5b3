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
from airflow_provider_ollang.api.errors import InvalidInputError, OllangError
from airflow_provider_ollang.hooks.ollang import OllangHook

if TYPE_CHECKING:
    from airflow_provider_ollang.api.client import OllangClient

#: How long a reading waits for other triggers that are about to join it.
GATHER_SECONDS = 0.1

#: The running pollers: one for each event loop and connection.
_pollers: dict[tuple[asyncio.AbstractEventLoop, str], Poller] = {}


@contextmanager
def shared_poller(ollang_conn_id: str) -> Iterator[Poller]:
    """Yield the poller of a connection; the last one to leave ends it."""
    key = (asyncio.get_running_loop(), ollang_conn_id)
    poller = _pollers[key] = _pollers.get(key) or Poller(ollang_conn_id)
    poller.users += 1
    try:
        yield poller
    finally:
        poller.users -= 1
        if not poller.users:
            del _pollers[key]
            poller.end()


class Poller:
    """Reads orders for all who wait for some."""

    def __init__(self, ollang_conn_id: str) -> None:
        self.users = 0
        self._ollang_conn_id = ollang_conn_id
        self._client: OllangClient | None = None
        self._wanted: dict[str, str | None] = {}
        self._reading: asyncio.Task[dict[str, Snapshot]] | None = None
        self._failures = 0
        self._not_before = 0.0
        #: Why the last reading was not complete, if so; it is tried again.
        self.problem = ""
        # A thread of its own, so that a slow API takes none from other triggers.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ollang-poller")

    async def next_reading(
        self, created: Mapping[str, str | None], interval: float
    ) -> dict[str, Snapshot]:
        """Return the orders as they are when they are read next, together with those of others.

        :param created: the ``createdAt`` text of each order, ``None`` where it is unknown
        :param interval: seconds between two readings
        :raises OllangError: the orders can never be read
        """
        # All who have the same interval wait for the same moment.
        await asyncio.sleep(interval - time.monotonic() % interval)
        self._wanted |= created
        if self._reading is None:
            # In an empty context, or it would write into the log of the first who waits.
            self._reading = asyncio.get_running_loop().create_task(
                self._read(), context=contextvars.Context()
            )
        seen = await asyncio.shield(self._reading)
        return {order_id: seen[order_id] for order_id in created.keys() & seen.keys()}

    def end(self) -> None:
        """Read no more."""
        if self._reading:
            self._reading.cancel()
        self._drop_client()
        self._thread.shutdown(wait=False)

    async def _read(self) -> dict[str, Snapshot]:
        await asyncio.sleep(GATHER_SECONDS)
        created, self._wanted, self._reading = self._wanted, {}, None
        seen: dict[str, Snapshot] = {}
        if time.monotonic() < self._not_before:
            return seen
        is_new = self._client is None
        # In a thread that Airflow knows of: it is asked for its connection there.
        look = sync_to_async(self._look, thread_sensitive=False, executor=self._thread)
        try:
            await look(created, seen)
            self._failures, self.problem = 0, ""
        except OllangError as error:
            if error.is_final and is_new:
                raise
            self._put_off(error)
        return seen

    def _look(self, created: Mapping[str, str | None], seen: dict[str, Snapshot]) -> None:
        try:
            client = self._client = self._client or OllangHook(self._ollang_conn_id).get_conn()
        except OllangError:
            raise
        except AirflowNotFoundException as error:
            raise InvalidInputError(str(error)) from error
        except Exception as error:  # Airflow itself could not be asked
            raise OllangError(f"{type(error).__name__}: {error}") from error
        seen.update((it.id, it) for it in read_orders(client, created))

    def _put_off(self, error: OllangError) -> None:
        if error.is_final:  # the connection may have a new key by now
            self._drop_client()
        self._failures += 1
        wait = seconds_to_back_off(self._failures, error.retry_after)
        self._not_before = time.monotonic() + wait
        self.problem = f"{error}. Checking again in {wait:.0f} s."

    def _drop_client(self) -> None:
        if self._client:
            self._client.rate_limiter.stop()
            self._thread.submit(self._client.close)
            self._client = None
