"""Orders made up from a seed: the same seed gives the same orders, aged from a start."""

from __future__ import annotations

import random
from collections.abc import Iterator

from airflow_provider_ollang.sandbox._model import (
    CANCELLED,
    COMPLETED,
    CREATABLE_TYPES,
    ONGOING,
    ORDER_TYPES,
    PENDING,
    STATUSES,
    Order,
    format_time,
)

CLIENT_ID = "64f1c0a2b7d94e0012ab34cd"
OTHER_CLIENT_ID = "64f1c0a2b7d94e0012ab99ff"
PROJECT_IDS = (
    "65a1f00d3c5e7a0011223301",
    "65a1f00d3c5e7a0011223302",
    "65a1f00d3c5e7a0011223303",
    "65a1f00d3c5e7a0011223304",
)
FOLDER_IDS = (
    "65b2e11c4d6f8b0022334401",
    "65b2e11c4d6f8b0022334402",
    "65b2e11c4d6f8b0022334403",
)
FOREIGN_ORDERS = 3

_DAY = 24 * 60 * 60.0
_YOUNGEST_AGE = 5 * 60.0
_LONGEST_AGE = 120 * _DAY
_OLDER_TYPES_FROM = 60 * _DAY

# Of every 22 orders ten are pending and two are cancelled; the rest covers every other status.
_MIX = (PENDING,) * 9 + (CANCELLED, CANCELLED, ONGOING) + STATUSES

_SUBJECTS = (
    "Annual report",
    "Customer interview",
    "Data protection policy",
    "Earnings call",
    "Onboarding webinar",
    "Press release",
    "Product demo",
    "Safety training",
    "Season trailer",
    # The same in both Unicode forms; macOS uploads files under the decomposed one.
    "R\N{LATIN SMALL LETTER E WITH ACUTE}union",
    "Re\N{COMBINING ACUTE ACCENT}union",
    "Warranty terms",
)
_SUFFIXES = ("", "", "", " (draft)", " v2", " [test]", " - keep", " - final cut")
_SOURCES = ("en", "en", "en", "de", "tr")
_TARGETS = ("fr", "es", "it", "pt-BR", "ja", "ko", "ar", "nl", "pl")
_RATES = {0: 0.6, 1: 4.5}
_DELIVERED = frozenset({COMPLETED, "delivered"})

# Like MongoDB's, an id starts with its moment in seconds, so ids sort by age. The moment is
# counted from a fixed one rather than the clock: the same seed must give the same ids.
_ID_EPOCH = 0x65A4F000


class SeededOrders:
    """A source of orders that are wholly decided by a seed.

    :param start: the moment that their ages are counted from, in seconds since the epoch.
    """

    def __init__(self, seed: int, start: float) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._start = start

    def of_both_accounts(self, count: int) -> Iterator[Order]:
        """Yield ``count`` orders of the key's account, and a few of another one."""
        statuses = [_MIX[number % len(_MIX)] for number in range(count)]
        self._random.shuffle(statuses)
        for number, status in enumerate(statuses):
            yield self._order(status) | {"folderId": (None, *FOLDER_IDS)[number % 4]}
        for _ in range(FOREIGN_ORDERS):
            yield self._order(PENDING) | {"clientId": OTHER_CLIENT_ID}

    def plain(self, age: float, now: float) -> Order:
        """Return a pending order without particulars, created ``age`` seconds before ``now``."""
        return {
            "id": self._order_id(now - self._start - age),
            "name": "Untitled",
            "sourceLanguage": "en",
            "targetLanguage": "fr",
            "status": PENDING,
            "type": "document",
            "createdAt": format_time(now - age),
            "clientId": CLIENT_ID,
            "projectId": PROJECT_IDS[0],
            "rate": _RATES[0],
            "level": 0,
            "folderId": None,
            "vttUrl": None,
            "orderDocs": [],
            "finance": {"paymentAmount": 0.0},
            "latestEvaluation": None,
            "deliveryEvents": [],
        }

    def _order_id(self, since_start: float) -> str:
        moment = int(_ID_EPOCH + since_start) & 0xFFFFFFFF
        return f"{moment:08x}{self._random.getrandbits(64):016x}"

    def _age(self, status: str) -> float:
        # The cube puts about two fifths below a week. Work in progress is younger: two fifths of
        # it are below twelve hours, and so can still be cancelled.
        power = 6 if status == ONGOING else 3
        return _YOUNGEST_AGE + self._random.random() ** power * (_LONGEST_AGE - _YOUNGEST_AGE)

    def _order(self, status: str) -> Order:
        choice, number = self._random.choice, self._random.randint
        age, level = self._age(status), choice((0, 1))
        order = self.plain(age, now=self._start) | {
            "name": f"{choice(_SUBJECTS)} {number(1, 60)}{choice(_SUFFIXES)}",
            "sourceLanguage": choice(_SOURCES),
            "targetLanguage": choice(_TARGETS),
            "status": status,
            "type": choice(ORDER_TYPES if age > _OLDER_TYPES_FROM else CREATABLE_TYPES),
            "projectId": choice(PROJECT_IDS),
            "level": level,
            "rate": _RATES[level],
            "finance": {"paymentAmount": round(_RATES[level] * number(2, 90), 2)},
        }
        if status not in _DELIVERED:
            return order
        order["latestEvaluation"] = {"score": number(70, 100)}
        return order | delivery(order, self._start - age / 2)


def delivery(order: Order, moment: float) -> Order:
    """Return the fields that an order gets by its delivery."""
    document = f"https://files.ollang.invalid/{order['id']}"
    return {
        "vttUrl": f"{document}.vtt?signature=abc" if order["type"] in ("cc", "subtitle") else None,
        "orderDocs": [{"name": order["name"], "url": f"{document}.docx"}],
        "deliveryEvents": [
            {
                "type": "order_delivered",
                "occurredAt": format_time(moment),
                "actorType": "user",
                "actorId": CLIENT_ID,
            }
        ],
    }
