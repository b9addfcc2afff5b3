"""The listing's query: its bracketed parameters, their limits, and what they select."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_provider_ollang.sandbox import instants
from airflow_provider_ollang.sandbox.generation import Order
from airflow_provider_ollang.sandbox.refusals import RefusedError, framework
from airflow_provider_ollang.sandbox.vocabulary import (
    DEFAULT_TAKE,
    LISTED_FIELDS,
    MAX_TAKE,
    ORDER_BY,
    ORDER_DIRECTIONS,
    ORDER_TYPES,
)

_SEARCHED_FIELDS = ("name", "id", "type", "sourceLanguage", "targetLanguage")
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,15}")


@dataclass(frozen=True)
class Selection:
    """Which orders a listing is about, and in which order; equal ones select the same."""

    order_by: str = "id"
    descending: bool = True
    search: str | None = None
    type: str | None = None
    name: str | None = None
    created_from: float | None = None
    created_to: float | None = None
    status: str | None = None
    project_id: str | None = None

    def takes(self, order: Order) -> bool:
        """Tell whether ``order`` passes every filter."""
        return (
            self.status in (None, order.get("status"))
            and self.type in (None, order.get("type"))
            and self.project_id in (None, order.get("projectId"))
            and self._in_range(order)
            and (self.name is None or _contains(order, ("name",), self.name))
            and (self.search is None or _contains(order, _SEARCHED_FIELDS, self.search))
        )

    def _in_range(self, order: Order) -> bool:
        if self.created_from is None and self.created_to is None:
            return True
        created = instants.from_text(order.get("createdAt"))
        # An order with a broken date is let through, so that a client's own check is put to use.
        return created is None or (
            (self.created_from is None or created >= self.created_from)
            and (self.created_to is None or created <= self.created_to)
        )


@dataclass(frozen=True)
class ListingQuery:
    """One request for a page of orders."""

    selection: Selection
    page: int
    take: int

    def page_of(self, selected: Sequence[Order]) -> dict[str, Any]:
        """Return the API's answer: this query's page of the ``selected`` orders."""
        first = (self.page - 1) * self.take
        return {
            "data": [listed(order) for order in selected[first : first + self.take]],
            "meta": self._meta(len(selected)),
        }

    def _meta(self, item_count: int) -> dict[str, Any]:
        page_count = -(-item_count // self.take)
        return {
            "page": self.page,
            "take": self.take,
            "itemCount": item_count,
            "pageCount": page_count,
            "hasNextPage": self.page < page_count,
            "hasPreviousPage": self.page > 1,
        }


def listed(order: Order) -> Order:
    """Return the fields of ``order`` that a listing shows."""
    return {field: order[field] for field in LISTED_FIELDS if field in order}


def parse(parameters: Mapping[str, str]) -> ListingQuery:
    """Return the query that ``parameters`` ask for.

    :raises RefusedError: 400, naming every parameter that is out of its limits.
    """
    reader = _Reader(parameters)
    query = ListingQuery(
        selection=_selection(reader),
        page=reader.whole_number("pageOptions[page]", default=1),
        take=reader.whole_number("pageOptions[take]", default=DEFAULT_TAKE, most=MAX_TAKE),
    )
    if reader.complaints:
        raise RefusedError(framework(400, reader.complaints))
    return query


def _selection(reader: _Reader) -> Selection:
    direction = reader.one_of("pageOptions[orderDirection]", ORDER_DIRECTIONS)
    return Selection(
        order_by=reader.one_of("pageOptions[orderBy]", ORDER_BY) or "id",
        descending=direction != "asc",
        search=reader.text("pageOptions[search]"),
        type=reader.one_of("filter[type]", ORDER_TYPES),
        name=reader.text("filter[name]"),
        created_from=reader.instant("filter[createdAtRange][from]"),
        created_to=reader.instant("filter[createdAtRange][to]"),
        status=reader.text("filter[status]"),
        project_id=reader.text("filter[projectId]"),
    )


class _Reader:
    """Reads parameters by kind, and gathers complaints in the words of class-validator."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters
        self.complaints: list[str] = []

    def text(self, name: str) -> str | None:
        return self._parameters.get(name) or None

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str | None:
        value = self._parameters.get(name)
        if value is not None and value not in allowed:
            self._complain(name, f"must be one of the following values: {', '.join(allowed)}")
        return value

    def whole_number(self, name: str, default: int, most: int | None = None) -> int:
        text = self._parameters.get(name, str(default))
        if not _WHOLE_NUMBER.fullmatch(text):
            self._complain(name, "must be an integer number")
            return default
        number = int(text)
        if number < 1:
            self._complain(name, "must not be less than 1")
        elif most is not None and number > most:
            self._complain(name, f"must not be greater than {most}")
        return number

    def instant(self, name: str) -> float | None:
        text = self._parameters.get(name)
        instant = instants.from_text(text)
        if text is not None and instant is None:
            self._complain(name, "must be a valid ISO 8601 date string")
        return instant

    def _complain(self, name: str, complaint: str) -> None:
        path = name.replace("[", ".").replace("]", "")
        self.complaints.append(f"{path} {complaint}")


def _contains(order: Order, fields: tuple[str, ...], text: str) -> bool:
    wanted = text.casefold()
    return any(wanted in str(order.get(field, "")).casefold() for field in fields)
