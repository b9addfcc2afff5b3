"""The API key: a value that its repr does not show, and that is taken out of responses."""

from __future__ import annotations

import html
import json
from functools import lru_cache
from typing import Any
from urllib.parse import quote

MASK = "***"


class Secret(str):
    """Text whose ``repr`` does not show it, nor does that of a list or dict that holds it."""

    def __repr__(self) -> str:
        return repr(MASK)


class Masked(str):
    """Text that a secret was taken out of: not the text that was sent."""


def mask(text: str, secret: str) -> str:
    """Return the text without the secret, also where a link, a page or JSON has it escaped."""
    if not secret:
        return text
    masked = text
    for spelling in _spellings(secret):
        masked = masked.replace(spelling, MASK)
    return text if masked == text else Masked(masked)


@lru_cache(maxsize=8)
def _spellings(secret: str) -> frozenset[str]:
    """Return the secret as it is, and as links, pages and JSON escape it."""
    links = (quote(secret), quote(secret, safe=""))
    return frozenset({str(secret), *links, html.escape(secret), json.dumps(secret)[1:-1]})


def mask_json(value: Any, secret: str) -> Any:
    """Return a JSON value without the secret in any of its texts."""
    if isinstance(value, str):
        return mask(value, secret)
    if isinstance(value, list):
        return [mask_json(item, secret) for item in value]
    if isinstance(value, dict):
        return {mask(name, secret): mask_json(item, secret) for name, item in value.items()}
    return value
