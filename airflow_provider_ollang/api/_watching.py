"""Where orders stand: read with few requests, and what that means for who waits for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_ollang.api.errors import AccessDeniedError, OrderNotFoundError, ServerError
from airflow_provider_ollang.api.models import (
    FINAL_STATUSES,
    STATUSES,
    Order,
    OrderQuery,
    is_one_of,
    parse_time,
    quoted,
)

if TYPE_CHECKING:
    from airflow_provider_ollang.api.client import OllangClient

#: Seconds before the first new reading after an error; they double up to the longest.
FIRST_BACKOFF, LONGEST_BACKOFF = 5.0, 300.0

#: The API takes times in milliseconds: an order must not be cut off with a fraction of one.
_MILLISECOND = timedelta(milliseconds=1)
#: An order from later than this is read by itself: no time is a millisecond after the last one.
_LATEST = datetime.max.replace(tzinfo=UTC) - _MILLISECOND


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An order as it was read.

    :param id: the order's id
    :param status: its status, of whatever kind; ``None`` if it could not be read
    :param created_at: its ``createdAt`` text
    :param problem: why it can never be read
    """

    id: str
    status: Any = None
    created_at: str | None = None
    problem: str | None = None

    @classmethod
    def of(cls, order: Order) -> Snapshot:
        """Return what matters of an order."""
        return cls(str(order.id), order.status, order.created_at if order.created else None)


def read_orders(client: OllangClient, created: Mapping[str, str | None]) -> Iterator[Snapshot]:
    """Yield each order as it is now, as soon as it is read.

    A page of the listing shows 50 orders, so it is read newest first, and skips to the newest order
    that is still missing. That is never more than one request for each order, but for those that
    the listing does not show: they are read by themselves, at the end.

    :param created: the ``createdAt`` text of each order, ``None`` where it is unknown
    :raises OllangError: a request failed, and not only for one order among others; what was yielded
        before is true
    """
    missing = dict(created)
    yield from _read_newest(client, missing)
    yield from _read_dated(client, missing)
    failure = None
    for order_id in list(missing):
        try:
            yield _read_one(client, order_id, missing)
        except ServerError as error:  # of this order alone, if others are read
            failure = error
    if failure and len(missing) == len(created):
        raise failure


def _read_newest(client: OllangClient, missing: dict[str, str | None]) -> Iterator[Snapshot]:
    """Look for orders of unknown age among the newest, as long as that saves requests."""
    number = 0
    while sum(text is None for text in missing.values()) > 1:
        page = client.list_orders(OrderQuery(direction="desc"), page=(number := number + 1))
        found = list(_take(page.orders, missing))
        yield from found
        if len(found) < 2 or not page.has_next:
            return


def _read_dated(client: OllangClient, missing: dict[str, str | None]) -> Iterator[Snapshot]:
    """Look for orders of known age, always for the newest that is still missing."""
    times = {order_id: parse_time(text) for order_id, text in missing.items()}
    dated = sorted((time, order_id) for order_id, time in times.items() if time and time < _LATEST)
    query, number, oldest = OrderQuery(), 0, None
    while dated := [it for it in dated if it[1] in missing]:
        until = dated[-1][0] + _MILLISECOND
        if oldest is None or until < oldest:
            query, number = OrderQuery(created_to=until, direction="desc"), 0
        # Else it is on the next page: many orders can be created in one moment.
        page = client.list_orders(query, page=(number := number + 1))
        found = list(_take(page.orders, missing))
        yield from found
        oldest = min((it.created for it in page.orders if it.created), default=None)
        if not found:
            dated.pop()
        if not page.has_next:
            return


def _take(orders: Iterable[Order], missing: dict[str, str | None]) -> Iterator[Snapshot]:
    for order in orders:
        if is_one_of(order.id, missing):
            del missing[order.id]
            yield Snapshot.of(order)


def _read_one(client: OllangClient, order_id: str, missing: dict[str, str | None]) -> Snapshot:
    try:
        snapshot = Snapshot.of(client.get_order(order_id))
    except (OrderNotFoundError, AccessDeniedError) as error:
        snapshot = Snapshot(order_id, problem=str(error))
    del missing[order_id]
    return snapshot


@dataclass(frozen=True, slots=True)
class Progress:
    """How far orders are that somebody waits for.

    :param reached: those that have a status that was waited for
    :param failed: those that will never have one
    :param waiting: all others: how many, by their statuses
    """

    reached: list[Snapshot]
    failed: list[Snapshot]
    waiting: Counter[str]

    @classmethod
    def of(
        cls,
        order_ids: Collection[str],
        seen: Mapping[str, Snapshot],
        target_statuses: Collection[str],
        failure_statuses: Collection[str],
    ) -> Progress:
        """Return how far the orders are, as they were seen; unknown statuses are waited on."""
        reached, failed, waiting = [], [], Counter[str]()
        for order_id in order_ids:
            snapshot = seen.get(order_id, Snapshot(order_id))
            if snapshot.problem or is_one_of(snapshot.status, failure_statuses):
                failed.append(snapshot)
            elif is_one_of(snapshot.status, target_statuses):
                reached.append(snapshot)
            else:
                waiting[_status_of(snapshot)] += 1
        return cls(reached, failed, waiting)

    @property
    def is_over(self) -> bool:
        """Whether waiting on can change nothing."""
        return bool(self.failed) or not self.waiting

    def __str__(self) -> str:
        """Say it in a sentence."""
        total = len(self.reached) + len(self.failed) + self.waiting.total()
        parts = [f"{number} {status}" for status, number in self.waiting.most_common()]
        text = f"{len(self.reached)} of {total} orders done"
        return f"{text}, waiting for {', '.join(parts)}" if parts else text

    def failure(self) -> str:
        """Return which orders failed, and how."""
        parts = [it.problem or f"order {it.id} is {it.status}" for it in self.failed]
        text = "; ".join(parts[:10])
        return f"{len(parts)} orders failed: {text}" if len(parts) > 1 else text


def seconds_to_back_off(failures: int, retry_after: float | None) -> float:
    """Return how long to wait after a number of failed looks in a row."""
    backoff = min(LONGEST_BACKOFF, FIRST_BACKOFF * 2.0 ** min(failures - 1, 10))
    return max(retry_after or 0.0, backoff)


def _status_of(snapshot: Snapshot) -> str:
    """Return a status as a sentence shows it; one on no list is shown in quotation marks."""
    if is_one_of(snapshot.status, STATUSES | FINAL_STATUSES):
        return str(snapshot.status)
    return "unread" if snapshot.status is None else quoted(snapshot.status)
