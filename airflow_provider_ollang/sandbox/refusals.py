"""What the API says when it refuses, in each of the three formats that are known of it."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

ERROR_FORMATS = ("documented", "envelope", "framework")


@dataclass(frozen=True)
class Refusal:
    """A status, and what its body says; a code only where the reference documents one."""

    status: int
    message: str | list[str]
    error: str | None = None
    code: str | None = None

    def body(self, error_format: str) -> dict[str, Any]:
        """Return the JSON body in one of ``ERROR_FORMATS``."""
        if error_format == "envelope":
            generic = {"code": -1, "error": "UnknownError", "message": "unknown error"}
            return generic | {"detail": self._detail}
        phrase = HTTPStatus(self.status).phrase
        if error_format == "framework":
            return {"statusCode": self.status, "message": self.message, "error": phrase}
        body = {"error": self.error or phrase, "message": self.message}
        return body | ({"code": self.code} if self.code else {})

    @property
    def _detail(self) -> str:
        return self.message if isinstance(self.message, str) else "; ".join(self.message)


class RefusedError(Exception):
    """A request that is answered with ``refusal``."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.status)
        self.refusal = refusal


def documented(status: int, code: str, error: str, message: str) -> Refusal:
    """Return a refusal in the form of the API's reference."""
    return Refusal(status, message, error, code)


def framework(status: int, message: str | list[str]) -> Refusal:
    """Return a refusal of the framework, for which the reference has no code."""
    return Refusal(status, message)


def no_route(method: str, path: str) -> Refusal:
    """Return the refusal of an address that the API does not have."""
    return framework(404, f"Cannot {method} {path}")


UNAUTHORIZED = documented(401, "UNAUTHORIZED", "Unauthorized", "Invalid or missing API key")
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
TOO_MANY_REQUESTS = framework(429, "ThrottlerException: Too Many Requests")
