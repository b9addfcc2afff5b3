"""What to do about an error, in the terms of a connection: the client itself knows of none."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from airflow_provider_ollang.api.errors import (
    AccessDeniedError,
    OllangError,
    OrderNotFoundError,
    TransportError,
    UnauthorizedError,
)

_REMEDIES: Mapping[type[OllangError], str] = MappingProxyType(
    {
        UnauthorizedError: "Check the connection's password: it must be the API key from the "
        "Ollang dashboard (project settings, API keys).",
        AccessDeniedError: "Use the key of an account that may do this.",
        OrderNotFoundError: "Check the id, and that the connection's host and key belong together.",
        TransportError: "Check the connection's host, and the network.",
    }
)


def with_remedy(text: str, kind: type[OllangError]) -> str:
    """Return what an error says as a sentence, and what to do about it where that is known.

    :param text: what the error says
    :param kind: the error's class
    """
    sentence = text if text.endswith((".", "?", "!")) else f"{text}."
    return " ".join([sentence, *(it for known, it in _REMEDIES.items() if issubclass(kind, known))])
