"""The API key: a value that shows itself nowhere, and is taken out of what comes from outside."""

from __future__ import annotations

import re
from functools import lru_cache
from html.entities import html5
from typing import Any

MASK = "***"

#: What pages call the characters of ASCII.
_NAMES = {it[:-1]: char for it, char in html5.items() if it[-1] == ";" and char.isascii()}
#: How links, pages, and JSON and Python write a character; links and pages also more than once.
_ESCAPE = re.compile(
    r"%(?:25)*(?P<link>[2-7][0-9a-fA-F])"
    r"|&(?:amp;)*(?:#0*(?P<decimal>[0-9]{2,3})|#[xX]0*(?P<page>[2-7][0-9a-fA-F])"
    rf"|(?P<name>{'|'.join(_NAMES)}));"
    r"|\\+(?:(?:u00|x)(?P<json>[2-7][0-9a-fA-F]))?"
)
#: How many kinds of escapes may lie over one another.
_LAYERS = 8
#: What stands between the characters of a text in UTF-16, and what nobody sees.
_INVISIBLE = re.compile("[\0-\x08\x0e-\x1f\x7f\xad\u200b-\u200f\u2060-\u2064\ufeff]")


class Secret(str):
    """Text that stands in no ``repr``: neither its own nor that of anything that holds it."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(MASK)


class Masked(str):
    """Text that a secret was taken out of: it reads otherwise than it came."""

    __slots__ = ()


def hidden(value: Any) -> Any:
    """Return text as a secret, any other value as it came."""
    return Secret(value) if isinstance(value, str) else value


def mask(text: str, secret: str) -> str:
    """Return the text without the secret, however links, pages and JSON escape it.

    A text that has it escaped comes back with its escapes undone, and without backslashes.
    """
    if not secret:
        return text
    masked = text.replace(secret, MASK)
    sought, plain = _sought(secret), _unescaped(masked)
    if sought and sought in plain:
        masked = plain.replace(sought, MASK)
    return text if masked == text else Masked(masked)


def mask_json(value: Any, secret: str) -> Any:
    """Return a JSON value without the secret in any of its texts, and where it is a number."""
    if isinstance(value, str):
        return mask(value, secret)
    if isinstance(value, list):
        return [mask_json(item, secret) for item in value]
    if isinstance(value, dict):
        return {mask(name, secret): mask_json(item, secret) for name, item in value.items()}
    if isinstance(value, (int, float)) and str(value) == secret:
        return Masked(MASK)
    return value


@lru_cache(maxsize=8)
def _sought(secret: str) -> str:
    return Secret(_unescaped(secret))


def _unescaped(text: str) -> str:
    """Return the text with no escape of ASCII in it, no backslash, and nothing invisible."""
    text = _INVISIBLE.sub("", text)
    for _ in range(_LAYERS):
        before, text = text, _ESCAPE.sub(_meaning, text)
        if text == before:
            break
    return text


def _meaning(escape: re.Match[str]) -> str:
    if code := escape["link"] or escape["page"] or escape["json"]:
        return chr(int(code, 16))
    if escape["decimal"]:
        return chr(int(escape["decimal"]))
    if escape["name"]:
        return _NAMES[escape["name"]]
    return ""  # a backslash before what it escapes
