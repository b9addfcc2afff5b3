"""Orders made up from a seed: the same seed gives the same orders, aged from a start."""

from __future__ import annotations

import random
import unicodedata
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
    "Town hall",
    "User manual",
    "Warranty terms",
)
_SUFFIXES = ("", "", "", " (draft)", " v2", " [test]", " - keep", " - final cut")
# A name that looks the same in both forms; macOS uploads files under the decomposed one.
_ACCENTED = "Réunion d'équipe"
_ODD_SUBJECTS = [unicodedata.normalize(form, _ACCENTED) for form in ("NFC", "NFD")]
_SOURCES = ("en", "en", "en", "de", "tr")
_TARGETS = ("fr", "es", "it", "pt-BR", "ja", "ko", "ar", "nl", "pl")
_RATES = {0: 0.6, 1: 4.5}
_EVENTS = ("ai_delivered", "translator_delivered", "lsp_approved", "order_delivered")
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

    def own(self, count: int) -> Iterator[Order]:
        """Yield ``count`` orders of the account that the API key belongs to."""
        statuses = [_MIX[number % len(_MIX)] for number in range(count)]
        self._random.shuffle(statuses)
        for number, status in enumerate(statuses):
            folder = {"folderId": (None, *FOLDER_IDS)[number % 4]}
            yield self._order(status, self._age(status)) | folder

    def foreign(self) -> Iterator[Order]:
        """Yield the few orders that exist, but belong to another account."""
        for _ in range(FOREIGN_ORDERS):
            yield self._order(PENDING, self._age(PENDING)) | {"clientId": OTHER_CLIENT_ID}

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

    def _order(self, status: str, age: float) -> Order:
        choice = self._random.choice
        level = choice((0, 1))
        order = self.plain(age, now=self._start) | {
            "name": self._name(),
            "sourceLanguage": choice(_SOURCES),
            "targetLanguage": choice(_TARGETS),
            "status": status,
            "type": choice(ORDER_TYPES if age > _OLDER_TYPES_FROM else CREATABLE_TYPES),
            "projectId": choice(PROJECT_IDS),
            "level": level,
            "rate": _RATES[level],
            "finance": {"paymentAmount": round(_RATES[level] * self._random.randint(2, 90), 2)},
        }
        if status not in _DELIVERED:
            return order
        evaluation = {"latestEvaluation": {"score": self._random.randint(70, 100)}}
        return order | evaluation | delivery(order, self._start - age, self._start)

    def _name(self) -> str:
        subject, number = self._random.choice(_SUBJECTS), self._random.randint(1, 60)
        if subject == "Town hall":
            subject = _ODD_SUBJECTS[number % 2]
        return f"{subject} {number}{self._random.choice(_SUFFIXES)}"


def delivery(order: Order, created: float, delivered: float) -> Order:
    """Return the fields that an order gets by its delivery."""
    events = _EVENTS if order["level"] else (_EVENTS[0], _EVENTS[-1])
    document = f"https://files.ollang.invalid/{order['id']}"
    return {
        "vttUrl": f"{document}.vtt?signature=abc" if order["type"] in ("cc", "subtitle") else None,
        "orderDocs": [{"name": order["name"], "url": f"{document}.docx"}],
        "deliveryEvents": [
            {
                "type": event,
                "occurredAt": format_time(created + (delivered - created) * (step + 1) / 10),
                "actorType": "system" if event == "ai_delivered" else "user",
                "actorId": None if event == "ai_delivered" else CLIENT_ID,
            }
            for step, event in enumerate(events)
        ],
    }
