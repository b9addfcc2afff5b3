"""The listing: its bracketed parameters, their limits, and what they select."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from airflow_provider_ollang.sandbox._errors import one_of, require
from airflow_provider_ollang.sandbox._model import ORDER_TYPES, Order, parse_time

_LISTED_FIELDS = (
    "id",
    "name",
    "sourceLanguage",
    "targetLanguage",
    "status",
    "type",
    "createdAt",
    "clientId",
    "projectId",
)
_SEARCHED_FIELDS = ("name", "id", "type", "sourceLanguage", "targetLanguage")
_COMPARED_FIELDS = ("type", "name", "status", "projectId")
_SORTED_FIELDS = ("id", "createdAt", "name", "status")
_DIRECTIONS = ("desc", "asc")
MAX_TAKE = 50


class ListingQuery:
    """One request for a page of orders.

    :raises ErrorResponse: 400, with every parameter that is out of its limits.
    """

    def __init__(self, parameters: Mapping[str, str]) -> None:
        given = parameters.get
        page, take = given("pageOptions[page]", "1"), given("pageOptions[take]", "10")
        self._sort_by = given("pageOptions[orderBy]", "id")
        self._direction = given("pageOptions[orderDirection]", "desc")
        self._search = given("pageOptions[search]", "").casefold()
        self._wanted = {name: given(f"filter[{name}]") for name in _COMPARED_FIELDS}
        first = _instant(given("filter[createdAtRange][from]"), -math.inf)
        last = _instant(given("filter[createdAtRange][to]"), math.inf)
        order_type = self._wanted["type"]
        require(
            {
                "pageOptions.page must be an integer number, 1 or more": _is_number(page),
                f"pageOptions.take must be an integer number from 1 to {MAX_TAKE}": (
                    _is_number(take) and int(take) <= MAX_TAKE
                ),
                one_of("pageOptions.orderBy", _SORTED_FIELDS): self._sort_by in _SORTED_FIELDS,
                one_of("pageOptions.orderDirection", _DIRECTIONS): self._direction in _DIRECTIONS,
                one_of("filter.type", ORDER_TYPES): order_type in (None, *ORDER_TYPES),
                "filter.createdAtRange.from must be a valid ISO 8601 date string": (
                    first is not None
                ),
                "filter.createdAtRange.to must be a valid ISO 8601 date string": last is not None,
            }
        )
        self.page, self.take = int(page), int(take)
        self._first, self._last = first or 0.0, last or 0.0

    @property
    def selection(self) -> Hashable:
        """The same for queries that select the same orders in the same order."""
        filters = (*self._wanted.values(), self._search, self._first, self._last)
        return (*filters, self._sort_by, self._direction)

    def select(self, orders: Sequence[Order]) -> list[Order]:
        """Return the ``orders`` that pass every filter, sorted."""
        descending = self._direction == "desc"
        return sorted(filter(self._takes, orders), key=self._sort_key, reverse=descending)

    def page_of(self, selected: Sequence[Order]) -> dict[str, Any]:
        """Return the response's JSON: this query's page of the ``selected`` orders."""
        first = (self.page - 1) * self.take
        page_count = -(-len(selected) // self.take)
        return {
            "data": [_listed(order) for order in selected[first : first + self.take]],
            "meta": {
                "page": self.page,
                "take": self.take,
                "itemCount": len(selected),
                "pageCount": page_count,
                "hasNextPage": self.page < page_count,
                "hasPreviousPage": self.page > 1,
            },
        }

    def _takes(self, order: Order) -> bool:
        return (
            all(value in (None, "", order.get(name)) for name, value in self._wanted.items())
            and any(self._search in str(order.get(it, "")).casefold() for it in _SEARCHED_FIELDS)
            and self._is_in_range(parse_time(order.get("createdAt")))
        )

    def _is_in_range(self, created: float | None) -> bool:
        # An order with a broken date is let through, so that a client's own check is put to use.
        return created is None or self._first <= created <= self._last

    def _sort_key(self, order: Order) -> tuple[float | str, str]:
        # The id settles ties, or an order could show up on two pages.
        value, order_id = order.get(self._sort_by), str(order.get("id", ""))
        by_date = self._sort_by == "createdAt"
        return (parse_time(value) or 0.0 if by_date else str(value)), order_id


def _listed(order: Order) -> Order:
    return {field: order[field] for field in _LISTED_FIELDS if field in order}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16 and int(text) > 0


def _instant(text: str | None, default: float) -> float | None:
    return default if text is None else parse_time(text)
