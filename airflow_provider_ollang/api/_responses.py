"""What a response of the API means. Pure functions: bytes and headers in, values or errors out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_provider_ollang.api._secret import mask, mask_json
from airflow_provider_ollang.api.errors import (
    ERROR_BY_CODE,
    ERROR_BY_STATUS,
    PASSING_STATUSES,
    ApiError,
    OllangError,
    OrderAlreadyCancelledError,
    OrderNotCancellableError,
    OrderNotFoundError,
    ProjectNotFoundError,
    ServerError,
    UnexpectedResponseError,
    UnreadableResponseError,
    WrongBaseUrlError,
)
from airflow_provider_ollang.api.models import parse_http_date

_LONGEST_MESSAGE = 300
#: How the API says in text what ``ORDER_NOT_CANCELLABLE`` says. Sources:
#: https://api-docs.ollang.com, "Cancel order"; the public repository ollang/skills, "Cancel Order".
_NOT_CANCELLABLE = re.compile(
    r"already in progress or completed|not cancell?able|not eligible for cancell?ation"
    r"|(cannot|can't|can ?not) be cancell?ed",
    re.IGNORECASE,
)
#: How routers say that there is no such address: NestJS and Express, Fastify, Kong and others.
_NO_ROUTE = re.compile(r"^cannot [a-z]+ /|\broute\b|/integration/", re.IGNORECASE)
#: "No code": the last two are of the generic envelope.
_GENERIC_CODES = (None, "", -1, "-1")
#: What a create request may meet; the reference documents its status only.
_NO_PROJECT = "PROJECT_NOT_FOUND"
_ERRORS_OF_A_CANCEL = (OrderAlreadyCancelledError, OrderNotCancellableError)
_CODE = re.compile(r"[A-Z]+(_[A-Z]+)+")
#: Whoever has a signed URL can read its file: neither its query nor a ``vttUrl`` is shown.
_SIGNED = re.compile(r"""(vttUrl\W{1,8}|https?:[^\s"'?]*\?)[^\s"',}]+""", re.IGNORECASE)
#: Far more than is shown, also where most of it is white space.
_LONGEST_TEXT = 100_000


def parse_retry_after(value: str | None, *, now: datetime | None = None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for, or ``None`` if it says nothing.

    It says seconds or a date (RFC 9110, section 10.2.3). One that was sent more than once reads as
    a list; the longest wait in it counts.
    """
    # A date's own comma splits off the day of the week, which nothing depends on.
    waits = [_seconds(part.strip(), now or datetime.now(UTC)) for part in (value or "").split(",")]
    return max((wait for wait in waits if wait is not None), default=None)


def _seconds(text: str, now: datetime) -> float | None:
    if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,6})?", text, re.ASCII):
        return float(text)
    moment = parse_http_date(text)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def parse_json(body: bytes, content_type: str = "", *, secret: str = "") -> Any:
    """Return the body's JSON value without the secret in it, or ``None`` where it is not JSON.

    It is in UTF-8, UTF-16 or UTF-32, or else in the charset of its content type.
    """
    try:
        return mask_json(_load(body, content_type), secret)
    except (LookupError, ValueError, RecursionError):  # also no such charset, or endless nesting
        return None


def _load(body: bytes, content_type: str) -> Any:
    # The bytes come first: headers that call UTF-8 "ISO-8859-1" are common, and text in another
    # charset that is UTF-8 by chance is not. A name misread that way could slip past a filter.
    try:
        return json.loads(body)
    except ValueError:
        return json.loads(body.decode(_charset(content_type)))


def _decoded(body: bytes, content_type: str) -> str:
    try:
        return body.decode(_charset(content_type), "replace")
    except (LookupError, ValueError):  # no such charset, or not one of text
        return body.decode("utf-8", "replace")


def _charset(content_type: str) -> str:
    found = re.search(r"charset\s*=\s*[\"']?([^\s;\"']+)", content_type, re.IGNORECASE)
    return found[1] if found else "utf-8"


def one_line(value: object, *, secret: str = "") -> str:
    """Return text from outside as one short printable line, without secrets in it."""
    text = mask(str(value), secret)[:_LONGEST_TEXT]  # not before: the cut could halve a secret
    text = "".join(char if char.isprintable() else " " for char in text)
    # Airflow's UI folds a log from a "::group::" anywhere in a line on.
    text = re.sub(":(?=:)", ": ", " ".join(text.split()))
    text = text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"
    return _SIGNED.sub(r"\1***", text)


def error_from_response(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    order_id: str | None = None,
    project_id: str | None = None,
    is_read: bool = False,
    secret: str = "",
) -> OllangError:
    """Return the error that a response stands for; its ``code`` decides, then its status.

    Understands three error bodies: the documented one, the generic envelope that Ollang's public
    agent skills describe (``code`` -1, the reason in ``detail``), and that of NestJS.

    :param order_id: the order that the request was about
    :param project_id: the project in which the request was to create orders
    :param is_read: whether the request only reads, so that it may be sent again
    :param secret: the API key, to keep it out of the message if the server echoes it
    """
    value = parse_json(body, headers.get("Content-Type", ""), secret=secret)
    fields = value if isinstance(value, dict) else None
    text = _text(fields or {}, secret)
    code = _code(fields or {}, secret)
    kind = _error_class(status, code, fields, text)
    if project_id and (code == _NO_PROJECT or kind is OrderNotFoundError):
        kind = ProjectNotFoundError
        text = f"project {project_id}: {text or 'no message'}"
    elif kind is OrderNotFoundError and order_id is None:  # the request named no order
        kind = WrongBaseUrlError
    elif kind in _ERRORS_OF_A_CANCEL and (is_read or order_id is None):
        kind = UnexpectedResponseError
    if fields is None or kind is UnexpectedResponseError:
        text = _describe(status, headers, body, value, secret)
    if is_read and kind is UnexpectedResponseError:
        kind = UnreadableResponseError
    return kind(
        text or "no message",
        status=status,
        code=code,
        order_id=order_id,
        retry_after=parse_retry_after(headers.get("Retry-After")),
    )


def _code(fields: dict[str, Any], secret: str) -> str | None:
    """Return the code in words, wherever the body has it; ``None`` if it has none."""
    code = fields.get("code")
    if code in _GENERIC_CODES:  # the generic envelope and NestJS may pass one on as their text
        texts = (fields.get(name) for name in ("detail", "message"))
        return next((it for it in texts if isinstance(it, str) and _CODE.fullmatch(it)), None)
    text = one_line(code, secret=secret)
    # A code that has to be altered to be shown is not one that we know.
    return text if text == code else one_line(repr(code), secret=secret)


def _error_class(
    status: int, code: str | None, fields: dict[str, Any] | None, text: str
) -> type[OllangError]:
    if status < 400:
        return UnexpectedResponseError
    if code is not None and code in ERROR_BY_CODE:
        return ERROR_BY_CODE[code]
    if status in (401, 429):  # a gateway may send them with a page of its own
        return ERROR_BY_STATUS[status]
    if status >= 500 or status in PASSING_STATUSES:
        return ServerError
    if fields is None:
        return UnexpectedResponseError
    return ApiError if code else _class_by_status(status, fields, text)


def _class_by_status(status: int, fields: dict[str, Any], text: str) -> type[ApiError]:
    if status == 400 and _NOT_CANCELLABLE.search(text):
        return OrderNotCancellableError
    is_from_the_api = "statusCode" in fields or "code" in fields
    says_nothing = text.lower() in ("", "not found")
    if status == 404 and (_NO_ROUTE.search(text) or (says_nothing and not is_from_the_api)):
        return WrongBaseUrlError
    return ERROR_BY_STATUS.get(status, ApiError)


def _text(fields: dict[str, Any], secret: str) -> str:
    """Return what the body says to a person. In the generic envelope only ``detail`` does."""
    text = fields.get("detail") or fields.get("message") or fields.get("error") or ""
    if isinstance(text, list):
        text = "; ".join(str(part) for part in text)
    return one_line(text, secret=secret)


def _describe(status: int, headers: Mapping[str, str], body: bytes, value: Any, secret: str) -> str:
    """Say what was received, for a response whose meaning is not documented."""
    if 300 <= status < 400:
        target = one_line(headers.get("Location", "nowhere"), secret=secret)
        return f"a redirect to {target}; redirects are not followed"
    content_type = headers.get("Content-Type", "")
    # JSON is written anew: a server may write any character of a secret escaped.
    is_json = value is not None
    text = json.dumps(value, ensure_ascii=False) if is_json else _decoded(body, content_type)
    kind = one_line(content_type, secret=secret) or "no content type"
    return f"unexpected response ({kind}): {one_line(text, secret=secret) or 'empty body'}"
