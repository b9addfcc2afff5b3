"""The orders that the sandbox holds in memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Any

from airflow_provider_ollang.sandbox import creation, instants
from airflow_provider_ollang.sandbox.generation import (
    OTHER_CLIENT_ID,
    PROJECT_IDS,
    Order,
    OrderGenerator,
)
from airflow_provider_ollang.sandbox.listing import ListingQuery, Selection
from airflow_provider_ollang.sandbox.refusals import (
    ACCESS_DENIED,
    ORDER_ALREADY_CANCELLED,
    ORDER_NOT_CANCELLABLE,
    ORDER_NOT_FOUND,
    PROJECT_NOT_FOUND,
    RefusedError,
)
from airflow_provider_ollang.sandbox.vocabulary import CANCELLED, ONGOING, PENDING

EARLY = timedelta(hours=12)
"""How long after its creation an ongoing order can still be cancelled."""

_KEPT_SELECTIONS = 16


class Orders:
    """The account's orders, and a few of another account; safe to use from any thread.

    Whatever is handed out is a copy: changing it changes no order.

    :param count: how many orders the account starts with.
    :param seed: decides those orders, apart from their ages being counted from the start.
    """

    def __init__(self, count: int = 240, seed: int = 0) -> None:
        self._count = count
        self._seed = seed
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Start over with the seed's orders, their ages counted from now."""
        with self._lock:
            self._generator = OrderGenerator(self._seed, time.time())
            self._own = list(self._generator.own(self._count))
            self._own_by_id = {order["id"]: order for order in self._own}
            self._foreign = {order["id"]: order for order in self._generator.foreign()}
            self._forget()

    def clear(self) -> None:
        """Drop every order, so that a test can add just what it needs."""
        with self._lock:
            self._own.clear()
            self._own_by_id.clear()
            self._foreign.clear()
            self._forget()

    def add(
        self,
        /,
        *,
        age: timedelta = timedelta(days=1),
        foreign: bool = False,
        without: Collection[str] = (),
        **fields: Any,
    ) -> Order:
        """Add an order and return it: pending and a day old, unless told otherwise.

        :param age: how long ago it was created.
        :param foreign: whether it belongs to another account: unlisted, and answered with 403.
        :param without: names of fields that the order shall lack.
        :param fields: any fields by their names in the API, with any values, broken ones too.
        """
        with self._lock:
            order = self._generator.plain(age.total_seconds(), now=time.time())
            order |= {"clientId": OTHER_CLIENT_ID} if foreign else {}
            order |= fields
            for field in without:
                del order[field]
            self._keep(order, foreign)
            return dict(order)

    def change(self, order_id: str, /, **fields: Any) -> Order:
        """Set fields of an order and return it.

        :raises KeyError: there is no such order.
        """
        with self._lock:
            order = self._own_by_id.get(order_id) or self._foreign[order_id]
            order.update(fields)
            self._forget()
            return dict(order)

    def get(self, order_id: str) -> Order | None:
        """Return an order of either account, or ``None`` where there is none."""
        with self._lock:
            order = self._own_by_id.get(order_id) or self._foreign.get(order_id)
            return dict(order) if order is not None else None

    def where(self, /, **fields: Any) -> list[Order]:
        """Return the account's orders whose fields have these values."""
        return [
            order
            for order in self
            if all(order.get(name) == value for name, value in fields.items())
        ]

    @property
    def foreign(self) -> list[Order]:
        """The orders that belong to another account."""
        with self._lock:
            return [dict(order) for order in self._foreign.values()]

    def __iter__(self) -> Iterator[Order]:
        with self._lock:
            return iter([dict(order) for order in self._own])

    def __len__(self) -> int:
        with self._lock:
            return len(self._own)

    def page(self, query: ListingQuery) -> dict[str, Any]:
        """Return the API's answer to a listing's query."""
        with self._lock:
            return query.page_of(self._selected(query.selection))

    def read(self, order_id: str) -> Order:
        """Return an order as its account may read it.

        :raises RefusedError: 403 for another account's order, 404 for none.
        """
        with self._lock:
            return dict(self._accessible(order_id))

    def cancel(self, order_id: str) -> None:
        """Cancel an order as its account may.

        :raises RefusedError: 400, 403, 404 or 409, as the API documents them.
        """
        with self._lock:
            order = self._accessible(order_id)
            if order.get("status") == CANCELLED:
                raise RefusedError(ORDER_ALREADY_CANCELLED)
            if not _cancellable(order):
                raise RefusedError(ORDER_NOT_CANCELLABLE)
            order["status"] = CANCELLED
            self._forget_status()

    def begin(self, order_id: str) -> None:
        """Let the work on an order begin, if it is pending."""
        with self._lock:
            order = self._own_by_id.get(order_id)
            if order is not None and order.get("status") == PENDING:
                order["status"] = ONGOING
                self._forget_status()

    def create(self, body: Any) -> list[dict[str, str]]:
        """Create one order for each language of ``body``, and return the API's answer.

        :raises RefusedError: 400 for a bad body, 404 for an unknown project.
        """
        creation.check(body)
        if body["projectId"] not in PROJECT_IDS:
            raise RefusedError(PROJECT_NOT_FOUND)
        return [
            {"orderId": self.add(age=timedelta(), **fields)["id"]}
            for fields in creation.orders_of(body)
        ]

    def _accessible(self, order_id: str) -> Order:
        order = self._own_by_id.get(order_id)
        if order is None:
            raise RefusedError(ACCESS_DENIED if order_id in self._foreign else ORDER_NOT_FOUND)
        return order

    def _keep(self, order: Order, foreign: bool) -> None:
        by_id = self._foreign if foreign else self._own_by_id
        if isinstance(order.get("id"), str):
            by_id[order["id"]] = order
        if not foreign:
            self._own.append(order)
        self._forget()

    def _selected(self, selection: Selection) -> list[Order]:
        # Kept from page to page: sorting and filtering 100,000 orders takes a while.
        if selection not in self._selections:
            if len(self._selections) >= _KEPT_SELECTIONS:
                self._selections.clear()
            self._selections[selection] = self._select(selection)
        return self._selections[selection]

    def _select(self, selection: Selection) -> list[Order]:
        ascending = self._in_order(selection.order_by)
        candidates = reversed(ascending) if selection.descending else iter(ascending)
        return [order for order in candidates if selection.takes(order)]

    def _in_order(self, field: str) -> list[Order]:
        if field not in self._sorted:
            self._sorted[field] = sorted(self._own, key=lambda order: _sort_key(order, field))
        return self._sorted[field]

    def _forget(self) -> None:
        self._sorted: dict[str, list[Order]] = {}
        self._selections: dict[Selection, list[Order]] = {}

    def _forget_status(self) -> None:
        self._sorted.pop("status", None)
        self._selections.clear()


def _sort_key(order: Order, field: str) -> tuple[float | str, str]:
    # The id settles ties, or an order could show up on two pages.
    value = order.get(field)
    order_id = str(order.get("id", ""))
    return (instants.from_text(value) or 0.0 if field == "createdAt" else str(value)), order_id


def _cancellable(order: Order) -> bool:
    if order.get("status") == PENDING:
        return True
    created = instants.from_text(order.get("createdAt"))
    early = created is not None and time.time() - created < EARLY.total_seconds()
    return order.get("status") == ONGOING and early
