"""What the modules share: the API's statuses, order types and timestamps."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import UTC, datetime
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
