"""Checks before any request: order ids, API keys, base URLs and CA bundles."""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from typing import Any
from urllib.parse import SplitResult, urlsplit

from airflow_provider_ollang.api.errors import InvalidInputError

_ORDER_ID = re.compile(r"[A-Za-z0-9_-]{1,128}", re.ASCII)
#: The labels of a host's name have at most 63 characters (RFC 1035, section 2.3.4).
_BASE_URL = re.compile(
    r"https?://((?:[\w-]{1,63}\.)*[\w-]{1,63}\.?|\[[0-9a-f:.]+\])(:[0-9]+)?(/[!-~]*)?",
    re.ASCII | re.IGNORECASE,
)
#: What templates and languages write for "nothing". No order has such an id.
_NOTHING = frozenset({"none", "null", "nil", "undefined", "nan", "true", "false"})


def check_order_id(value: Any, *, field: str = "order_id") -> str:
    """Return the order id, if it is valid.

    :param field: the parameter's name, for the message
    :raises InvalidInputError: it is invalid
    """
    is_text = isinstance(value, str)
    if not is_text or not _ORDER_ID.fullmatch(value) or value.lower() in _NOTHING:
        hint = "Did a template render to an empty value?"
        if isinstance(value, (int, float)):
            hint = "A native template turns digits into a number: pass the id as text."
        elif is_text and value.strip() and value.lower() not in _NOTHING:
            hint = "Pass the id alone, without a URL or a name."
        raise InvalidInputError(
            f"{field}: expected an order id (1 to 128 of A-Z, a-z, 0-9, '_' and '-') as text, "
            f"got {type(value).__name__}: {shown(value)}. {hint}"
        )
    return str(value)


def shown(value: Any) -> str:
    """Return a value as an error shows it, even where Python cannot write it."""
    try:
        return f"{value!r:.120}"
    except (ValueError, RecursionError):  # a number of thousands of digits; nesting without end
        return f"a value of type {type(value).__name__} that is too large to be shown"


def check_api_key(value: Any, *, field: str = "api_key") -> str:
    """Return the API key, if it can be one. No message shows its value.

    :raises InvalidInputError: it is not visible ASCII characters
    """
    if not isinstance(value, str) or not value.strip():
        raise InvalidInputError(f"{field}: the API key is missing. Set it to your Ollang API key.")
    if value != value.strip():
        raise InvalidInputError(
            f"{field}: the API key has white space around it. Enter it again without it."
        )
    if not all("!" <= char <= "~" for char in value):
        raise InvalidInputError(
            f"{field}: the API key has white space, control or non-ASCII characters in it. "
            "Copy it again from the Ollang dashboard."
        )
    return value


def check_base_url(value: Any, *, allow_http: bool = False, field: str = "base_url") -> str:
    """Return the base URL without a trailing slash, if requests with the key may go there.

    :param allow_http: whether plain http may go to other machines than this one
    :raises InvalidInputError: it is another URL, or would send the key unencrypted
    """
    url = value.rstrip("/") if isinstance(value, str) else ""
    parts = _split(url)
    if parts is None:
        raise InvalidInputError(
            f"{field}: expected a URL such as https://api-integration.ollang.com, "
            f"got {re.sub('.*@', '…@', str(value), flags=re.DOTALL)!r:.200}."  # it may be a key
        )
    if parts.scheme == "http" and not allow_http and not is_loopback(parts.hostname or ""):
        raise InvalidInputError(
            f"{field}: {url!r:.200} would send the API key unencrypted. Use https, "
            "or set allow_http if this is intended."
        )
    return url


def check_verify(value: bool | str, *, field: str = "verify") -> bool | str:
    """Return ``verify``, if it is a truth value or the path of CA certificates.

    :raises InvalidInputError: it is neither
    """
    if not isinstance(value, bool) and not os.path.isdir(value):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
        except (OSError, ValueError) as error:
            raise InvalidInputError(
                f"{field}: expected false, or the path of a CA bundle on this machine; "
                f"{value!r:.200} contains no readable CA certificate ({error})"
            ) from error
    return value


def is_loopback(host: str) -> bool:
    """Return whether the host name or address is this machine's own."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _split(url: str) -> SplitResult | None:
    """Return the parts of an http(s) URL with a host, and nothing that does not belong there."""
    if not _BASE_URL.fullmatch(url) or set(url) & set("?#@\\"):
        return None
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None  # reading it raises where it is invalid
    except ValueError:
        return None
