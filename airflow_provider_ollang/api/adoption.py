"""Which orders a request has created whose response was lost.

The API has no idempotency key. So the newest order is noted before the request; what appears after
it, by the API's own clock, may be the request's. It is only taken for that if it is exactly what
was asked for.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_ollang.api.creation import CreatedOrder, OrderRequest
from airflow_provider_ollang.api.errors import AmbiguousOrdersError
from airflow_provider_ollang.api.models import (
    CANCELLED_STATUSES,
    Order,
    OrderQuery,
    format_time,
    is_one_of,
    parse_time,
)

if TYPE_CHECKING:
    from airflow_provider_ollang.api.client import OllangClient

#: Orders that a request creates too. Source: the public repository ollang/sdk, "createOrder".
COMPANIONS: Mapping[str, str] = {"subtitle": "cc", "aiDubbing": "cc"}

#: Seconds before each look for new orders: a slow server may still be creating them.
LOOK_AFTER_SECONDS = (0, 1, 2, 4, 8, 15, 30)
#: What is created later is not the request's: a connection's ``timeout`` is 10 minutes at most.
LONGEST_REQUEST = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Watermark:
    """What was there before a request, so that what it creates can be told apart.

    :param since: when the newest order was created; ``None`` if there was no order
    :param known: ids of the orders that were created in that same moment
    :param until: when the request has ended for certain; ``None`` if that is unknown
    """

    since: datetime | None = None
    known: frozenset[str] = frozenset()
    until: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as it can be kept."""
        times = {"since": format_time(self.since), "until": format_time(self.until)}
        return {**times, "known": sorted(self.known)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Watermark:
        """Return what :meth:`to_json` has kept."""
        since, until = parse_time(fields["since"]), parse_time(fields["until"])
        return cls(since, frozenset(fields["known"]), until)


def read_watermark(client: OllangClient) -> Watermark:
    """Return what is there now.

    :raises OllangError: the listing could not be read
    """
    page = client.list_orders(OrderQuery(direction="desc"))
    now = page.server_time or datetime.now(UTC)
    # An order from the future must not make the new ones look old.
    times = [min(order.created, now) for order in page.orders if order.created]
    known = frozenset(str(it.id) for it in page.orders)
    return Watermark(max(times, default=None), known, now + LONGEST_REQUEST)


def find_created(
    client: OllangClient, request: OrderRequest, before: Watermark
) -> list[CreatedOrder]:
    """Return the orders that a request has created, possibly none.

    :param request: what was asked for
    :param before: what was there before the request was sent
    :raises AmbiguousOrdersError: there are new orders, but not exactly those
    :raises OllangError: they could not be read
    """
    query = OrderQuery(created_from=before.since, project_id=request.project_id)
    found = match_orders((it for it in client.iter_orders(query) if _is_new(it, before)), request)
    for order in found:
        level = client.get_order(order.id).other.get("level")
        if order.type == request.order_type and level not in (None, request.level):
            raise AmbiguousOrdersError(
                f"the new order has level {level!r:.20}, expected {request.level}",
                order_id=order.id,
            )
    return found


def look_for_created(
    client: OllangClient, request: OrderRequest, before: Watermark
) -> list[CreatedOrder]:
    """Return what :func:`find_created` does, after a minute unless all is there before."""
    expected = {request.order_type, COMPANIONS.get(request.order_type, request.order_type)}
    found: list[CreatedOrder] = []
    problem: AmbiguousOrdersError | None = None
    for seconds in LOOK_AFTER_SECONDS:
        client.rate_limiter.sleep(seconds)
        try:
            found, problem = find_created(client, request, before), None
        except AmbiguousOrdersError as error:  # the others may follow
            problem = error
        if not problem and {order.type for order in found} == expected:
            break
    if problem:
        raise problem
    return found


def match_orders(orders: Iterable[Order], request: OrderRequest) -> list[CreatedOrder]:
    """Return those of new orders that a request asked for, and what the API adds to them.

    :param orders: orders that were created since the request
    :raises AmbiguousOrdersError: they are not exactly what was asked for
    """
    candidates = [
        order
        for order in orders
        if order.project_id == request.project_id
        and not is_one_of(order.status, CANCELLED_STATUSES)
    ]
    wanted = Counter(it.language.lower() for it in request.target_languages)
    found = [
        order
        for order in candidates
        if order.type == request.order_type and _language_of(order) in wanted
    ]
    if not found:
        return []
    # What the API adds is in the language of an order, or in that of its source.
    languages = {it.target_language for it in found} | {it.source_language for it in found}
    kind = COMPANIONS.get(request.order_type)
    added = [it for it in candidates if it.type == kind and it.target_language in languages]
    # A second one in a language is somebody else's.
    is_exact = len({it.target_language for it in added}) == len(added)
    if not is_exact or Counter(map(_language_of, found)) != wanted:
        listed = ", ".join(f"{it.id} ({it.type}, {it.target_language})" for it in found + added)
        raise AmbiguousOrdersError(
            f"asked for {request.order_type} orders in "
            f"{', '.join(it.language for it in request.target_languages)} of project "
            f"{request.project_id}; the response was lost, and these orders are new: {listed:.500}"
        )
    return [CreatedOrder(str(order.id), str(order.type)) for order in found + added]


def _is_new(order: Order, before: Watermark) -> bool:
    if not order.id or str(order.id) in before.known or order.created is None:
        return False
    is_late = before.until is not None and order.created > before.until
    return not is_late and (before.since is None or order.created >= before.since)


def _language_of(order: Order) -> str:
    return str(order.target_language).lower()
