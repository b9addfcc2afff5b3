"""The body of a request to create orders: its rules, and the orders that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_ollang.sandbox.generation import Order
from airflow_provider_ollang.sandbox.refusals import RefusedError, framework
from airflow_provider_ollang.sandbox.vocabulary import (
    CREATABLE_TYPES,
    DUBBING_STYLES,
    MAX_MEMORIES,
    SUB_TYPES,
)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_address(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("http://", "https://"))


def _is_switch(value: Any) -> bool:
    return isinstance(value, bool)


def _is_level(value: Any) -> bool:
    return not isinstance(value, bool) and value in (0, 1)


def _is_language(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and _is_text(value.get("language"))
        and _is_switch(value.get("isRush", False))
    )


def _are_languages(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_language, value))


def _are_memories(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MAX_MEMORIES and all(map(_is_text, value))


def _one_of(allowed: tuple[str, ...]) -> tuple[Callable[[Any], bool], str]:
    return allowed.__contains__, f"must be one of the following values: {', '.join(allowed)}"


_REQUIRED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "projectId": (_is_text, "must be a non-empty string"),
    "orderType": _one_of(CREATABLE_TYPES),
    "level": (_is_level, "must be one of the following values: 0, 1"),
    "targetLanguageConfigs": (_are_languages, "must be a non-empty array of languages"),
}
_OPTIONAL: dict[str, tuple[Callable[[Any], bool], str]] = {
    "orderSubType": _one_of(SUB_TYPES),
    "dubbingStyle": _one_of(DUBBING_STYLES),
    "callbackUrl": (_is_address, "must be a URL address"),
    "autoQc": (_is_switch, "must be a boolean value"),
    "selectedMemories": (_are_memories, f"must be an array of at most {MAX_MEMORIES} ids"),
}


def check(body: Any) -> None:
    """Pass a body that the API would take.

    :raises RefusedError: 400, naming every field that breaks a rule.
    """
    fields = body if isinstance(body, dict) else {}
    rules = _REQUIRED | {name: rule for name, rule in _OPTIONAL.items() if name in fields}
    complaints = [
        f"{name} {complaint}"
        for name, (passes, complaint) in rules.items()
        if not passes(fields.get(name))
    ]
    if complaints:
        raise RefusedError(framework(400, complaints))


def orders_of(body: dict[str, Any]) -> Iterator[Order]:
    """Yield the fields of each order that a checked ``body`` asks for, one for each language.

    A ``callbackUrl`` is accepted and never called.
    """
    for language in body["targetLanguageConfigs"]:
        yield {
            "name": f"New {body['orderType']} order ({language['language']})",
            "sourceLanguage": body.get("sourceLanguage", "en"),
            "targetLanguage": language["language"],
            "type": body["orderType"],
            "level": body["level"],
            "projectId": body["projectId"],
        }
