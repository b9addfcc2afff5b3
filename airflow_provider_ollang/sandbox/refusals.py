"""What the API answers when it refuses: its documented bodies, and its framework's."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any


@dataclass(frozen=True)
class Refusal:
    """A status and the JSON body that goes with it."""

    status: int
    body: dict[str, Any]


class RefusedError(Exception):
    """A request that is answered with ``refusal``."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status)
        self.refusal = refusal


def documented(status: int, code: str, error: str, message: str) -> Refusal:
    """Return a refusal in the form of the API's reference."""
    return Refusal(status, {"error": error, "message": message, "code": code})


def framework(status: int, message: str | list[str]) -> Refusal:
    """Return a refusal in the default form of NestJS, which the API is built on."""
    phrase = HTTPStatus(status).phrase
    return Refusal(status, {"statusCode": status, "message": message, "error": phrase})


def no_route(method: str, path: str) -> Refusal:
    """Return the refusal of an address that the API does not have."""
    return framework(404, f"Cannot {method} {path}")


UNAUTHORIZED = documented(401, "UNAUTHORIZED", "Unauthorized", "API key is missing or invalid")
ACCESS_DENIED = documented(
    403, "ACCESS_DENIED", "Access denied", "You do not have permission to access this order"
)
ORDER_NOT_FOUND = documented(
    404, "ORDER_NOT_FOUND", "Order not found", "No order found with the provided orderId"
)
PROJECT_NOT_FOUND = documented(
    404, "PROJECT_NOT_FOUND", "Project not found", "No project found with the provided projectId"
)
ORDER_NOT_CANCELLABLE = documented(
    400,
    "ORDER_NOT_CANCELLABLE",
    "Order not cancellable",
    "The order is already in progress or completed",
)
ORDER_ALREADY_CANCELLED = documented(
    409,
    "ORDER_ALREADY_CANCELLED",
    "Order already cancelled",
    "The order has already been cancelled",
)
# NestJS's throttler leaves the "error" of its default body out.
TOO_MANY_REQUESTS = Refusal(
    429, {"statusCode": 429, "message": "ThrottlerException: Too Many Requests"}
)
