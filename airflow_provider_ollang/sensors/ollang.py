"""The sensor that waits for orders."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
    get_current_context,
)

from airflow_provider_ollang import _parameters as parameters
from airflow_provider_ollang.api.errors import OllangError
from airflow_provider_ollang.api.models import is_one_of
from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators._base import (
    InvalidParameterError,
    OllangBaseOperator,
    Parameter,
)
from airflow_provider_ollang.operators._kill import cancel_unwanted, read_task_state
from airflow_provider_ollang.operators._preview import refuse_preview

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context, XComArg

    from airflow_provider_ollang.api.client import OllangClient

#: A worker that is told to stop has a few seconds before it is killed.
KILL_SECONDS = 4.0
#: Log at most one line about progress in this many seconds.
SECONDS_A_LINE = 60.0


class OrderStatusSensor(OllangBaseOperator, BaseSensorOperator):
    """Wait until every order has one of some statuses. Returns ``[{"id": …, "status": …}, …]``.

    Fails without retries once an order has one of ``failure_statuses``, does not exist, or is not
    accessible. Keeps waiting on unknown statuses, and through transient errors.

    Deferred, it holds no worker slot, and all sensors of a connection share one poller.

    :param order_ids: the orders, such as those that ``CreateOrderOperator`` returns
    :param target_statuses: wait until every order has one of these
    :param failure_statuses: fail when an order has one of these
    :param deferrable: whether to wait in the triggerer; ``[operators] default_deferrable`` if left
        out
    :param cancel_on_kill: cancel the orders that have none of ``target_statuses``, which cannot be
        undone, when a user ends the task, it is killed and not retried, or it times out. A worker
        that is stopped or restarted kills its tasks: set ``retries``, or defer. Never on success, a
        clear, or a restart of the triggerer. Deferred before Airflow 3.3, or between two looks in
        mode ``reschedule``, only when it times out
    :param ollang_conn_id: the connection
    """

    _order_ids = Parameter(parameters.awaited_order_ids)
    _target_statuses = Parameter(parameters.awaited_statuses)
    _failure_statuses = Parameter(parameters.awaited_statuses)
    _cancel_on_kill = Parameter(parameters.flag)

    ui_color = "#cfe2f3"

    _context: Context
    _poking: OllangClient
    _killer: OllangClient | None = None
    #: Whether orders may be cancelled; not before the parameters are known.
    _may_cancel = False
    #: How far the orders were at the last look.
    _standing = ""

    def __init__(
        self,
        *,
        order_ids: Collection[str] | XComArg,
        target_statuses: Collection[str] = ("completed", "delivered"),
        failure_statuses: Collection[str] = ("canceled", "cancelled", "failed"),
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        cancel_on_kill: bool | str = False,
        ollang_conn_id: str = "ollang_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.order_ids = order_ids
        self.target_statuses = target_statuses
        self.failure_statuses = failure_statuses
        self.deferrable = deferrable
        self.cancel_on_kill = cancel_on_kill
        self.ollang_conn_id = ollang_conn_id
        self._created: dict[str, str | None] = {}
        self._failures = 0
        self._back_off_seconds = 0.0
        self._logged_at = 0.0
        self._check_parameters()
        self._check_wait()

    def _check_wait(self) -> None:
        """Refuse what no single parser can see."""
        statuses = (self.target_statuses, self.failure_statuses)
        both: set[str] = set()
        if not any(map(parameters.is_rendered_later, statuses)):
            targets, failures = (parameters.awaited_statuses("", it) for it in statuses)
            both = set(targets) & set(failures)
        if not isinstance(self.deferrable, bool):  # the text 'False' would be true
            error = parameters.invalid("deferrable", self.deferrable, "True or False, no template")
        elif not self.poke_interval > 0:  # 0 would ask the API all the time
            error = parameters.invalid("poke_interval", self.poke_interval, "seconds above 0")
        elif both:
            expected = "other statuses than target_statuses"
            error = parameters.invalid("failure_statuses", sorted(both), expected)
        else:
            return
        raise InvalidParameterError(f"{error.message} (task {self.task_id!r})") from error

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """Wait for the orders, here or in the triggerer.

        :return: the orders' ids and statuses
        :raises AirflowFailException: an order failed, or cannot be read
        :raises AirflowSensorTimeout: time is up
        """
        self._context = context
        with self._airflow_exceptions(), self._cancelling_on_timeout():
            self._prepare()
            if self.deferrable:
                with self._client() as client:
                    return self._look(client) or self._defer()
            if self._may_cancel:  # on_kill is too late to ask Airflow for it
                self._killer = OllangHook(self._ollang_conn_id).get_conn()
            with self._client() as self._poking:
                orders: list[dict[str, Any]] = super().execute(context)
                return orders

    def _prepare(self) -> None:
        self._take_parameters()
        self._created = dict.fromkeys(self._order_ids)
        if self._cancel_on_kill:
            try:
                refuse_preview(self._context)  # a run that may be a preview never cancels
                self._refuse_ignored_settings(self._context)
                self._may_cancel = True
            except AirflowFailException as error:
                self.log.warning("cancel_on_kill has no effect. %s", error)

    def _defer(self) -> NoReturn:
        from airflow_provider_ollang.triggers.ollang import OrderStatusTrigger

        self.defer(
            trigger=OrderStatusTrigger(
                created=self._created,
                target_statuses=self._target_statuses,
                failure_statuses=self._failure_statuses,
                deadline=time.time() + self.timeout,
                poke_interval=self.poke_interval,
                cancel_on_kill=self._may_cancel,
                ollang_conn_id=self._ollang_conn_id,
            ),
            method_name=self.execute_complete.__name__,
            # Only for a trigger that does not run: it ends at its deadline by itself.
            timeout=timedelta(seconds=self.timeout + 2 * self.poke_interval + SECONDS_A_LINE),
        )

    def execute_complete(self, context: Context, event: Any = None) -> list[dict[str, Any]]:
        """Return, or raise, what the trigger's event says."""
        with self._airflow_exceptions():
            match event:
                case {"event": "done", "statuses": dict(statuses)} if all(
                    is_one_of(statuses.get(it), self._target_statuses) for it in self._order_ids
                ):
                    return [{"id": it, "status": statuses[it]} for it in self._order_ids]
                case {"event": "failed", "message": str(message)}:
                    raise AirflowFailException(f"{message} {self._where()}")
                case {"event": "timeout", "message": str(message)}:
                    with self._client() as client:  # an order that is done is not cancelled
                        if orders := self._look(client):
                            return orders
                    standing = self._standing or message
                    raise AirflowSensorTimeout(f"Timed out after {self.timeout:g} s: {standing}.")
        # Not one of Airflow's exceptions: under soft_fail, those would skip the task.
        raise RuntimeError(f"The trigger ended with an unexpected event: {event!s:.2000}")

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at the orders once."""
        orders = self._look(self._poking)
        return PokeReturnValue(orders is not None, orders)

    def _get_next_poke_interval(
        self, started_at: Any, run_duration: Callable[[], float], poke_count: int
    ) -> float:
        """Return Airflow's interval, or after an error a longer one that ends with the timeout."""
        interval: float = super()._get_next_poke_interval(started_at, run_duration, poke_count)
        return max(interval, min(self._back_off_seconds, self.timeout - run_duration()))

    def _look(self, client: OllangClient) -> list[dict[str, Any]] | None:
        """Return the orders if all are done, ``None`` if not, or after a transient error."""
        from airflow_provider_ollang.api._watching import Progress, read_orders, seconds_to_back_off

        try:
            seen = {it.id: it for it in read_orders(client, self._created)}
        except OllangError as error:
            if error.is_final or self._is_killed:
                raise
            self._failures += 1
            self._back_off_seconds = seconds_to_back_off(self._failures, error.retry_after)
            self._log_line(f"{error}. Checking again later.")
            return None
        self._failures, self._back_off_seconds = 0, 0.0
        self._created = {it.id: it.created_at for it in seen.values()}
        progress = Progress(self._order_ids, seen, self._target_statuses, self._failure_statuses)
        self._standing = str(progress)
        self._log_line(f"{progress}.")
        if progress.failed:
            raise AirflowFailException(f"{progress.failure()} {self._where()}")
        if progress.waiting:
            return None
        return [{"id": it.id, "status": it.status} for it in progress.reached]

    def _log_line(self, text: str) -> None:
        now = time.monotonic()
        if now - self._logged_at >= SECONDS_A_LINE:
            self._logged_at = now
            self.log.info("%s", text)

    def resume_execution(
        self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context
    ) -> Any:
        """Go on after the trigger, or fail where Airflow has ended it."""
        self._context = context
        with self._airflow_exceptions():
            self._prepare()
        with self._cancelling_on_timeout():
            return super().resume_execution(next_method, next_kwargs, context)

    @contextmanager
    def _cancelling_on_timeout(self) -> Iterator[None]:
        """Cancel the orders if time is up, also where ``soft_fail`` makes a skip of it."""
        try:
            yield
        except Exception as error:
            reason = error.__cause__ if isinstance(error, AirflowSkipException) else error
            is_timeout = isinstance(reason, (AirflowSensorTimeout, AirflowTaskTimeout))
            # Where Airflow 2 itself ends a trigger, only the text says so.
            if reason is None or is_timeout or str(reason) == "Trigger timeout":
                self._cancel_orders()
            raise

    def on_kill(self) -> None:
        """Look no more; cancel the orders if that is asked for, and nobody else will wait."""
        super().on_kill()
        try:
            if not hasattr(self, "_values"):  # after a deferral, Airflow 2 asks a new instance
                self._context = get_current_context()
                self._prepare()
        except Exception:
            self.log.info("No orders were cancelled: the task ended before it began to wait.")
            return
        # In a thread: the signal may have come while this one was speaking with Airflow.
        thread = threading.Thread(target=self._cancel_orders, args=(self._is_over,), daemon=True)
        thread.start()
        thread.join(KILL_SECONDS)

    def _is_over(self) -> bool:
        """Return whether the task has ended, and no further try will wait."""
        ti = self._context["ti"]
        state = read_task_state(ti)
        is_last_try = ti.try_number > ti.max_tries
        if state in ("failed", "skipped") or (state == "running" and is_last_try):
            return True
        self.log.info("No orders were cancelled: the task is %s, and may run again.", state)
        return False

    def _cancel_orders(self, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Cancel the orders if that is asked for. Never raises: the task has ended another way."""
        try:
            if self._may_cancel and is_wanted():
                cancel_unwanted(
                    self._ollang_conn_id,
                    self._order_ids,
                    self.log,
                    target_statuses=self._target_statuses,
                    client=self._killer,
                )
        except Exception:
            self.log.exception("The orders were not cancelled")
