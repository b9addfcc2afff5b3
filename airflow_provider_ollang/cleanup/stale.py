"""Which orders are stale: the rule, and the finding."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.errors import InvalidInputError, UnexpectedAnswerError
from airflow_provider_ollang.api.models import (
    CANCELLED_STATUSES,
    STATUSES,
    Order,
    OrderQuery,
    is_one_of,
    parse_time,
)
from airflow_provider_ollang.api.secret import Masked
from airflow_provider_ollang.api.validation import check_order_id

SECONDS_A_DAY = 86_400
#: Pages of the listing that are read side by side.
READERS = 8
#: An earlier date is a placeholder, and would make a new order the oldest of all.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)

#: What a status may read without a warning. ``review`` is the official SDK's word.
EXPECTED_STATUSES = STATUSES | CANCELLED_STATUSES | {"review"}


@dataclass(frozen=True, slots=True)
class StaleRule:
    """What makes an order stale. All that is set must hold; an order in doubt is never stale.

    :param reference_time: the time that ages are counted to, with a zone
    :param older_than: the age from which an order is stale
    :param statuses: the order has one of these
    :param order_types: the order has one of these
    :param project_ids: the order belongs to one of these
    :param name_matches: the expression is found in the order's name
    :param exclude_name_matches: the expression is not found in the order's name
    :param exclude_order_ids: never these
    """

    reference_time: datetime
    older_than: timedelta
    statuses: Collection[str] = ("pending",)
    order_types: Collection[str] | None = None
    project_ids: Collection[str] | None = None
    name_matches: re.Pattern[str] | None = None
    exclude_name_matches: re.Pattern[str] | None = None
    exclude_order_ids: Collection[str] = ()

    @property
    def cut_off(self) -> datetime:
        """Orders created later than this are not stale."""
        return self.reference_time - self.older_than

    def query(self) -> OrderQuery:
        """Return the listing to read: oldest first, so that new orders do not shift its pages.

        It asks the server for less where one value says it all. That is for speed alone: what
        comes back is checked again.
        """
        return OrderQuery(
            created_to=self.cut_off,
            order_type=_only(self.order_types),
            status=_only(self.statuses),
            project_id=_only(self.project_ids),
        )

    def is_stale(self, order: Order) -> bool:
        """Return whether an order is stale. It has been asked for doubts before."""
        created = order.created
        return (
            created is not None
            and created <= self.cut_off
            and is_one_of(order.status, self.statuses)
            and (self.order_types is None or is_one_of(order.type, self.order_types))
            and (self.project_ids is None or is_one_of(order.project_id, self.project_ids))
            and (self.name_matches is None or _found(self.name_matches, order.name))
            and not _found(self.exclude_name_matches, order.name)
            and order.id not in self.exclude_order_ids
        )

    def doubt(self, order: Order) -> str | None:
        """Return why nothing certain can be said of an order, or ``None``."""
        try:
            check_order_id(order.id, field="id")
        except InvalidInputError:
            return f"its id is {order.id!r:.80}"
        if order.created is None:
            return f"its createdAt is {order.created_at!r:.80}"
        if order.created < EARLIEST:
            return f"its createdAt is {order.created_at!r:.80}, before there was such a service"
        if not is_one_of(order.status, EXPECTED_STATUSES):
            return f"its status is {order.status!r:.80}"
        if self.exclude_name_matches and not isinstance(order.name, str):
            return f"its name is {order.name!r:.80}, and exclude_name_matches is set"
        if isinstance(order.name, Masked):  # what it was matched against is not what it is
            return "its name holds the API key"
        return None


class StaleOrder(NamedTuple):
    """A stale order: what a person needs to judge it. Times as the API wrote them.

    :param age: days since its creation, to one decimal
    """

    id: str
    name: str | None
    type: str | None
    status: str
    createdAt: str
    projectId: str | None
    age: float


@dataclass(slots=True)
class Finding:
    """What a listing held.

    :param orders: the stale ones, oldest first
    :param examined: orders read
    :param doubtful: orders that nothing certain can be said of, and why; they are left alone
    """

    orders: list[StaleOrder] = field(default_factory=list)
    examined: int = 0
    doubtful: list[str] = field(default_factory=list)


def find_stale_orders(client: OllangClient, rule: StaleRule) -> Finding:
    """Read the whole listing and return the orders that are stale by the rule.

    :param client: the API
    :param rule: what makes an order stale
    :raises OllangError: the listing could not be read to its end; part of it is no finding
    """
    finding = Finding()
    for order in client.iter_orders(rule.query(), readers=READERS):
        finding.examined += 1
        if reason := rule.doubt(order):
            finding.doubtful.append(f"order {order.id!r:.80} ({order.name!r:.80}): {reason}")
        elif rule.is_stale(order):
            finding.orders.append(_stale_order(order, rule.reference_time))
    # The server was asked for this order; nothing says that it obeyed.
    finding.orders.sort(key=lambda order: parse_time(order.createdAt) or rule.cut_off)
    return finding


def count_all_orders(client: OllangClient) -> int:
    """Return how many orders the account has, of any age and status.

    :raises UnexpectedAnswerError: the API does not say
    :raises OllangError: any refusal or trouble, by its class
    """
    count = client.list_orders(take=1).item_count
    if count is None or count < 0:
        raise UnexpectedAnswerError(
            "the listing's meta.itemCount is missing: max_share cannot be checked"
        )
    return count


def tripped_wire(
    stale: int, *, total: int | None, max_orders: int | None, max_share: float | None
) -> str | None:
    """Return why so many stale orders are too many, or ``None``. A limit of 0 allows none.

    :param stale: how many orders are stale
    :param total: how many orders there are at all; needed for ``max_share``
    :param max_orders: the number that is still normal
    :param max_share: the share of all orders that is still normal, 0 to 1
    """
    if max_orders is not None and stale > max_orders:
        return f"{stale} orders are stale, max_orders allows {max_orders}"
    share = stale / total if total else math.inf if stale else 0.0
    if max_share is not None and share > max_share:
        return (
            f"{stale} of {total} orders are stale ({share:.2%}), max_share allows {max_share:.2%}"
        )
    return None


def _only(values: Collection[str] | None) -> str | None:
    return next(iter(values)) if values is not None and len(values) == 1 else None


def _found(pattern: re.Pattern[str] | None, name: Any) -> bool:
    return pattern is not None and isinstance(name, str) and pattern.search(name) is not None


def _text(value: Any) -> str | None:
    """Return a field as text that can be written: half a surrogate pair of JSON cannot."""
    return None if value is None else str(value).encode("utf-8", "replace").decode()


def _shared(value: Any) -> str | None:
    """Return a field as text, once for all orders that have the same: there may be many."""
    text = _text(value)
    return None if text is None else sys.intern(text)


def _stale_order(order: Order, reference_time: datetime) -> StaleOrder:
    assert order.created is not None  # noqa: S101 - is_stale has seen it
    return StaleOrder(
        id=order.id,
        name=_text(order.name),
        type=_shared(order.type),
        status=sys.intern(str(order.status)),
        createdAt=order.created_at,
        projectId=_shared(order.project_id),
        age=round((reference_time - order.created).total_seconds() / SECONDS_A_DAY, 1),
    )
