"""The orders that the sandbox holds in memory, and what the API does to them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from datetime import timedelta
from random import Random
from typing import Any

from airflow_provider_ollang.sandbox._errors import ErrorResponse, one_of, require
from airflow_provider_ollang.sandbox._model import (
    CANCELLED,
    CREATABLE_TYPES,
    ONGOING,
    OTHER_CLIENT_ID,
    PENDING,
    PROJECT_IDS,
    Order,
    parse_time,
    plain_order,
    seeded_orders,
)

# How long after its creation an ongoing order can still be cancelled.
EARLY = timedelta(hours=12)
MAX_MEMORIES = 20
SUB_TYPES = ("closedCaption", "timecodedTranscription")
STYLES = ("overdub", "lipsync", "audioDescription")


class Orders:
    """The account's orders, and a few of another account; safe to use from any thread.

    Whatever is handed out is a copy: changing it changes no order.

    :param count: how many orders the account starts with.
    :param seed: decides those orders, apart from their ages being counted from the start.
    """

    def __init__(self, count: int = 240, seed: int = 0) -> None:
        self._count = count
        self._seed = seed
        self._lock = threading.RLock()
        self.reset()

    def reset(self) -> None:
        """Start over with the seed's orders, their ages counted from now."""
        with self._lock:
            self.clear()
            self._start = time.time()
            self._random = Random(self._seed)  # noqa: S311 - repeatable, not secret
            for order in seeded_orders(self._random, self._start, self._count):
                self._keep(order)

    def clear(self) -> None:
        """Drop every order, so that a test can add just what it needs."""
        with self._lock:
            self._all: list[Order] = []
            self._by_id: dict[str, Order] = {}
            self._selections: dict[Hashable, list[Order]] = {}

    def add(
        self,
        /,
        *,
        age: timedelta = timedelta(days=1),
        foreign: bool = False,
        without: Collection[str] = (),
        **fields: Any,
    ) -> Order:
        """Add an order and return it: pending and a day old, unless told otherwise.

        :param age: how long ago it was created.
        :param foreign: whether it belongs to another account: not listed, and a 403 if read.
        :param without: names of fields that the order shall lack.
        :param fields: any fields by their names in the API, with any values, broken ones too.
        """
        with self._lock:
            created = time.time() - age.total_seconds()
            order = plain_order(self._random, self._start, created) | fields
            order |= {"clientId": OTHER_CLIENT_ID} if foreign else {}
            for field in without:
                del order[field]
            self._keep(order)
            return dict(order)

    def change(self, order_id: str, /, **fields: Any) -> Order:
        """Set fields of an order and return it.

        :raises KeyError: there is no such order.
        """
        with self._lock:
            self._by_id[order_id].update(fields)
            self._selections.clear()
            return dict(self._by_id[order_id])

    def get(self, order_id: str) -> Order | None:
        """Return an order of either account, or ``None`` where there is none."""
        order = self._by_id.get(order_id)
        return None if order is None else dict(order)

    def where(self, /, **fields: Any) -> list[Order]:
        """Return the account's orders whose fields have these values."""
        return [order for order in self if fields.items() <= order.items()]

    @property
    def foreign(self) -> list[Order]:
        """The orders that belong to another account."""
        return [dict(order) for order in self._all if _is_foreign(order)]

    def __iter__(self) -> Iterator[Order]:
        return (dict(order) for order in list(self._all) if not _is_foreign(order))

    def __len__(self) -> int:
        return len(self.where())

    def read(self, order_id: str) -> Order:
        """Return an order as its account may read it.

        :raises ErrorResponse: 403 for another account's order, 404 for none.
        """
        order = self.get(order_id)
        if order is None:
            raise ErrorResponse.documented("ORDER_NOT_FOUND")
        if _is_foreign(order):
            raise ErrorResponse.documented("ACCESS_DENIED")
        return order

    def cancel(self, order_id: str) -> None:
        """Cancel an order as its account may.

        :raises ErrorResponse: 400, 403, 404 or 409, as the API documents them.
        """
        with self._lock:
            order = self.read(order_id)
            if order.get("status") == CANCELLED:
                raise ErrorResponse.documented("ORDER_ALREADY_CANCELLED")
            if not _is_cancellable(order):
                raise ErrorResponse.documented("ORDER_NOT_CANCELLABLE")
            self.change(order_id, status=CANCELLED)

    def create(self, body: Mapping[str, Any]) -> list[dict[str, str]]:
        """Create the orders that ``body`` asks for, and return the API's JSON.

        There is one for each language; subtitles and AI dubbing come with a ``cc`` order.

        :raises ErrorResponse: 400 for a bad body, 404 for an unknown project.
        """
        _check(body)
        if body["projectId"] not in PROJECT_IDS:
            raise ErrorResponse.documented("PROJECT_NOT_FOUND")
        orders = [self.add(age=timedelta(), **it) for it in _requested(body)]
        if len({order["type"] for order in orders}) == 1:
            return [{"orderId": order["id"]} for order in orders]
        return [{"orderId": order["id"], "orderType": order["type"]} for order in orders]

    def selection(self, listing: Hashable, select: Callable[[], list[Order]]) -> list[Order]:
        """Return what ``select`` returns, once for all pages of a listing while nothing changes."""
        with self._lock:
            if listing not in self._selections:
                self._selections = {listing: select()}
            return self._selections[listing]

    def _keep(self, order: Order) -> None:
        self._selections.clear()
        self._all.append(order)
        if isinstance(order.get("id"), str):
            self._by_id[order["id"]] = order


