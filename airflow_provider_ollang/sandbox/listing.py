"""The listing: its bracketed parameters, their limits, and what they select."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_provider_ollang.sandbox.errors import Rule, one_of, validate
from airflow_provider_ollang.sandbox.model import ORDER_TYPES, Order, parse_time

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


class ListingQuery:
    """One request for a page of orders.

    :raises ErrorResponse: 400, naming every parameter that is out of its limits.
    """

    def __init__(self, parameters: Mapping[str, str]) -> None:
        known = {_path(name): parameters[name] for name in _RULES if name in parameters}
        values = validate(known, {_path(name): rule for name, rule in _RULES.items()})
        self.page = values.pop("pageOptions.page", 1)
        self.take = values.pop("pageOptions.take", 10)
        self._values = values
        self.selection = frozenset(values.items())
        """The same for queries that select the same orders in the same order."""

    def select(self, orders: Sequence[Order]) -> list[Order]:
        """Return the ``orders`` that pass every filter, sorted."""
        descending = self._values.get("pageOptions.orderDirection") != "asc"
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
        wanted = ((field, self._values.get(f"filter.{field}")) for field in _COMPARED_FIELDS)
        return (
            all(value in (None, "", order.get(field)) for field, value in wanted)
            and self._is_found(order)
            and self._is_in_range(order)
        )

    def _is_found(self, order: Order) -> bool:
        text = self._values.get("pageOptions.search", "").casefold()
        return any(text in str(order.get(field, "")).casefold() for field in _SEARCHED_FIELDS)

    def _is_in_range(self, order: Order) -> bool:
        first = self._values.get("filter.createdAtRange.from", float("-inf"))
        last = self._values.get("filter.createdAtRange.to", float("inf"))
        created = parse_time(order.get("createdAt"))
        # An order with a broken date is let through, so that a client's own check is put to use.
        return created is None or first <= created <= last

    def _sort_key(self, order: Order) -> tuple[float | str, str]:
        # The id settles ties, or an order could show up on two pages.
        field, order_id = self._values.get("pageOptions.orderBy", "id"), str(order.get("id", ""))
        value = order.get(field)
        return (parse_time(value) or 0.0 if field == "createdAt" else str(value)), order_id


def _listed(order: Order) -> Order:
    return {field: order[field] for field in _LISTED_FIELDS if field in order}


def _path(name: str) -> str:
    return name.replace("[", ".").replace("]", "")


def _whole_number(most: int | None = None) -> Rule:
    def rule(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,15}", text):
            raise ValueError("must be an integer number")
        number = int(text)
        if number < 1:
            raise ValueError("must not be less than 1")
        if most is not None and number > most:
            raise ValueError(f"must not be greater than {most}")
        return number

    return rule


def _instant(text: str) -> float:
    instant = parse_time(text)
    if instant is None:
        raise ValueError("must be a valid ISO 8601 date string")
    return instant


_RULES: dict[str, Rule] = {
    "pageOptions[page]": _whole_number(),
    "pageOptions[take]": _whole_number(most=50),
    "pageOptions[orderBy]": one_of("id", "createdAt", "name", "status"),
    "pageOptions[orderDirection]": one_of("desc", "asc"),
    "pageOptions[search]": str,
    "filter[type]": one_of(*ORDER_TYPES),
    "filter[name]": str,
    "filter[createdAtRange][from]": _instant,
    "filter[createdAtRange][to]": _instant,
    "filter[status]": str,
    "filter[projectId]": str,
}
