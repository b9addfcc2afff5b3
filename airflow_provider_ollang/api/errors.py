"""Everything that can go wrong in a call of the Ollang API.

    OllangError
    ├── InvalidInputError               invalid, found before any request (a ValueError too)
    ├── StoppedError                    the client was stopped before the request went out
    ├── ConditionNotMetError            a condition does not hold for the order; not cancelled
    ├── AmbiguousOrdersError            a lost request may have created these orders, or others
    ├── TransportError                  no response
    │   ├── ConnectionFailedError       refused, reset, no such host, cut off
    │   ├── TimedOutError               no connection or no response in time
    │   └── CertificateError            TLS could not be trusted
    ├── UnexpectedResponseError         a response that the API does not document
    │   └── UnreadableResponseError     such a response to a read, which is safe to repeat
    └── ApiError                        an error response of the API
        ├── BadRequestError             400 without a code
        ├── UnauthorizedError           UNAUTHORIZED, 401
        ├── AccessDeniedError           ACCESS_DENIED, 403
        ├── OrderNotFoundError          ORDER_NOT_FOUND, 404
        ├── ProjectNotFoundError        PROJECT_NOT_FOUND or 404, to a request to create orders
        ├── OrderNotCancellableError    ORDER_NOT_CANCELLABLE, or a 400 that says so
        ├── OrderAlreadyCancelledError  ORDER_ALREADY_CANCELLED, 409
        ├── WrongBaseUrlError           404 of a router: there is no such endpoint
        ├── RateLimitedError            429
        └── ServerError                 500 and above, 408, 425

What an error means stands on its class: whether the same request may succeed later
(``is_retryable``), whether the task's own retries are useless (``is_final``), what a person can do
(``hint``), and what a report calls it (``outcome``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

#: What to say where an order is found cancelled after a response was lost.
LOST_RESPONSE_NOTE = "probably cancelled by this task: the response to an earlier request was lost"


class OllangError(Exception):
    """Base of all errors that this package raises about an API call.

    :param message: what happened, as a sentence without the key
    :param status: the HTTP status, where there was a response
    :param code: the ``code`` of the response's body, where it had one
    :param order_id: the order that the call was about
    :param retry_after: seconds that the API asks to wait, where it does
    """

    #: Whether the client sends the same request again after a wait.
    is_retryable: bool = False
    #: Whether no later attempt, of the client or of the task, can help.
    is_final: ClassVar[bool] = False
    #: What a person can do about it.
    hint: ClassVar[str] = ""
    #: What the report of a batch calls it.
    outcome: str = "failed"
    #: Whether every other order would meet the same error, so that a batch ends.
    affects_all_orders: ClassVar[bool] = False
    #: Whether the request may have been acted on: a server that fails may have acted before, and
    #: so may one whose response was replaced on its way.
    proves_nothing: ClassVar[bool] = False

    #: Requests that were sent in this call, retries included.
    attempts: int = 1
    #: Whether a request of this call may have been acted on although no response says so.
    response_lost: bool = False

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        order_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.order_id = order_id
        self.retry_after = retry_after

    @property
    def details(self) -> str:
        """Status, code, message, the wait asked for, and attempts: all but the order."""
        status = f"HTTP {self.status}" if self.status is not None else None
        head = ", ".join(part for part in (status, self.code) if part)
        text = f"{head}: {self.message}" if head else self.message
        if self.retry_after is not None:
            text += f" (the API asks to wait {self.retry_after:g} s)"
        if self.attempts > 1:
            text += f" (after {self.attempts} attempts)"
        return text

    def __str__(self) -> str:
        """Say what is known, the order first."""
        return f"order {self.order_id}: {self.details}" if self.order_id else self.details


def with_hint(text: str, hint: str) -> str:
    """Return the text as a sentence, followed by the hint if there is one."""
    sentence = text if text.endswith((".", "?", "!")) else f"{text}."
    return f"{sentence} {hint}" if hint else sentence


class InvalidInputError(OllangError, ValueError):
    """A value is invalid. No request was sent."""

    is_final = True


class StoppedError(OllangError):
    """The client was stopped before the request went out."""

    outcome = "not_tried"


class ConditionNotMetError(OllangError):
    """A condition does not hold for the order, so no further cancel request was sent.

    :param outcome: what that makes of the order, as a report words it, such as ``status_changed``
    :param reason: which condition, as part of a sentence
    """

    def __init__(self, order_id: str, outcome: str, reason: str) -> None:
        super().__init__(reason, order_id=order_id)
        self.args = (order_id, outcome, reason)  # what pickle makes the same error from
        self.outcome = outcome
        self.attempts = 0

    @property
    def details(self) -> str:
        """Say what was sent, and why no more."""
        sent = "no further cancel request" if self.attempts else "no cancel request"
        return f"{sent} was sent: {self.message}"


class AmbiguousOrdersError(OllangError):
    """There are new orders, but they are not exactly what was asked for."""

    is_final = True
    hint = (
        "Check in Ollang which of them this task created. Cancel those that are not needed, then "
        "clear the task: it looks again, and ignores cancelled orders."
    )


class TransportError(OllangError):
    """There was no response."""

    hint = "Check the base URL and the network."
    is_retryable = True


class ConnectionFailedError(TransportError):
    """The connection was refused, reset or cut off, or the host could not be found."""


class TimedOutError(TransportError):
    """No connection, or no response, in time."""


class CertificateError(TransportError):
    """The server's certificate could not be trusted. Not tried again: it would not help."""

    is_retryable = False


