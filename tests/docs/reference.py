"""``make reference``: write docs/reference.md from the signatures and docstrings of the public API.

What is listed here is what users may rely on.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

REFERENCE = Path(__file__).parents[2] / "docs" / "reference.md"

PUBLIC = {
    "airflow_provider_ollang.operators.ollang": [
        "FindStaleOrdersOperator",
        "BatchCancelOrdersOperator",
        "CancelOrderOperator",
    ],
    "airflow_provider_ollang.operators.retry": ["RetryAfterPolicy", "RetryAfterException"],
    "airflow_provider_ollang.hooks.ollang": ["OllangHook"],
    "airflow_provider_ollang.api.client": ["OllangClient"],
    "airflow_provider_ollang.api.models": [
        "Order",
        "OrderPage",
        "OrderQuery",
        "CancelReceipt",
        "Health",
    ],
    "airflow_provider_ollang.api.retry": ["RetryPolicy"],
    "airflow_provider_ollang.api.pace": ["Pace", "no_waiting"],
    "airflow_provider_ollang.api.errors": [
        "OllangError",
        "InvalidInputError",
        "StoppedError",
        "ConditionNotMetError",
        "TransportError",
        "ConnectionFailedError",
        "TimedOutError",
        "CertificateError",
        "UnexpectedAnswerError",
        "UnreadableAnswerError",
        "ApiError",
        "BadRequestError",
        "UnauthorizedError",
        "AccessDeniedError",
        "OrderNotFoundError",
        "OrderNotCancellableError",
        "OrderAlreadyCancelledError",
        "RateLimitedError",
        "ServerError",
    ],
    "airflow_provider_ollang.cleanup.stale": [
        "StaleRule",
        "StaleOrder",
        "Finding",
        "find_stale_orders",
        "select",
        "tripped_wire",
    ],
    "airflow_provider_ollang.cleanup.batch": ["Batch"],
    "airflow_provider_ollang.cleanup.outcome": ["Outcome", "OrderResult", "Report"],
    "airflow_provider_ollang.cleanup.record": ["open_record", "RecordError"],
    "airflow_provider_ollang.sandbox": ["Sandbox", "Answer"],
    "airflow_provider_ollang.sandbox.fixture": ["ollang_sandbox"],
}

HEAD = """# Reference

What you may rely on: these names, their parameters and what they say here stay as they are within
a major version. Everything else may change at any time, and so may the texts of messages. What the
operators mean is told in [operators.md](operators.md).

The metrics `ollang.orders.cancelled`, `ollang.orders.refused`, `ollang.orders.failed` and
`ollang.orders.seconds`, the XCom keys `orders`, `summary`, `counts` and `not_cancelled`, the fields
of a record's lines, and the options of `ollang-sandbox` are part of it.
"""


def reference() -> str:
    """Return the whole page."""
    return "\n".join([HEAD, *_lines()])


def _lines() -> Iterator[str]:
    for module, names in PUBLIC.items():
        yield f"## `{module}`\n"
        for name in names:
            yield from _describe(name, getattr(importlib.import_module(module), name))


def _describe(name: str, found: Any) -> Iterator[str]:
    function = getattr(found, "__wrapped__", found)  # a fixture, or a context manager
    bases = [it.__name__ for it in getattr(found, "__bases__", ()) if _is_ours(it)]
    yield f"### {name}\n"
    if bases:
        yield f"A kind of `{'`, `'.join(bases)}`.\n"
    yield from _documented(inspect.getdoc(function) or "")
    if isinstance(found, type) and issubclass(found, Enum):
        yield f"Values: {', '.join(f'`{value}`' for value in found)}.\n"
        return
    if not _is_plain_error(found):
        yield f"```text\n{name}{_signature(function)}\n```\n"
    for method_name, method in _methods(found):
        yield f"#### {name}.{method_name}\n"
        yield f"```text\n{method_name}{_signature(method)}\n```\n"
        yield from _documented(inspect.getdoc(method) or "")


def _is_ours(kind: type) -> bool:
    is_ours = kind.__module__.startswith("airflow_provider_ollang")
    return is_ours and kind.__name__ != "OllangBaseOperator"


def _is_plain_error(found: Any) -> bool:
    return (
        isinstance(found, type) and issubclass(found, Exception) and "__init__" not in vars(found)
    )


def _methods(found: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(found, type) and not (is_dataclass(found) or issubclass(found, tuple)):
        for name, method in vars(found).items():
            if inspect.isfunction(method) and not name.startswith("_"):
                yield name, method


def _signature(function: Any) -> str:
    """Return a signature, one parameter a line where it is long."""
    found = inspect.signature(function)
    parameters = [it for name, it in found.parameters.items() if name != "self"]
    text = _unquoted(str(found.replace(parameters=parameters)))
    if len(text) < 80:
        return text
    rows = "".join(f"    {_unquoted(str(it))},\n" for it in parameters)
    first = next((it for it in parameters if it.kind is inspect.Parameter.KEYWORD_ONLY), None)
    if first:
        rows = rows.replace(
            f"    {_unquoted(str(first))},", f"    *,\n    {_unquoted(str(first))},", 1
        )
    arrow = text[text.rindex(")") :]
    return f"(\n{rows}{arrow}"


def _unquoted(text: str) -> str:
    """Return it without what is no Python: quoted annotations, and marks of default factories."""
    text = text.replace("<factory>", "...")
    return re.sub(r": '([^']*)'|-> '([^']*)'", lambda it: it[0].replace("'", ""), text)


def _documented(text: str) -> Iterator[str]:
    """Yield a docstring as Markdown, its parameters and errors as lists."""
    prose, *fields = re.split(r"^:", text.partition("\n::\n")[0], flags=re.MULTILINE)
    yield _markdown(prose)
    rows = [_field(" ".join(it.split())) for it in fields]
    if rows:
        yield "\n".join(rows) + "\n"


def _field(text: str) -> str:
    kind, _, rest = text.partition(":")
    word, _, name = kind.partition(" ")
    label = {"raises": f"raises `{name}`", "return": "returns"}.get(word, f"`{name}`")
    return f"- {label}: {_markdown(rest).strip()}"


def _markdown(text: str) -> str:
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    return text.replace("``", "`").strip() + "\n"


if __name__ == "__main__":
    REFERENCE.write_text(reference())
