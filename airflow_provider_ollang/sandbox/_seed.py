"""Orders made up from a seed: the same seed gives the same orders, aged from a start."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

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
PROJECT_IDS = tuple(f"65a1f00d3c5e7a001122330{number}" for number in (1, 2, 3, 4))
FOLDER_IDS = tuple(f"65b2e11c4d6f8b002233440{number}" for number in (1, 2, 3))
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
_ID_EPOCH = 0x65A4F000


def seeded_orders(chance: Random, start: float, count: int) -> Iterator[Order]:
    """Yield ``count`` orders of the key's account, and a few of another one.

    :param start: the moment that their ages are counted from, in seconds since the epoch.
    """
    statuses = [_MIX[number % len(_MIX)] for number in range(count)]
    chance.shuffle(statuses)
    for number, status in enumerate(statuses):
        folder = {"folderId": (None, *FOLDER_IDS)[number % 4]}
        yield _seeded_order(chance, start, status) | folder
    for _ in range(FOREIGN_ORDERS):
        yield _seeded_order(chance, start, PENDING) | {"clientId": OTHER_CLIENT_ID}


def _seeded_order(chance: Random, start: float, status: str) -> Order:
    # The cube puts about two fifths below a week. Work in progress is younger: two fifths of
    # it are below twelve hours, and so can still be cancelled.
    share = chance.random() ** (6 if status == ONGOING else 3)
    age = _YOUNGEST_AGE + share * (_LONGEST_AGE - _YOUNGEST_AGE)
    level = chance.choice((0, 1))
    order = plain_order(chance, start, start - age) | {
        "name": f"{chance.choice(_SUBJECTS)} {chance.randint(1, 60)}{chance.choice(_SUFFIXES)}",
        "sourceLanguage": chance.choice(_SOURCES),
        "targetLanguage": chance.choice(_TARGETS),
        "status": status,
        "type": chance.choice(ORDER_TYPES if age > _OLDER_TYPES_FROM else CREATABLE_TYPES),
        "projectId": chance.choice(PROJECT_IDS),
        "level": level,
        "rate": _RATES[level],
        "finance": {"paymentAmount": round(_RATES[level] * chance.randint(2, 90), 2)},
    }
    if status not in _DELIVERED:
        return order
    order["latestEvaluation"] = {"score": chance.randint(70, 100)}
    return order | delivery(order, start - age / 2)


def plain_order(chance: Random, start: float, created: float) -> Order:
    """Return a pending order without particulars."""
    # Like MongoDB's, an id starts with its moment in seconds, so ids sort by age. The moment is
    # counted from a fixed one rather than the clock: the same seed must give the same ids.
    moment = int(_ID_EPOCH + created - start) & 0xFFFFFFFF
    return {
        "id": f"{moment:08x}{chance.getrandbits(64):016x}",
        "name": "Untitled",
        "sourceLanguage": "en",
        "targetLanguage": "fr",
        "status": PENDING,
        "type": "document",
        "createdAt": format_time(created),
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
