"""The trigger that waits for orders without a worker."""

from __future__ import annotations

import asyncio
import inspect
import time
import traceback
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import suppress
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_ollang.api._watching import Progress, Snapshot
from airflow_provider_ollang.api.errors import OllangError, with_hint
from airflow_provider_ollang.operators._kill import cancel_unwanted, read_task_state
from airflow_provider_ollang.triggers._poller import Poller, shared_poller

#: Log at most one line about progress in this many seconds.
SECONDS_A_LINE = 60.0
#: States of a task that a person, or a run's timeout, has ended. In any other state, "success",
#: "deferred" (cleared, or moved to another triggerer) and "queued" among them, somebody still
#: wants the orders.
ENDED_STATES = frozenset({"failed", "skipped"})


class OrderStatusTrigger(BaseTrigger):
    """Waits until orders have reached a status, failed, or run out of time.

    Its events are ``{"event": "done" | "failed" | "timeout" | "error", …}``. It never raises: under
    ``soft_fail``, Airflow would take a bug for a timeout.

    :param created: the ``createdAt`` text of each order, ``None`` where it is unknown
    :param target_statuses: waits until every order has one of these
    :param failure_statuses: ends when an order has one of these
    :param deadline: when to end at the latest, in seconds since 1970
    :param poke_interval: seconds between two looks
    :param cancel_on_kill: whether to cancel the orders if a user ends the task (Airflow 3.3)
    :param ollang_conn_id: the connection
    """

    def __init__(
        self,
        *,
        created: Mapping[str, str | None],
        target_statuses: Collection[str],
        failure_statuses: Collection[str],
        deadline: float,
        poke_interval: float,
        cancel_on_kill: bool,
        ollang_conn_id: str,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.created = dict(created)
        self.target_statuses = list(target_statuses)
        self.failure_statuses = list(failure_statuses)
        self.deadline = deadline
        self.poke_interval = poke_interval
        self.cancel_on_kill = cancel_on_kill
        self.ollang_conn_id = ollang_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes the same trigger again. Airflow keeps it as plain JSON."""
        names = inspect.signature(OrderStatusTrigger).parameters
        return (
            "airflow_provider_ollang.triggers.ollang.OrderStatusTrigger",
            {name: getattr(self, name) for name in names},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and yield one event."""
        try:
            with shared_poller(self.ollang_conn_id) as poller:
                event = await self._wait(poller)
        except OllangError as error:
            event = {"event": "failed", "message": with_hint(str(error), error.hint)}
        except Exception:
            event = {"event": "error", "message": traceback.format_exc()}
        yield TriggerEvent(event)  # type: ignore[no-untyped-call]

    async def _wait(self, poller: Poller) -> dict[str, Any]:
        seen: dict[str, Snapshot] = {}
        logged, logged_at = "", time.monotonic()
        while True:
            progress = Progress(self.created, seen, self.target_statuses, self.failure_statuses)
            line = f"{progress}. {poller.problem}"
            if line != logged and time.monotonic() - logged_at >= SECONDS_A_LINE:
                logged, logged_at = line, time.monotonic()
                self.log.info("%s", line)
            if progress.failed:
                return {"event": "failed", "message": progress.failure()}
            if not progress.waiting:
                reached = {it.id: it.status for it in progress.reached}
                return {"event": "done", "statuses": reached}
            left = self.deadline - time.time()
            if left <= 0:
                return {"event": "timeout", "message": str(progress)}
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    seen |= await poller.next_reading(self.created, self.poke_interval)
            self.created |= {it.id: it.created_at for it in seen.values() if it.created_at}

    async def on_kill(self) -> None:
        """Cancel the orders if a user, or the run's timeout, has ended the task (Airflow 3.3).

        Airflow calls this also when the task is cleared or marked as success, or moves to another
        triggerer: the task's state tells.
        """
        if self.cancel_on_kill and self.task_instance:
            # Airflow gives this a second; what is in a thread by then runs to its end.
            await asyncio.shield(asyncio.to_thread(self._cancel_if_ended, self.task_instance))

    def _cancel_if_ended(self, task_instance: Any) -> None:
        try:
            state = read_task_state(task_instance)
            if state in ENDED_STATES:
                cancel_unwanted(
                    self.ollang_conn_id,
                    list(self.created),
                    self.log,
                    target_statuses=self.target_statuses,
                )
            else:
                self.log.info("No orders were cancelled: the task is %s.", state)
        except Exception:
            self.log.exception("The orders were not cancelled: %s", ", ".join(self.created))
