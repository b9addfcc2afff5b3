"""What an answer of the API means. Pure functions: bytes and headers in, values or errors out."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from airflow_provider_ollang.api.errors import (
    ERROR_BY_CODE,
    ERROR_BY_STATUS,
    ApiError,
    OllangError,
    RateLimitedError,
    ServerError,
    UnauthorizedError,
    UnexpectedAnswerError,
)
from airflow_provider_ollang.api.secret import mask, mask_json

_LONGEST_MESSAGE = 300
#: Far more than is shown, also where most of it is white space.
_LONGEST_EXCERPT = 100_000


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, or ``None`` if it says nothing.

    :param value: the header's value: seconds, or an HTTP date (RFC 9110, section 10.2.3)
    :param now: the time to count a date from; the present if left out
    """
    text = (value or "").strip()
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text, re.ASCII):
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:  # "-0000": UTC, by RFC 5322
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - (now or datetime.now(UTC))).total_seconds()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def parse_json(body: bytes, *, secret: str = "") -> Any:
    """Return the body's JSON value without the secret in it, or ``None`` where it is no JSON."""
    try:
        return mask_json(json.loads(body), secret)
    except (ValueError, RecursionError):  # also undecodable bytes, and nesting without end
        return None


def one_line(value: object, *, secret: str = "") -> str:
    """Return text from outside as one short printable line, without the secret in it."""
    text = mask(str(value), secret)
    text = "".join(char if char.isprintable() else " " for char in text)
    # Airflow's UI folds a log from a "::group::" anywhere in a line on.
    text = re.sub(":(?=:)", ": ", " ".join(text.split()))
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


def error_from_answer(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    order_id: str | None = None,
    secret: str = "",
) -> OllangError:
    """Return the error that an answer stands for; its ``code`` decides, then its status.

    Understands the documented error body and the one of NestJS, the framework behind the API.

    :param status: the HTTP status, of any answer that is not the one hoped for
    :param headers: the answer's headers
    :param body: the answer's body
    :param order_id: the order that the request was about
    :param secret: the API key, to keep it out of the message if the server echoes it
    """
    answer = parse_json(body, secret=secret)
    fields = answer if isinstance(answer, dict) else None
    code = _code(fields, secret)
    kind = _error_class(status, code, is_json_object=fields is not None)
    message = (
        _describe(status, headers, body if answer is None else _as_json(answer), secret)
        if fields is None or kind is UnexpectedAnswerError
        else _message(fields, secret)
    )
    return kind(
        message,
        status=status,
        code=code,
        order_id=order_id,
        retry_after=parse_retry_after(headers.get("Retry-After")),
    )


def _code(fields: dict[str, Any] | None, secret: str) -> str | None:
    code = (fields or {}).get("code")
    if code is None or code == "":
        return None
    text = one_line(code, secret=secret)
    # What reads otherwise than it came is none that we know, even if only by white space.
    return text if text == code else one_line(repr(code), secret=secret)


def _error_class(status: int, code: str | None, *, is_json_object: bool) -> type[OllangError]:
    if status < 400:
        return UnexpectedAnswerError
    if code is not None and code in ERROR_BY_CODE:
        return ERROR_BY_CODE[code]
    if status == 429:
        return RateLimitedError
    if status >= 500:
        return ServerError
    if status == 401:  # a gateway may reject the key with a page of its own
        return UnauthorizedError
    if not is_json_object:
        return UnexpectedAnswerError
    return ApiError if code else ERROR_BY_STATUS.get(status, ApiError)


def _message(fields: dict[str, Any], secret: str) -> str:
    message = fields.get("message") or fields.get("error") or "no message"
    if isinstance(message, list):
        message = "; ".join(str(part) for part in message)
    return one_line(message, secret=secret)


def _as_json(answer: Any) -> bytes:
    """Return the JSON in one spelling: a server may write any character of a secret escaped."""
    return json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")


def _describe(status: int, headers: Mapping[str, str], body: bytes, secret: str) -> str:
    """Say what came, for an answer whose meaning is not documented."""
    if 300 <= status < 400:
        target = one_line(headers.get("Location", "nowhere"), secret=secret)
        return f"a redirect to {target} came; redirects are not followed: check the base URL"
    kind = one_line(headers.get("Content-Type", "no content type"), secret=secret)
    text = mask(body.decode("utf-8", "replace"), secret)  # before the cut: it could halve a secret
    excerpt = one_line(text[:_LONGEST_EXCERPT])
    return f"an answer came that the API does not document ({kind}): {excerpt or 'empty body'}"
