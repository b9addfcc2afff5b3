"""Which orders are stale: the rule, and what it finds."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from heapq import nsmallest
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_provider_ollang.api._secret import Masked
from airflow_provider_ollang.api._validation import check_order_id
from airflow_provider_ollang.api.errors import InvalidInputError, OrderNotFoundError
from airflow_provider_ollang.api.models import (
    CANCELLED_STATUSES,
    STATUSES,
    Order,
    OrderPage,
    OrderQuery,
    is_one_of,
    parse_time,
    quoted,
)
from airflow_provider_ollang.cleanup.conditions import (
    EARLIEST,
    Conditions,
    NamePattern,
    is_id,
    is_id_of,
)

if TYPE_CHECKING:
    from airflow_provider_ollang.api.client import OllangClient

#: Pages of the listing, or single orders, that are read in parallel.
READERS = 8
_READ_AHEAD = 100
#: The API's clock may be behind ours by this much.
CLOCK_TOLERANCE = timedelta(minutes=5)
#: In a shorter listing, most orders may be invalid by chance.
LEAST_TO_JUDGE = 10
#: A longer text is cut: one name may be as long as all the others together.
MAX_TEXT = 1000

#: The statuses that do not make an order invalid. ``review`` is in the official SDK.
EXPECTED_STATUSES = STATUSES | CANCELLED_STATUSES | {"review"}


@dataclass(frozen=True)
class StaleRule:
    """What makes an order stale: the parameters of ``FindStaleOrdersOperator`` of the same names.

    Everything that is set must hold; an invalid order is never stale.
    """

    reference_time: datetime
    older_than: timedelta
    statuses: Collection[str] = ("pending",)
    order_types: Collection[str] | None = None
    project_ids: Collection[str] | None = None
    folder_ids: Collection[str] | None = None
    exclude_folder_ids: Collection[str] = ()
    name_matches: NamePattern | None = None
    exclude_name_matches: NamePattern | None = None
    exclude_order_ids: Collection[str] = ()

    @property
    def cut_off(self) -> datetime:
        """Orders created later than this are not stale."""
        # In a zone with daylight saving time, Python subtracts hours of the clock on the wall; and
        # pendulum, which Airflow gives, loses the standard library's UTC when it subtracts.
        reference_time = self.reference_time.astimezone(UTC).isoformat()
        return datetime.fromisoformat(reference_time) - self.older_than

    @property
    def asks_for_folders(self) -> bool:
        """Whether each order has to be read, since a listing does not show its folder."""
        return self.folder_ids is not None or bool(self.exclude_folder_ids)

    def without_folders(self) -> StaleRule:
        """Return the rule as far as a listing shows whether it holds."""
        return replace(self, folder_ids=None, exclude_folder_ids=())

    def query(self, *, of_any_age: bool = False) -> OrderQuery:
        """Return the listing to read: oldest first, so that new orders do not shift its pages.

        It asks for less where that is one value, which is only for speed: all is checked again.
        """
        if of_any_age:
            return OrderQuery(status=_only(self.statuses))
        return OrderQuery(
            created_to=self.cut_off,
            order_type=_only(self.order_types),
            status=_only(self.statuses),
            project_id=_only(self.project_ids),
        )

    def matches(self, order: Order) -> bool:
        """Return whether a valid order is stale, if no exclusion applies to it."""
        return (
            self.criteria.unmet(order) is None
            and (self.order_types is None or is_one_of(order.type, self.order_types))
            and (self.project_ids is None or is_one_of(order.project_id, self.project_ids))
        )

    def invalid_reason(self, order: Order) -> str | None:
        """Return why an order is invalid, ``None`` if it is not."""
        try:
            check_order_id(order.id, field="id")
        except InvalidInputError:
            return f"its id is {quoted(order.id)}"
        created = order.created
        if created is None or created < EARLIEST:
            return f"its createdAt is {quoted(order.created_at)}"
        if not is_one_of(order.status, EXPECTED_STATUSES):
            return f"its status is {quoted(order.status)}"
        if self.exclude_name_matches and not isinstance(order.name, str):
            return f"its name is {quoted(order.name)}, and exclude_name_matches is set"
        if isinstance(order.name, Masked):  # it is not the name that people see
            return "its name holds the API key"
        if self.asks_for_folders and not is_id(order.folder_id):
            return f"its folderId is {quoted(order.folder_id)}, and the rule names folders"
        return None

    @cached_property
    def criteria(self) -> Conditions:
        """What holds for each stale order."""
        return Conditions(
            self.statuses,
            name_matches=self.name_matches,
            folder_ids=self.folder_ids,
            created_before=self.cut_off,
        )

    @cached_property
    def exclusions(self) -> Conditions:
        """What a valid order is left alone by."""
        return Conditions(
            exclude_order_ids=self.exclude_order_ids,
            exclude_name_matches=self.exclude_name_matches,
            exclude_folder_ids=self.exclude_folder_ids or None,
        )


class StaleOrder(NamedTuple):
    """A stale order: what a person needs to judge it. Its age is in days, to one decimal."""

    id: str
    name: str | None
    type: str | None
    status: str
    createdAt: str
    projectId: str | None
    age: float
    sourceLanguage: str | None = None
    targetLanguage: str | None = None


@dataclass(slots=True)
class Finding:
    """What was found.

    :param orders: the stale ones, oldest first
    :param examined: the number of orders in the listing
    :param excluded: how many of them are not stale only because of an exclusion
    :param invalid: the invalid orders, each with the reason
    :param with_status: the number of valid orders that have one of the rule's ``statuses``
    :param not_found: ids of orders that were listed, but not found when they were read
    :param unmatched_ids: ids that the rule names and no order had, by the rule's parameter
    :param failure: why the finding cannot be relied on, if so
    """

    orders: list[StaleOrder] = field(default_factory=list)
    examined: int = 0
    excluded: int = 0
    invalid: list[str] = field(default_factory=list)
    with_status: int = 0
    not_found: list[str] = field(default_factory=list)
    unmatched_ids: dict[str, dict[str, str]] = field(default_factory=dict)
    failure: str | None = None

    def add(self, order: Order, rule: StaleRule) -> bool:
        """Add an order where it belongs, and return whether it is valid."""
        self._note_ids(order)
        if reason := rule.invalid_reason(order):
            self.invalid.append(f"order {quoted(order.id)} ({quoted(order.name)}): {reason}")
            return False
        if not rule.matches(order):
            return True
        if rule.exclusions.unmet(order):
            self.excluded += 1
        else:
            self.orders.append(_stale_order(order, rule.reference_time))
        return True

    def _note_ids(self, order: Order) -> None:
        excluded = self.unmatched_ids.get("exclude_order_ids", {})
        for it in [it for it in excluded if is_id_of(it, str(order.id))]:
            del excluded[it]
        for name, value in (
            ("exclude_folder_ids", str(order.folder_id).casefold()),
            ("project_ids", str(order.project_id)),
            ("folder_ids", str(order.folder_id)),
        ):
            self.unmatched_ids.get(name, {}).pop(value, None)


def find_stale_orders(
    client: OllangClient, rule: StaleRule, *, of_any_age: bool = False
) -> Finding:
    """Read the whole listing and return the orders that are stale by the rule.

    :param of_any_age: read every order that has one of the rule's ``statuses``, however young, so
        that ``with_status`` counts all of them
    :raises InvalidInputError: the rule's ``reference_time`` is later than the API's own clock
    :raises OllangError: the listing, or an order in it whose folder is asked for, could not be read
    """
    finding = Finding(
        unmatched_ids={
            "exclude_order_ids": {it.casefold(): it for it in rule.exclude_order_ids},
            "project_ids": {it: it for it in rule.project_ids or ()},
        }
    )
    listed_rule = rule.without_folders()
    query, check = rule.query(of_any_age=of_any_age), partial(_check_clock, rule)
    for order in client.iter_orders(query, readers=READERS, check=check):
        finding.examined += 1
        is_valid = finding.add(order, listed_rule)
        finding.with_status += is_valid and is_one_of(order.status, rule.statuses)
    if finding.examined >= LEAST_TO_JUDGE and 2 * len(finding.invalid) > finding.examined:
        finding.failure = f"{len(finding.invalid)} of {finding.examined} listed orders are invalid"
    if rule.asks_for_folders and finding.orders:
        _read_folders(client, rule, finding)
    # The server was asked to sort, but may not have done so.
    finding.orders.sort(key=lambda order: parse_time(order.createdAt) or rule.cut_off)
    return finding


def select(
    orders: Sequence[StaleOrder], limit: int | None, reference_time: datetime
) -> list[StaleOrder]:
    """Return up to ``limit`` of the orders, in their order.

    Each run takes another selection, and each try of a run the same one, so that a few orders that
    can never be cancelled do not keep the rest from being reached.

    :param reference_time: what tells one run from another
    """
    if limit is None or len(orders) <= limit:
        return list(orders)
    run = reference_time.astimezone(UTC).isoformat()

    def rank(number: int) -> bytes:
        return hashlib.sha256(f"{run} {orders[number].id}".encode()).digest()

    return [orders[number] for number in sorted(nsmallest(limit, range(len(orders)), key=rank))]


def exceeded_safety_limit(
    stale: int, with_status: int | None, max_orders: int | None, max_share: float | None
) -> str | None:
    """Return which safety limit is exceeded, or ``None``. A limit of 0 allows none.

    :param stale: the number of stale orders
    :param with_status: the number of orders, of any age, that have one of the rule's statuses
    :param max_share: the share of ``with_status``, 0 to 1
    """
    if max_orders is not None and stale > max_orders:
        return f"{stale} stale orders, max_orders={max_orders}"
    share = stale / with_status if with_status else math.inf if stale else 0.0
    if max_share is not None and share > max_share:
        return (
            f"{stale} of {with_status} orders with these statuses are stale ({share:.2%}), "
            f"max_share={max_share:.2%}"
        )
    return None


def _check_clock(rule: StaleRule, page: OrderPage) -> None:
    """Raise if the API's clock has not reached the reference time: young orders would look old."""
    if page.server_time and rule.reference_time > page.server_time + CLOCK_TOLERANCE:
        raise InvalidInputError(
            f"reference_time: {rule.reference_time.isoformat()} is later than the API's own clock, "
            f"{page.server_time.isoformat()}: young orders would look old. Check the clock of the "
            "machines that Airflow runs on, and reference_time if it is set."
        )


