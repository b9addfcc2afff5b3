"""What the sandbox remembers of a request: enough to check a client, and never its key."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from airflow_provider_ollang.sandbox import instants

_ORDER_ID = re.compile(r"/integration/orders/(?:cancel/)?([^/]+)")


@dataclass(slots=True)
class Received:
    """A request that reached the sandbox.

    ``status``, ``fault`` and ``acted`` are filled in as the request is dealt with: a ``status`` of
    ``None`` means that nothing was answered, or nothing yet.
    """

    method: str
    path: str
    """The path with its query, decoded no further than it came."""
    order_id: str | None
    key_accepted: bool
    user_agent: str
    time: float
    """Seconds since the epoch."""
    status: int | None = None
    fault: str | None = None
    acted: float | None = None
    """When the API did as it was asked, whatever was answered; ``None`` if it did not."""

    @property
    def is_cancel(self) -> bool:
        """Whether this asked for an order to be cancelled."""
        return self.method == "POST" and self.path.startswith("/integration/orders/cancel/")

    @property
    def is_listing(self) -> bool:
        """Whether this asked for a page of orders."""
        return self.method == "GET" and self.path.partition("?")[0] == "/integration/orders"

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters, decoded."""
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    def to_json(self) -> dict[str, Any]:
        """Return the record in the form that the control endpoint shows."""
        return {
            "method": self.method,
            "path": self.path,
            "orderId": self.order_id,
            "keyAccepted": self.key_accepted,
            "userAgent": self.user_agent,
            "time": instants.to_text(self.time),
            "status": self.status,
            "fault": self.fault,
        }


def order_id_in(method: str, path: str) -> str | None:
    """Return the order id that ``path`` is about, or ``None``."""
    match = _ORDER_ID.fullmatch(path)
    if match is None or (method == "POST" and match[1] == "create"):
        return None
    return match[1]
