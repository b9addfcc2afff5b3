"""What the operators' parameters may be: checked when the DAG is parsed, and again once rendered.

Templates render to text, such as ``"False"``, ``""`` or ``"['pending']"``: each function here takes
the value that such a text stands for, or raises an :class:`InvalidInputError`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from jinja2 import Undefined

from airflow_provider_ollang.api._validation import check_order_id, shown
from airflow_provider_ollang.api.creation import LEVELS, MAX_MEMORIES, TargetLanguage
from airflow_provider_ollang.api.errors import InvalidInputError
from airflow_provider_ollang.api.models import (
    FINAL_STATUSES,
    ORDER_TYPES,
    STATUSES,
    parse_time,
)
from airflow_provider_ollang.cleanup.conditions import NamePattern

#: Airflow's column for it, ``StringID``.
MAX_CONNECTION_ID = 250
MAX_WORKERS = 128

_ID = r"[A-Za-z0-9_-]{1,128}"
#: A language tag: RFC 5646, section 2.1, as far as translations need it.
_LANGUAGE = r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}"

_NOTHING = frozenset({"", "none", "null", "undefined"})
_FLAGS = {"true": True, "false": False}
#: ISO 8601, each unit once and in order, weeks alone; no fractions, and no number so large that no
#: date is that far away.
_DURATION = re.compile(
    r"P(?=.)(?:(?P<weeks>\d{1,8})W|(?:(?P<days>\d{1,8})D)?"
    r"(?:T(?=.)(?:(?P<hours>\d{1,8})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,8})S)?)?)",
    re.ASCII,
)
#: "Any", where ``None`` cannot be given, as in a trigger form.
ANY = "*"
#: ``["a" "b"]``: Python would join the two into one.
_MISSING_COMMA = re.compile(r"""["']\s*["']""")
#: Several of the API's ids that Python has joined so, in the DAG's file.
_JOINED_IDS = re.compile("(?:[0-9a-f]{24}){2,}", re.IGNORECASE)


def invalid(name: str, value: Any, expected: str) -> InvalidInputError:
    """Return the error that names the parameter, what is expected, and what it got."""
    return InvalidInputError(f"{name}: expected {expected}, got {shown(value)}")


def is_nothing(value: Any) -> bool:
    """Return whether a value is ``None``, or what a template renders it to."""
    if isinstance(value, str):
        return value.strip().lower() in _NOTHING
    return value is None or isinstance(value, Undefined)


def is_rendered_later(value: Any) -> bool:
    """Return whether a value is only known when the task runs."""
    return any(
        any(start in item for start in ("{{", "{%", "{#"))
        if isinstance(item, str)
        else hasattr(item, "iter_references")  # an XComArg, or what else Airflow resolves
        for item in parts(value)
    )


def may_be_from_conf(name: str, value: Any) -> bool:
    """Return whether a key of that name in a run's conf may decide a parameter's value."""
    return any(
        is_rendered_later(item)
        and not (isinstance(item, str) and {name, "conf"}.isdisjoint(re.findall(r"\w+", item)))
        for item in parts(value)
    )


def parts(value: Any) -> Iterator[Any]:
    """Yield a value, or all that a list or an object holds."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from parts(item)
    else:
        yield value


def text(name: str, value: Any) -> str:
    """Return text that is not blank, and that can be sent: half a surrogate pair cannot."""
    if not isinstance(value, str) or is_nothing(value) or re.search("[\ud800-\udfff]", value):
        raise invalid(name, value, "text")
    if value != value.strip():
        error = invalid(name, value, "text without white space around it")
        raise InvalidInputError(
            f"{error.message}. Remove it, in a template with {{{{ … | trim }}}}. If a pattern "
            "needs it, write [ ], as in '[ ]keep'."
        )
    return value


def identifier(name: str, value: Any) -> str:
    """Return text on one line, without invisible characters."""
    if not text(name, value).isprintable():
        raise invalid(name, value, "text on one line without invisible characters")
    return str(value)


def connection_id(name: str, value: Any) -> str:
    """Return the id of a connection, no longer than Airflow's database takes."""
    if len(identifier(name, value)) > MAX_CONNECTION_ID:
        raise invalid(name, value, f"text of at most {MAX_CONNECTION_ID} characters")
    return str(value)


def flag(name: str, value: Any) -> bool:
    """Return a truth value; text must be ``true`` or ``false``."""
    if isinstance(value, str):
        value = _FLAGS.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise invalid(name, value, "True or False")
    return value


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Return a whole number, from text as well."""
    if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value, re.ASCII):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise invalid(name, value, f"a whole number, {least} or more")
    return value


def positive_whole_number(name: str, value: Any) -> int:
    """Return a whole number from 1."""
    return whole_number(name, value, least=1)


def workers(name: str, value: Any) -> int:
    """Return a number of workers: each is a thread, and a connection."""
    if (number := positive_whole_number(name, value)) > MAX_WORKERS:
        raise invalid(name, value, f"a whole number from 1 to {MAX_WORKERS}")
    return number


def allowance(name: str, value: Any) -> int:
    """Return a whole number from 0; 0 allows none."""
    return whole_number(name, value, least=0)


def share(name: str, value: Any) -> float:
    """Return a number from 0 to 1."""
    return _number(name, value, "a share from 0 to 1", lambda number: 0 <= number <= 1)


def rate(name: str, value: Any) -> float:
    """Return a number above 0."""
    return _number(name, value, "a number above 0", lambda number: 0 < number < float("inf"))


def duration(name: str, value: Any) -> timedelta:
    """Return a duration above 0, from a timedelta or ISO 8601 text without months and years."""
    parsed = _parse_duration(name, value) if isinstance(value, str) else value
    if not isinstance(parsed, timedelta) or parsed <= timedelta(0):
        raise invalid(
            name,
            value,
            "a duration above 0 as a timedelta or in ISO 8601, such as P7D, P2W or P1DT12H, with "
            "whole numbers of up to 8 digits",
        )
    return parsed


def moment(name: str, value: Any) -> datetime:
    """Return a time with a zone, from a datetime or ISO 8601 text."""
    parsed = parse_time(value) if isinstance(value, str) else value
    if not isinstance(parsed, datetime) or parsed.tzinfo is None:
        raise invalid(name, value, "a time with a zone, such as 2026-01-31T06:00:00Z")
    return parsed


def pattern(name: str, value: Any) -> NamePattern:
    """Return a regular expression that does not match every name."""
    written = text(name, value)
    # As a Variable that was saved as JSON has it: no name would match, and none be protected.
    if re.fullmatch(r"""(["']).*\1""", written, re.DOTALL):
        raise invalid(
            name, value, 'text without quotes around it. For names with quotes, write ["]'
        )
    # As a list renders: it would be a class of characters, and match nearly every name.
    if re.fullmatch(r"""\[\s*(["']).*\1\s*\]""", written, re.DOTALL):
        raise invalid(name, value, "one regular expression, not a list; join names with |")
    try:
        return NamePattern(written)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise invalid(name, value, f"a regular expression ({error})") from error


def names(name: str, value: Any) -> tuple[str, ...]:
    """Return one or more texts."""
    if not (items := codes(name, value)):
        raise invalid(name, value, "a list that is not empty")
    return items


def names_or_any(name: str, value: Any) -> tuple[str, ...] | None:
    """Return one or more texts, or ``None`` for ``["*"]``: any."""
    return _unless_any(name, names(name, value))


def codes(name: str, value: Any) -> tuple[str, ...]:
    """Return the texts of a list, which may be empty."""
    items = enumerate(_list(name, value))
    return tuple(identifier(f"{name}[{index}]", item) for index, item in items)


def excluded_ids(name: str, value: Any) -> tuple[str, ...]:
    """Return the ids of a list, which may be empty: what cannot be one would protect nothing."""
    items = codes(name, value)
    if not all(re.fullmatch(_ID, item) for item in items):
        raise invalid(
            name,
            value,
            "a list of ids (1 to 128 of A-Z, a-z, 0-9, '_' and '-'); '*' is not one, and an empty "
            "list excludes nothing",
        )
    return items


def statuses(name: str, value: Any) -> tuple[str, ...]:
    """Return one or more of the documented order statuses."""
    items = names(name, value)
    if ANY in items:
        raise invalid(name, value, "statuses; '*' would include running and finished orders")
    return _known(name, items, STATUSES)


def order_types(name: str, value: Any) -> tuple[str, ...] | None:
    """Return one or more of the documented order types, or ``None`` for ``["*"]``: any."""
    items = _unless_any(name, names(name, value))
    return None if items is None else _known(name, items, ORDER_TYPES)


def order_id(name: str, value: Any) -> str:
    """Return an order id."""
    if isinstance(value, (list, tuple, set, frozenset)):
        raise InvalidInputError(
            f"{name}: expected one order id, got a list. Use BatchCancelOrdersOperator, or "
            f".expand({name}=[…])."
        )
    return check_order_id(value, field=name)


def order_ids(name: str, value: Any) -> list[str]:
    """Return the order ids of a list, which may be empty, each once."""
    items = _list(name, value)
    if any(isinstance(item, (list, tuple)) for item in items):
        raise invalid(name, value, "a list of order ids; map chunks with .expand(order_ids=…)")
    ids = (check_order_id(item, field=f"{name}[{index}]") for index, item in enumerate(items))
    return list(dict.fromkeys(ids))


def report_path(name: str, value: Any) -> str:
    """Return an absolute path or a URL of a file."""
    path = text(name, value)
    # file://a would be a file in whatever folder the worker runs in.
    is_absolute = re.match(r"(?:(?:file|local)://)?/|(?!file:|local:)[a-z][a-z0-9+]*://", path)
    if not is_absolute or path.endswith("/"):
        raise invalid(name, value, "an absolute path or URL of a file, such as s3://bucket/a.jsonl")
    return path


def project_id(name: str, value: Any) -> str:
    """Return a project's id, which has the form of an order's."""
    if is_nothing(value) or not isinstance(value, str) or not re.fullmatch(_ID, value):
        raise invalid(name, value, "a project id (1 to 128 of A-Z, a-z, 0-9, '_' and '-')")
    return value


def choice(*allowed: str) -> Callable[[str, Any], str]:
    """Return a function that returns one of these words."""

    def parse(name: str, value: Any) -> str:
        if value not in allowed:
            raise invalid(name, value, f"one of {', '.join(allowed)}")
        return str(value)

    return parse


def level(name: str, value: Any) -> int:
    """Return 0 for AI only, or 1 for a human review."""
    number = whole_number(name, value, least=0)
    if number not in LEVELS:
        raise invalid(name, value, "0 (AI) or 1 (human review), a whole number")
    return number


def target_languages(name: str, value: Any) -> tuple[TargetLanguage, ...]:
    """Return languages, each once, from codes or from objects as the API takes them."""
    items = enumerate(_list(name, value))
    languages = tuple(_target_language(f"{name}[{index}]", item) for index, item in items)
    if not languages:
        raise invalid(name, value, "a list that is not empty")
    if len({it.language for it in languages}) < len(languages):
        raise invalid(name, value, "a list that names each language once")
    return languages


def callback_url(name: str, value: Any) -> str:
    """Return an absolute http(s) URL."""
    url = text(name, value)
    if not re.fullmatch(r"https?://[^\s/?#]+\S*", url):
        raise invalid(name, value, "an http(s) URL, such as https://example.com/ollang")
    return url


def memories(name: str, value: Any) -> tuple[str, ...]:
    """Return ids of translation memories, up to 20."""
    ids = names(name, value)
    if len(ids) > MAX_MEMORIES:
        raise invalid(name, value, f"a list of up to {MAX_MEMORIES} ids")
    return ids


def awaited_order_ids(name: str, value: Any) -> list[str]:
    """Return order ids, each once, at least one."""
    if not (ids := order_ids(name, value)):
        raise invalid(name, value, "a list of order ids that is not empty")
    return ids


def awaited_statuses(name: str, value: Any) -> tuple[str, ...]:
    """Return one or more statuses that an order is known to reach."""
    return _known(name, names(name, value), STATUSES | FINAL_STATUSES)


def _target_language(name: str, value: Any) -> TargetLanguage:
    fields = value if isinstance(value, Mapping) else {"language": value}
    code, is_rush = fields.get("language"), fields.get("isRush", False)
    is_code = isinstance(code, str) and re.fullmatch(_LANGUAGE, code, re.ASCII)
    if not is_code or is_nothing(code) or fields.keys() - {"language", "isRush"}:
        raise invalid(
            name, value, 'a language code such as "fr", or {"language": "fr", "isRush": true}'
        )
    return TargetLanguage(str(code), flag(f"{name}.isRush", is_rush))


def _unless_any(name: str, items: tuple[str, ...]) -> tuple[str, ...] | None:
    if items == (ANY,):
        return None
    if ANY in items:
        raise invalid(name, items, "either names or ['*'] alone, which means any")
    return items


def _known(name: str, items: tuple[str, ...], known: Collection[str]) -> tuple[str, ...]:
    for item in items:
        if item not in known:
            words = ", ".join("cc (captions)" if it == "cc" else it for it in sorted(known))
            raise InvalidInputError(f"{name}: unknown value {item!r:.80}. Use any of: {words}.")
    return items


def _list(name: str, value: Any) -> list[Any]:
    """Return the items of a list, or of the text of one, as a template writes it."""
    items = value
    if isinstance(value, str):
        if _MISSING_COMMA.search(value):
            raise invalid(name, value, "a list with commas between its items, and no empty item")
        try:
            items = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            items = None
    # Not an iterator: the check at parse time would use it up.
    if not isinstance(items, Collection) or isinstance(items, (str, bytes, Mapping)):
        raise invalid(name, value, "a list, such as ['a', 'b']")
    if any(isinstance(item, str) and _JOINED_IDS.fullmatch(item) for item in items):
        raise invalid(name, value, "a list with a comma between its items")
    return list(items)


def _number(name: str, value: Any, expected: str, is_allowed: Callable[[float], bool]) -> float:
    try:
        number = float(value) if isinstance(value, (int, float, str)) else None
    except (ValueError, OverflowError):
        number = None
    if number is None or isinstance(value, bool) or not is_allowed(number):
        raise invalid(name, value, expected)
    return number


def _parse_duration(name: str, value: str) -> timedelta | None:
    if re.match("P[^T]*[YM]", value):
        raise invalid(name, value, "a duration in days: months and years have no fixed length")
    found = _DURATION.fullmatch(value)
    if found is None:
        return None
    return timedelta(**{unit: int(number) for unit, number in found.groupdict("0").items()})