class UnexpectedResponseError(OllangError):
    """The API documents no such response: it is neither a success nor a known error."""

    hint = (
        "Check the base URL and any proxy: something other than the Ollang API may have responded."
    )
    proves_nothing = True


class UnreadableResponseError(UnexpectedResponseError):
    """A read got a response that the API does not document. Reading again may help."""

    is_retryable = True


class ApiError(OllangError):
    """The API responded with an error."""

    #: The code that the API documents for this error.
    documented_code: ClassVar[str | None] = None

    @property
    def meaning(self) -> str | None:
        """The response's code; where it has none, the one documented for the status."""
        return self.code or self.documented_code


class BadRequestError(ApiError):
    """400 without a code: the API did not accept the request's form."""

    is_final = True


class UnauthorizedError(ApiError):
    """The API key is missing or invalid."""

    documented_code = "UNAUTHORIZED"
    is_final = True
    affects_all_orders = True
    hint = "Copy the API key again from Ollang: Project settings > API keys."


class AccessDeniedError(ApiError):
    """The key's account may not touch this order."""

    documented_code = "ACCESS_DENIED"
    is_final = True
    outcome = "access_denied"
    hint = "Use an API key of the account that owns the order."


class OrderNotFoundError(ApiError):
    """There is no such order."""

    documented_code = "ORDER_NOT_FOUND"
    is_final = True
    outcome = "not_found"
    hint = "Check the order id, and that the API key belongs to the account that owns the order."


class ProjectNotFoundError(ApiError):
    """There is no such project to create orders in."""

    is_final = True
    hint = (
        "Check the project id, and that the API key belongs to the account that owns the project."
    )


class OrderNotCancellableError(ApiError):
    """The order is already in progress or completed."""

    documented_code = "ORDER_NOT_CANCELLABLE"
    is_final = True
    outcome = "not_cancellable"


class OrderAlreadyCancelledError(ApiError):
    """The order was cancelled before."""

    documented_code = "ORDER_ALREADY_CANCELLED"
    is_final = True
    outcome = "already_cancelled"


class WrongBaseUrlError(ApiError):
    """There is no such endpoint: the base URL is not that of the Ollang API."""

    is_final = True
    affects_all_orders = True
    hint = "Check the base URL; leave it empty for the default."


class RateLimitedError(ApiError):
    """Too many requests."""

    is_retryable = True


class ServerError(ApiError):
    """The API, or something in front of it, failed. It may have acted on the request."""

    proves_nothing = True

    def __init__(self, message: str, *, status: int | None = None, **fields: Any) -> None:
        super().__init__(message, status=status, **fields)
        self.is_retryable = status in PASSING_STATUSES


#: Transient errors. 520 to 524 and 529 are sent by networks in front of an API.
#: Sources: RFC 9110, section 15; RFC 8470, section 5.2; Cloudflare's documentation, "5xx errors".
PASSING_STATUSES = frozenset({408, 425, 500, 502, 503, 504, *range(520, 525), 529})

#: The code in an error's body, and what it is raised as.
#: Source: https://api-docs.ollang.com, "Cancel order".
ERROR_BY_CODE: Mapping[str, type[ApiError]] = {
    kind.documented_code: kind for kind in ApiError.__subclasses__() if kind.documented_code
}

#: What a status means where the body has no code, or the generic one. A 400 alone does not say
#: that the order cannot be cancelled: the API's framework sends it for any malformed request.
ERROR_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: AccessDeniedError,
    404: OrderNotFoundError,
    409: OrderAlreadyCancelledError,
    429: RateLimitedError,
}
