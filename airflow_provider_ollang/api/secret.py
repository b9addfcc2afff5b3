"""The API key: a value that shows itself nowhere, and is taken out of what comes from outside."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import quote

MASK = "***"


#: What lists and dictionaries, JSON, links and pages do to a text in them.
_ESCAPES: tuple[Callable[[str], str], ...] = (
    str,
    lambda text: repr(text)[1:-1],
    lambda text: repr('"' + text)[2:-1],  # beside a quotation mark it is escaped otherwise
    lambda text: json.dumps(text)[1:-1],
    quote,
    lambda text: quote(text, safe=""),
    html.escape,
    lambda text: html.escape(text).replace("&#x27;", "&#39;"),
    lambda text: html.escape(text, quote=False),
)


class Secret(str):
    """Text that stands in no ``repr``: neither its own nor that of anything that holds it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


class Masked(str):
    """Text that a secret was taken out of: it reads otherwise than it came."""

    __slots__ = ()


def mask(text: str, secret: str) -> str:
    """Return the text without the secret, as it is or escaped as pages, links and lists do it."""
    masked = text
    for shown in _ways_to_write(str(secret)) if secret else ():
        masked = masked.replace(shown, MASK)
    return text if masked == text else Masked(masked)


def mask_json(value: Any, secret: str) -> Any:
    """Return a JSON value without the secret in any of its texts."""
    if isinstance(value, str):
        return mask(value, secret)
    if isinstance(value, list):
        return [mask_json(item, secret) for item in value]
    if isinstance(value, dict):
        return {mask(name, secret): mask_json(item, secret) for name, item in value.items()}
    return value


@lru_cache(maxsize=8)
def _ways_to_write(secret: str) -> list[str]:
    """Return how the secret reads as it is, escaped, or escaped twice; the longest first."""
    once = {escape(secret) for escape in _ESCAPES}
    twice = {escape(text) for escape in _ESCAPES for text in once}
    return sorted(twice, key=len, reverse=True)
