"""The API's error responses, in each of the three formats that it is known to use."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse

ERROR_FORMATS = ("documented", "envelope", "framework")

# The status and message of each code in the reference.
_DOCUMENTED = {
    "UNAUTHORIZED": (401, "Invalid or missing API key"),
    "ACCESS_DENIED": (403, "You do not have permission to access this order"),
    "ORDER_NOT_FOUND": (404, "No order found with the provided orderId"),
    "PROJECT_NOT_FOUND": (404, "No project found with the provided projectId"),
    "ORDER_NOT_CANCELLABLE": (400, "The order is already in progress or completed"),
    "ORDER_ALREADY_CANCELLED": (409, "The order has already been cancelled"),
}


class ErrorResponse(Exception):
    """An error that the API responds with.

    :param message: what really happened; a list names several things.
    :param code: only where the reference documents one.
    """

    def __init__(self, status: int, message: str | list[str], code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers: dict[str, str] = {}

    @classmethod
    def documented(cls, code: str) -> ErrorResponse:
        """Return the error that the reference documents under ``code``."""
        return cls(*_DOCUMENTED[code], code)

    def response(self, error_format: str) -> JSONResponse:
        """Return the response in one of ``ERROR_FORMATS``."""
        phrase = HTTPStatus(self.status).phrase
        body: dict[str, Any] = {"error": phrase, "message": self.message}
        if self.code:
            body |= {"error": self.code.replace("_", " ").capitalize(), "code": self.code}
        if error_format == "envelope":
            detail = self.message if isinstance(self.message, str) else "; ".join(self.message)
            body = {"code": -1, "error": "UnknownError", "message": "unknown error"}
            body |= {"detail": detail}
        elif error_format == "framework":
            body = {"statusCode": self.status, "message": self.message, "error": phrase}
        return JSONResponse(body, self.status, self.headers)


def require(rules: Mapping[str, bool]) -> None:
    """Check that each of the rules holds, which are written as what the API says if not.

    :raises ErrorResponse: 400, with every rule that is broken.
    """
    if broken := [rule for rule, holds in rules.items() if not holds]:
        raise ErrorResponse(400, broken)


def one_of(name: str, allowed: Collection[str]) -> str:
    """Return the rule that the value of ``name`` is one of those ``allowed``."""
    return f"{name} must be one of the following values: {', '.join(allowed)}"