def _read_folders(client: OllangClient, rule: StaleRule, finding: Finding) -> None:
    """Read each candidate once, and keep those that are stale in their folder too."""
    candidates = [order.id for order in finding.orders]
    invalid = len(finding.invalid)
    finding.orders = []
    finding.unmatched_ids |= {
        "exclude_folder_ids": {it.casefold(): it for it in rule.exclude_folder_ids},
        "folder_ids": {it: it for it in rule.folder_ids or ()},
    }
    for order_id, order in _read_each(client, candidates):
        if order is None:
            finding.not_found.append(order_id)
        else:
            finding.add(order, rule)
    count = len(candidates)
    if count >= LEAST_TO_JUDGE and len(finding.invalid) - invalid == count:
        finding.failure = f"all {count} orders that were read for their folder are invalid"


def _read_each(client: OllangClient, ids: Sequence[str]) -> Iterator[tuple[str, Order | None]]:
    """Yield each order as it is now, ``None`` for one that is not found."""

    def read(order_id: str) -> Order | None:
        try:
            return client.get_order(order_id)
        except OrderNotFoundError:
            return None

    pool = ThreadPoolExecutor(READERS, thread_name_prefix="ollang-order")
    try:
        for start in range(0, len(ids), _READ_AHEAD):
            some = ids[start : start + _READ_AHEAD]
            yield from zip(some, pool.map(read, some), strict=True)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _only(values: Collection[str] | None) -> str | None:
    return next(iter(values)) if values is not None and len(values) == 1 else None


def _text(value: Any) -> str | None:
    if value is None:
        return None
    text = str(value)
    # One object for all orders that have the same text: it halves the memory of 100,000 orders.
    return sys.intern(text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…")


def _stale_order(order: Order, reference_time: datetime) -> StaleOrder:
    assert order.created is not None  # noqa: S101 - the rule has seen it
    return StaleOrder(
        id=order.id,
        name=_text(order.name),
        type=_text(order.type),
        status=sys.intern(str(order.status)),
        createdAt=order.created_at,
        projectId=_text(order.project_id),
        # In Airflow 2 it is pendulum's, which cannot be divided by a timedelta.
        age=round((reference_time - order.created).total_seconds() / 86_400, 1),
        sourceLanguage=_text(order.source_language),
        targetLanguage=_text(order.target_language),
    )
