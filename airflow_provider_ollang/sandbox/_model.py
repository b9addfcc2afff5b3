"""What an order is: the API's statuses, types and timestamps, and how orders are made up."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from random import Random
from typing import Any

Order = dict[str, Any]
"""An order as the API writes it in JSON."""

PENDING = "pending"
ONGOING = "ongoing"
COMPLETED = "completed"
# The reference names no status for a cancelled order; this one is the sandbox's own.
CANCELLED = "cancelled"

STATUSES = (
    PENDING,
    ONGOING,
    COMPLETED,
    "revision",
    "delayed",
    "waitingForCC",
    "waitingForSubtitle",
    "delivered",
    "qualityCheck",
    "readyToSent",
)

CREATABLE_TYPES = ("cc", "subtitle", "document", "aiDubbing", "studioDubbing")
ORDER_TYPES = (*CREATABLE_TYPES, "proofreading", "other", "revision")

CLIENT_ID = "64f1c0a2b7d94e0012ab34cd"
OTHER_CLIENT_ID = "64f1c0a2b7d94e0012ab99ff"
PROJECT_IDS = tuple(f"65a1f00d3c5e7a001122330{number}" for number in (1, 2, 3, 4))
FOLDER_IDS = tuple(f"65b2e11c4d6f8b002233440{number}" for number in (1, 2, 3))
_YOUNGEST_AGE = 5 * 60.0
_LONGEST_AGE = 120 * 24 * 60 * 60.0

# Of every 22 orders ten are pending and two are cancelled; the rest covers every other status.
_MIX = (PENDING,) * 9 + (CANCELLED, CANCELLED, ONGOING) + STATUSES

_SUBJECTS = (
    "Annual report",
    "Customer interview",
    "Product demo",
    "Season trailer",
    "Réunion d'équipe",
)
_SUFFIXES = ("", "", "", " (draft)", " v2", " [test]", " - keep", " - final cut")
_SOURCES = ("en", "en", "en", "de", "tr")
_TARGETS = ("fr", "es", "it", "pt-BR", "ja", "ko", "ar", "nl", "pl")
_RATES = {0: 0.6, 1: 4.5}


def format_time(instant: float) -> str:
    """Return seconds since the epoch as the API writes them: ``2024-01-15T10:30:00.123Z``."""
    moment = datetime.fromtimestamp(instant, UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def parse_time(text: Any) -> float:
    """Return the seconds since the epoch, or NaN where ``text`` is not an ISO 8601 date."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return math.nan
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def parse_numbers(text: str, what: str, names: Collection[str], most: float) -> dict[str, float]:
    """Return the numbers of a text such as ``pending=30,ongoing=60``, by their names.

    :param what: what the text is, for the message.
    :raises ValueError: another name, or not a number from 0 to ``most``.
    """
    numbers = {}
    for part in filter(None, text.split(",")):
        name, _, number = part.partition("=")
        if name not in names:
            raise ValueError(f"{what} must name {', '.join(names)}, got {name!r}")
        try:
            numbers[name] = float(number)
        except ValueError:
            numbers[name] = math.nan
        if not 0 <= numbers[name] <= most:
            raise ValueError(f"{what} must be like {name}=NUMBER, from 0 to {most}, got {part!r}")
    return numbers


def seeded_orders(chance: Random, start: float, count: int) -> Iterator[Order]:
    """Yield ``count`` orders of the key's account, and a few of another one.

    :param start: the moment that their ages are counted from, in seconds since the epoch.
    """
    statuses = [_MIX[number % len(_MIX)] for number in range(count)]
    chance.shuffle(statuses)
    for number, status in enumerate(statuses):
        folder = {"folderId": (None, *FOLDER_IDS)[number % 4]}
        yield _seeded_order(chance, start, status) | folder
    for _ in range(3):
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
        "type": chance.choice(ORDER_TYPES),
        "projectId": chance.choice(PROJECT_IDS),
        "level": level,
        "rate": _RATES[level],
        "finance": {"paymentAmount": round(_RATES[level] * chance.randint(2, 90), 2)},
    }
    if status in (COMPLETED, "delivered"):
        order |= delivery(order, start - age / 2)
        order["latestEvaluation"] = {"score": chance.randint(70, 100)}
    return order


def plain_order(chance: Random, start: float, created: float) -> Order:
    """Return a pending order without particulars."""
    # Like MongoDB's, an id starts with its moment in seconds, so ids sort by age. The moment is
    # counted from a fixed one rather than the clock: the same seed must give the same ids.
    moment = int(0x65A4F000 + created - start) & 0xFFFFFFFF
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
    event = {"type": "order_delivered", "occurredAt": format_time(moment)}
    return {
        "vttUrl": f"{document}.vtt?signature=abc" if order["type"] in ("cc", "subtitle") else None,
        "orderDocs": [{"name": order["name"], "url": f"{document}.docx"}],
        "deliveryEvents": [event | {"actorType": "user", "actorId": CLIENT_ID}],
    }
