"""Orders as the API gives them. Unknown fields and unknown statuses are kept."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_ollang.api._validation import shown
from airflow_provider_ollang.api.creation import CREATABLE_TYPES

#: Source of both lists: https://api-docs.ollang.com, "Get order" and "List orders".
STATUSES = frozenset(
    {
        "pending",
        "ongoing",
        "completed",
        "revision",
        "delayed",
        "waitingForCC",
        "waitingForSubtitle",
        "delivered",
        "qualityCheck",
        "readyToSent",
    }
)
ORDER_TYPES = CREATABLE_TYPES | {"proofreading", "other", "revision"}
#: How a cancelled order may read: the API documents no word for it.
CANCELLED_STATUSES = frozenset({"cancelled", "canceled"})
#: Where an order ends without a result, or in a review. On no list of the reference; the official
#: SDKs know them (https://github.com/ollang/sdk).
FINAL_STATUSES = CANCELLED_STATUSES | {"failed", "review"}

_LONGEST_VALUE = 80

_KNOWN_FIELDS = {
    "id": "id",
    "name": "name",
    "type": "type",
    "status": "status",
    "createdAt": "created_at",
    "projectId": "project_id",
    "folderId": "folder_id",
    "sourceLanguage": "source_language",
    "targetLanguage": "target_language",
}


@dataclass(frozen=True, slots=True)
class Order:
    """One order. Every field is as the API sent it, ``None`` where it sent none.

    :param created_at: the ``createdAt`` text, unparsed; see ``created``
    :param folder_id: only a single order has one, a listing's orders never do
    :param other: all further fields, by the API's names
    """

    id: Any
    name: Any = None
    type: Any = None
    status: Any = None
    created_at: Any = None
    project_id: Any = None
    folder_id: Any = None
    source_language: Any = None
    target_language: Any = None
    other: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Order:
        """Return the order that a JSON object of the API describes."""
        known = {attribute: fields.get(name) for name, attribute in _KNOWN_FIELDS.items()}
        other = {name: value for name, value in fields.items() if name not in _KNOWN_FIELDS}
        return cls(**known, other=other)

    @property
    def created(self) -> datetime | None:
        """When it was created, in UTC; ``None`` where ``createdAt`` is not a time with a zone."""
        return parse_time(self.created_at)


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page of a listing.

    :param orders: the page's orders
    :param page: the page's number, from 1
    :param item_count: how many orders the whole listing has, where the API says so
    :param has_next: whether another page follows
    :param server_time: the time of the API's own clock, where its response says so
    """

    orders: tuple[Order, ...]
    page: int
    item_count: int | None
    has_next: bool
    server_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderQuery:
    """Which orders a listing asks for, sorted by their creation.

    ``status`` and ``project_id`` are sent as the official SDK sends them, but are not documented:
    the API may ignore them. Check both again before acting on the response.

    :param created_from: created at or after this time
    :param created_to: created at or before this time
    :param direction: ``asc``, or ``desc`` for the newest first
    """

    created_from: datetime | None = None
    created_to: datetime | None = None
    order_type: str | None = None
    status: str | None = None
    project_id: str | None = None
    direction: str = "asc"

    def params(self, page: int, take: int) -> dict[str, str]:
        """Return the query parameters of one page, without those that are not set."""
        params = {
            "pageOptions[page]": str(page),
            "pageOptions[take]": str(take),
            "pageOptions[orderBy]": "createdAt",
            "pageOptions[orderDirection]": self.direction,
            "filter[createdAtRange][from]": format_time(self.created_from),
            "filter[createdAtRange][to]": format_time(self.created_to),
            "filter[type]": self.order_type,
            "filter[status]": self.status,
            "filter[projectId]": self.project_id,
        }
        return {name: value for name, value in params.items() if value is not None}


@dataclass(frozen=True, slots=True)
class CancelReceipt:
    """A cancel that the API has confirmed.

    :param order_id: the order
    :param attempts: requests sent for it
    :param response_lost: whether the response to an earlier attempt was lost
    """

    order_id: str
    attempts: int
    response_lost: bool


def is_one_of(value: Any, words: Collection[str]) -> bool:
    """Return whether a field's value, which may be anything, is one of the words."""
    return isinstance(value, str) and value in words


def quoted(value: Any) -> str:
    """Return a field's value as a log line shows it: short, on one line, in quotation marks.

    Airflow's UI takes ``::group::`` anywhere in a line for the start of a group, and folds it.
    """
    if isinstance(value, str) and len(value) > _LONGEST_VALUE:
        value = value[: _LONGEST_VALUE - 1] + "…"
    text = repr(value) if isinstance(value, str) else shown(value)
    return re.sub(":(?=:)", ": ", text)


def parse_time(value: Any) -> datetime | None:
    """Return an ISO 8601 time in UTC, or ``None`` where the value is not one or has no zone."""
    if not isinstance(value, str) or not value.isascii():  # Python takes any sign before the hours
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None


def parse_http_date(value: str | None) -> datetime | None:
    """Return the time of a header such as ``Date`` (RFC 9110, 5.6.7), or ``None``."""
    try:
        moment = parsedate_to_datetime(value or "")
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def format_time(moment: datetime | None) -> str | None:
    """Return the time as the API writes it: UTC, milliseconds, ``Z``."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
