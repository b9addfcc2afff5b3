"""Where orders stand: read with few requests, and what that means for who waits for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_ollang.api.errors import AccessDeniedError, OrderNotFoundError, ServerError
from airflow_provider_ollang.api.models import Order, OrderQuery, is_one_of, parse_time, quoted

if TYPE_CHECKING:
    from airflow_provider_ollang.api.client import OllangClient

#: Seconds before the first new reading after an error; they double up to the longest.
FIRST_BACKOFF, LONGEST_BACKOFF = 5.0, 300.0

_UNKNOWN = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An order as it was read. ``problem`` says why it can never be read."""

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
    that is still missing. Orders that it does not show are read by themselves, at the end.

    :param created: the ``createdAt`` text of each order, ``None`` where it is unknown
    :raises OllangError: a request failed, and not only for one order among others; what was yielded
        before is true
    """
    missing = set(created)
    for order in _listed(client, created, missing):
        yield Snapshot.of(order)
    failures = []
    for order_id in missing:
        try:
            yield Snapshot.of(client.get_order(order_id))
        except (OrderNotFoundError, AccessDeniedError) as error:
            yield Snapshot(order_id, problem=str(error))
        except ServerError as error:  # of this order alone, if others are read
            failures.append(error)
    if failures and len(failures) == len(created):
        raise failures[-1]


def _listed(
    client: OllangClient, created: Mapping[str, str | None], missing: set[str]
) -> Iterator[Order]:
    """Look for orders in the listing, always for the newest that is still missing.

    One of unknown age may be the newest of all. Each order that is found is removed from
    ``missing``.
    """
    times = {order_id: parse_time(created[order_id]) or _UNKNOWN for order_id in missing}
    newest, number = None, 0
    while times := {it: time for it, time in times.items() if it in missing}:
        # Many orders can be created in one moment: they may fill more than a page.
        number = number + 1 if max(times.values()) == newest else 1
        newest = max(times.values())
        # The API takes milliseconds: an order must not be cut off with a fraction of one.
        until = newest + timedelta(milliseconds=1) if newest.year < _UNKNOWN.year else None
        page = client.list_orders(OrderQuery(created_to=until, direction="desc"), page=number)
        found = [order for order in page.orders if is_one_of(order.id, missing)]
        yield from found
        missing.difference_update(order.id for order in found)
        if not page.has_next:
            return
        if not found:
            times = {it: time for it, time in times.items() if time < newest}


class Progress:
    """How far orders are that somebody waits for, as they were last seen."""

    def __init__(
        self,
        order_ids: Collection[str],
        seen: Mapping[str, Snapshot],
        target_statuses: Collection[str],
        failure_statuses: Collection[str],
    ) -> None:
        #: Those that have a status that was waited for.
        self.reached: list[Snapshot] = []
        #: Those that will never have one.
        self.failed: list[Snapshot] = []
        #: How many others there are, by their statuses; unknown ones are waited on.
        self.waiting = Counter[str]()
        for order_id in order_ids:
            snapshot = seen.get(order_id, Snapshot(order_id))
            if snapshot.problem or is_one_of(snapshot.status, failure_statuses):
                self.failed.append(snapshot)
            elif is_one_of(snapshot.status, target_statuses):
                self.reached.append(snapshot)
            else:
                is_read = snapshot.status is not None
                self.waiting[quoted(snapshot.status).strip("'") if is_read else "unread"] += 1

    def __str__(self) -> str:
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
