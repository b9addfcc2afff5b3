"""Timestamps as the Ollang API writes them, and as seconds since the epoch."""

from __future__ import annotations

from datetime import UTC, datetime


def to_text(instant: float) -> str:
    """Return ``instant`` in the API's form, such as ``2024-01-15T10:30:00.123Z``."""
    moment = datetime.fromtimestamp(instant, UTC)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def from_text(text: object) -> float | None:
    """Return the seconds since the epoch, or ``None`` where ``text`` is no ISO 8601 date."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        return None
