"""The listing: its bracketed parameters, their limits, and what they select."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_ollang.sandbox._errors import one_of, require
from airflow_provider_ollang.sandbox._model import ORDER_TYPES, Order, parse_time

if TYPE_CHECKING:
    from airflow_provider_ollang.sandbox._orders import Orders

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
_DATE = "must be a valid ISO 8601 date string"
_EARLIEST, _LATEST = "0001-01-01", "9999-12-31T23:59:59.999999"


def list_page(orders: Orders, parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON of one page of the ``orders`` that the parameters select.

    :raises ErrorResponse: 400, with every parameter that is out of its limits.
    """
    given = parameters.get
    page, take = given("pageOptions[page]", "1"), given("pageOptions[take]", "10")
    order_by = given("pageOptions[orderBy]", "id")
    direction = given("pageOptions[orderDirection]", "desc")
    search = given("pageOptions[search]", "").casefold()
    wanted = {it: value for it in _COMPARED_FIELDS if (value := given(f"filter[{it}]"))}
    first = parse_time(given("filter[createdAtRange][from]", _EARLIEST))
    last = parse_time(given("filter[createdAtRange][to]", _LATEST))
    is_take = _is_number(take) and int(take) <= 50
    require(
        {
            "pageOptions.page must be an integer number, 1 or more": _is_number(page),
            "pageOptions.take must be an integer number from 1 to 50": is_take,
            one_of("pageOptions.orderBy", _SORTED_FIELDS): order_by in _SORTED_FIELDS,
            one_of("pageOptions.orderDirection", _DIRECTIONS): direction in _DIRECTIONS,
            one_of("filter.type", ORDER_TYPES): wanted.get("type") in (None, *ORDER_TYPES),
            f"filter.createdAtRange.from {_DATE}": not math.isnan(first),
            f"filter.createdAtRange.to {_DATE}": not math.isnan(last),
        }
    )

    def is_selected(order: Order) -> bool:
        text = "\n".join(str(order.get(name)) for name in _SEARCHED_FIELDS)
        created = parse_time(order.get("createdAt"))
        # A broken date is let through, so that a client's own check is put to use.
        return search in text.casefold() and not (created < first or created > last)

    def sort_key(order: Order) -> tuple[str, str]:
        # The id settles ties, or an order could show up on two pages.
        return str(order.get(order_by)), str(order.get("id"))

    def select() -> list[Order]:
        selected = [it for it in orders if wanted.items() <= it.items() and is_selected(it)]
        return sorted(selected, key=sort_key, reverse=direction == "desc")

    listing = (order_by, direction, search, first, last, *wanted.items())
    return _page(orders.selection(listing, select), int(page), int(take))


def _page(selected: Sequence[Order], page: int, take: int) -> dict[str, Any]:
    page_count = -(-len(selected) // take)
    return {
        "data": [
            {field: order[field] for field in _LISTED_FIELDS if field in order}
            for order in selected[(page - 1) * take : page * take]
        ],
        "meta": {
            "page": page,
            "take": take,
            "itemCount": len(selected),
            "pageCount": page_count,
            "hasNextPage": page < page_count,
            "hasPreviousPage": page > 1,
        },
    }


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 16 and int(text) > 0