def _is_foreign(order: Order) -> bool:
    return order.get("clientId") == OTHER_CLIENT_ID


def _is_cancellable(order: Order) -> bool:
    # Without a readable date there is no age, and no comparison holds.
    is_early = time.time() - parse_time(order.get("createdAt")) < EARLY.total_seconds()
    return order.get("status") == PENDING or (order.get("status") == ONGOING and is_early)


def _requested(body: Mapping[str, Any]) -> Iterator[Order]:
    """Yield the fields of each order that a valid ``body`` asks for."""
    source, order_type = str(body.get("sourceLanguage", "en")), body["orderType"]
    languages = [(order_type, it["language"]) for it in body["targetLanguageConfigs"]]
    transcript = [("cc", source)] if order_type in ("subtitle", "aiDubbing") else []
    for kind, language in transcript + languages:
        yield {
            "name": f"New {kind} order ({language})",
            "sourceLanguage": source,
            "targetLanguage": language,
            "type": kind,
            "level": body["level"],
            "projectId": body["projectId"],
        }


def _check(body: Mapping[str, Any]) -> None:
    given = body.get
    languages, memories = given("targetLanguageConfigs"), given("selectedMemories", [])
    are_languages = languages != [] and _is_list_of(_is_language, languages)
    are_memories = _is_list_of(_is_text, memories) and len(memories) <= MAX_MEMORIES
    require(
        {
            "projectId must be a non-empty string": _is_text(given("projectId")),
            one_of("orderType", CREATABLE_TYPES): given("orderType") in CREATABLE_TYPES,
            "level must be 0 or 1": given("level") in (0, 1),
            "targetLanguageConfigs must be a non-empty array of languages": are_languages,
            one_of("orderSubType", SUB_TYPES): given("orderSubType") in (None, *SUB_TYPES),
            one_of("dubbingStyle", STYLES): given("dubbingStyle") in (None, *STYLES),
            "callbackUrl must be a URL address": _is_url(given("callbackUrl", "http://unset")),
            "autoQc must be a boolean value": isinstance(given("autoQc", False), bool),
            f"selectedMemories must be an array of at most {MAX_MEMORIES} ids": are_memories,
        }
    )


def _is_list_of(is_item: Callable[[Any], bool], value: Any) -> bool:
    return isinstance(value, list) and all(map(is_item, value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_language(value: Any) -> bool:
    return isinstance(value, dict) and _is_text(value.get("language"))


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and bool(re.match(r"https?://[^/]", value))
