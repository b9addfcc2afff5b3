"""The operator that creates orders, and pays for them once."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_ollang import _parameters as parameters
from airflow_provider_ollang.api.adoption import Watermark, look_for_created, read_watermark
from airflow_provider_ollang.api.creation import (
    CREATABLE_TYPES,
    DUBBING_STYLES,
    SUB_TYPES,
    CreatedOrder,
    OrderRequest,
)
from airflow_provider_ollang.api.errors import OllangError, OrderNotFoundError
from airflow_provider_ollang.api.models import CANCELLED_STATUSES, is_one_of
from airflow_provider_ollang.operators._base import OllangBaseOperator, OptionalParameter, Parameter
from airflow_provider_ollang.operators._dag_run import start_of_run
from airflow_provider_ollang.operators._preview import push_preview_params

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_ollang.api.client import OllangClient

log = logging.getLogger(__name__)


class CreateOrderOperator(OllangBaseOperator):
    """Create orders. Returns the ids of all orders that the request created, as a list.

    There may be more orders than languages: subtitles come with a ``cc`` order.

    Creating costs money, and the API cannot tell a repeated request from a new one. If the
    response is lost, nothing is sent again: the task looks for new orders of the project, and
    adopts them if they are exactly what was asked for; otherwise it fails without retries and says
    what to check. A retry does the same first. On Airflow 3.3 and newer, the ids are kept in the
    task's state store, so that a retry or a cleared task adopts the orders instead of paying twice;
    if all of them were cancelled, it creates new ones.

    :param project_id: the project to create orders in
    :param order_type: ``cc``, ``subtitle``, ``document``, ``aiDubbing`` or ``studioDubbing``
    :param target_languages: language codes (``"fr"``), or the API's objects
        (``{"language": "fr", "isRush": true}``)
    :param level: 0 for AI only, 1 for a human review
    :param order_sub_type: ``closedCaption`` or ``timecodedTranscription``
    :param dubbing_style: ``overdub``, ``lipsync`` or ``audioDescription``
    :param callback_url: gets a ``POST`` for each order that completes, sometimes two
    :param auto_qc: whether the result is checked automatically
    :param selected_memories: ids of up to 20 translation memories
    :param ollang_conn_id: the connection
    """

    _project_id = Parameter(parameters.identity)
    _order_type = Parameter(parameters.choice(*CREATABLE_TYPES))
    _target_languages = Parameter(parameters.target_languages)
    _level = Parameter(parameters.whole_number(0, 1))
    _order_sub_type = OptionalParameter(parameters.choice(*SUB_TYPES))
    _dubbing_style = OptionalParameter(parameters.choice(*DUBBING_STYLES))
    _callback_url = OptionalParameter(parameters.callback_url)
    _auto_qc = OptionalParameter(parameters.flag)
    _selected_memories = OptionalParameter(parameters.names)

    ui_color = "#d5ead8"

    def __init__(
        self,
        *,
        project_id: str,
        order_type: str,
        target_languages: Collection[str | Mapping[str, Any]],
        level: int | str = 0,
        order_sub_type: str | None = None,
        dubbing_style: str | None = None,
        callback_url: str | None = None,
        auto_qc: bool | str | None = None,
        selected_memories: Collection[str] | None = None,
        ollang_conn_id: str = "ollang_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.project_id = project_id
        self.order_type = order_type
        self.target_languages = target_languages
        self.level = level
        self.order_sub_type = order_sub_type
        self.dubbing_style = dubbing_style
        self.callback_url = callback_url
        self.auto_qc = auto_qc
        self.selected_memories = selected_memories
        self.ollang_conn_id = ollang_conn_id
        self._check_parameters()

    def execute(self, context: Context) -> list[str]:
        """Create the orders, or adopt those that an earlier try has created.

        :return: the ids of all of them
        :raises AirflowFailException: trying again cannot help, or could pay twice
        :raises AirflowException: nothing was created, or a retry finds out
        """
        push_preview_params(context)
        with self._airflow_exceptions():
            self._take_parameters()
            request = OrderRequest(
                project_id=self._project_id,
                order_type=self._order_type,
                target_languages=self._target_languages,
                level=self._level,
                order_sub_type=self._order_sub_type,
                dubbing_style=self._dubbing_style,
                callback_url=self._callback_url,
                auto_qc=self._auto_qc,
                selected_memories=self._selected_memories,
            )
            store = _Store(context.get("task_state_store"), request)
            with self._client() as client:
                orders = self._adopt(client, request, store, context)
                orders = orders or self._create(client, request, store)
        for order in orders:
            self.log.info("Order %s (%s)", order.id, order.type or request.order_type)
        if len(orders) < len(request.target_languages):
            self.log.warning(
                "The API created %d orders for %d languages. Check in Ollang what is missing.",
                len(orders),
                len(request.target_languages),
            )
        return [order.id for order in orders]

    def _adopt(
        self, client: OllangClient, request: OrderRequest, store: _Store, context: Context
    ) -> list[CreatedOrder]:
        """Return what an earlier try of the task has created; nothing if it must be created."""
        if ids := store.ids:
            return self._adopt_kept(client, ids)
        if not (before := store.before):
            if store.is_available or context["ti"].try_number <= 1:
                return []
            before = Watermark(start_of_run(context))
        self.log.info("Looking for orders that an earlier try of this task has created.")
        orders = look_for_created(client, request, before)
        if orders:
            store.keep_ids(orders)
        return orders

    def _adopt_kept(self, client: OllangClient, ids: list[str]) -> list[CreatedOrder]:
        try:
            orders = [client.get_order(order_id) for order_id in ids]
        except OrderNotFoundError as error:
            raise AirflowFailException(
                f"{error}. An earlier try of this task created it, so nothing was created now. If "
                "it has been deleted, trigger a new run to create all of them again."
            ) from error
        cancelled = [str(it.id) for it in orders if is_one_of(it.status, CANCELLED_STATUSES)]
        if len(cancelled) == len(ids):
            self.log.info("The orders of an earlier try are cancelled. Creating new ones.")
            return []
        if cancelled:
            raise AirflowFailException(
                f"{len(cancelled)} of the {len(ids)} orders that an earlier try of this task "
                f"created are cancelled: {', '.join(cancelled):.500}. Nothing was created. Cancel "
                "the rest too and clear this task, or trigger a new run, to create all again."
            )
        self.log.info("An earlier try of this task created the orders, so none is created now.")
        return [CreatedOrder(str(it.id), str(it.type)) for it in orders]

    def _create(
        self, client: OllangClient, request: OrderRequest, store: _Store
    ) -> list[CreatedOrder]:
        before = read_watermark(client)
        store.keep_before(before)
        try:
            orders = client.create_order(request)
        except OllangError as error:
            if not error.response_lost:
                store.forget()
                raise
            orders = self._find_lost(client, request, before, error)
        store.keep_ids(orders)
        return orders

    def _find_lost(
        self, client: OllangClient, request: OrderRequest, before: Watermark, error: OllangError
    ) -> list[CreatedOrder]:
        self.log.warning(
            "Orders may have been created, but no response says so (%s). Looking for them.", error
        )
        try:
            orders = look_for_created(client, request, before)
        except OllangError as failure:
            failure.message = f"orders may have been created ({error}): {failure.message}"
            raise
        if orders:
            self.log.info("Found exactly what was asked for: %d new orders.", len(orders))
            return orders
        raise AirflowFailException(
            f"The create request got no usable response ({error}), and no new order of project "
            f"{request.project_id} was found. It is not sent again, as that could pay twice. Check "
            "in Ollang that there is none, then clear this task: it looks again, and creates the "
            f"orders if there are none. {self._where()}"
        )


class _Store:
    """What the tries of a task tell each other: Airflow 3.3 and newer can keep it.

    :param store: Airflow's own store, ``None`` where there is none
    :param request: what the task asks for; what was kept for another request does not count
    """

    _KEY = "ollang_create"

    def __init__(self, store: Any, request: OrderRequest) -> None:
        self._store = store
        languages = sorted(it.language for it in request.target_languages)
        kind = (request.order_type, request.order_sub_type, request.dubbing_style)
        self._request = [request.project_id, *kind, request.level, languages]
        kept: dict[str, Any] = (store and store.get(self._KEY)) or {}
        if kept and kept["request"] != self._request:
            log.warning(
                "An earlier try of this task created orders for another request: %s. They are left "
                "alone; cancel them if nobody needs them.",
                kept.get("ids", "unknown ids"),
            )
            kept = {}
        #: Whether something can be kept at all.
        self.is_available = store is not None
        #: The ids of the orders that an earlier try has created.
        self.ids: list[str] | None = kept.get("ids")
        #: What was there before an earlier try sent its request, if it does not know the ids.
        self.before = Watermark.from_json(kept["before"]) if "before" in kept else None

    def keep_before(self, before: Watermark) -> None:
        """Keep that a request is about to be sent."""
        self._keep(before=before.to_json())

    def keep_ids(self, orders: Collection[CreatedOrder]) -> None:
        """Keep what was created; if that fails, the ids are in the log."""
        ids = [order.id for order in orders]
        try:
            self._keep(ids=ids)
        except Exception:  # Airflow's store may be down; the orders exist anyway
            log.exception("The ids of the created orders could not be kept: %s", ids)

    def forget(self) -> None:
        """Keep nothing: nothing was created."""
        if self.is_available:
            self._store.delete(self._KEY)

    def _keep(self, **fields: Any) -> None:
        if self.is_available:
            value = {"request": self._request, **fields}
            # That is Airflow's NEVER_EXPIRE: else a clear after 30 days would pay twice.
            self._store.set(self._KEY, value, retention=timedelta.max)
