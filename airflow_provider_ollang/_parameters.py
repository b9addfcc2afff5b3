"""What the operators' parameters may be: checked when the DAG is parsed, and again once rendered.

Templates render to text, such as ``"False"``, ``""`` or ``"['pending']"``: each function here takes
the value that such a text stands for, or raises an :class:`InvalidInputError`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from jinja2 import Undefined

from airflow_provider_ollang.api._validation import check_order_id, shown
from airflow_provider_ollang.api.creation import TargetLanguage
from airflow_provider_ollang.api.errors import InvalidInputError
from airflow_provider_ollang.api.models import FINAL_STATUSES, ORDER_TYPES, STATUSES, parse_time
from airflow_provider_ollang.cleanup.conditions import NamePattern

T = TypeVar("T")

#: A language tag: RFC 5646, section 2.1, as far as translations need it.
_LANGUAGE = r"[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,3}"

_NOTHING = frozenset({"", "none", "null", "undefined"})
_FLAGS = {"true": True, "false": False}
#: ISO 8601, each unit once and in order, weeks alone; no fractions.
_DURATION = re.compile(
    r"P(?=.)(?:(?P<weeks>\d{1,8})W|(?:(?P<days>\d{1,8})D)?"
    r"(?:T(?=.)(?:(?P<hours>\d{1,8})H)?(?:(?P<minutes>\d{1,8})M)?(?:(?P<seconds>\d{1,8})S)?)?)",
    re.ASCII,
)
#: No time since 2000 lies so early that it cannot be subtracted.
_LONGEST_DURATION = timedelta(days=36_500)
#: A tag as names have it would match other names as a class or a group, and so would a glob.
_PLAIN_TEXT = re.compile(r"(\[[^]^\\-]{3,}\]|\([^()?|\\]+\))( .*)?|.*(?<!\\)\w\*")
#: Tasks whose lists no conf decides.
_OWN_LISTS = frozenset({"FindStaleOrdersOperator", "ApproveOrdersOperator", "CreateOrderOperator"})
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
    for item in filter(is_rendered_later, parts(value)):
        if isinstance(item, str):
            is_fixed = {name, "conf"}.isdisjoint(re.findall(r"\w+", item))
        else:
            is_fixed = all(task.task_type in _OWN_LISTS for task, _ in item.iter_references())
        if not is_fixed:
            return True
    return False


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


def flag(name: str, value: Any) -> bool:
    """Return a truth value; text must be ``true`` or ``false``."""
    if isinstance(value, str):
        value = _FLAGS.get(value.strip().lower(), value)
    if not isinstance(value, bool):
        raise invalid(name, value, "True or False")
    return value


def whole_number(least: int, most: int | None = None) -> Callable[[str, Any], int]:
    """Return a function that returns a whole number, from text as well."""
    limits = f", {least} or more" if most is None else f" from {least} to {most}"

    def parse(name: str, value: Any) -> int:
        number = value
        if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value, re.ASCII):
            number = int(value)
        is_whole = isinstance(number, int) and not isinstance(number, bool)
        if not is_whole or number < least or (most is not None and number > most):
            raise invalid(name, value, f"a whole number{limits}")
        return int(number)

    return parse


def number(expected: str, is_allowed: Callable[[float], bool]) -> Callable[[str, Any], float]:
    """Return a function that returns a number, from text as well."""

    def parse(name: str, value: Any) -> float:
        try:
            number = float(value) if isinstance(value, (int, float, str)) else None
        except (ValueError, OverflowError):
            number = None
        if number is None or isinstance(value, bool) or not is_allowed(number):
            raise invalid(name, value, expected)
        return number

    return parse


share = number("a share from 0 to 1", lambda number: 0 <= number <= 1)
rate = number("a number above 0", lambda number: 0 < number < float("inf"))


def duration(name: str, value: Any) -> timedelta:
    """Return a duration above 0, from a timedelta or ISO 8601 text without months and years."""
    parsed = value
    if isinstance(value, str) and (found := _DURATION.fullmatch(value)):
        parsed = timedelta(**{unit: int(number) for unit, number in found.groupdict("0").items()})
    if not isinstance(parsed, timedelta) or not timedelta(0) < parsed <= _LONGEST_DURATION:
        raise invalid(
            name,
            value,
            "a duration above 0 as a timedelta or in ISO 8601, such as P7D, P2W or P1DT12H: whole "
            "numbers of up to 8 digits, at most 100 years, and no months or years, which have no "
            "fixed length",
        )
    return parsed


def moment(name: str, value: Any) -> datetime:
    """Return a time with a zone, from a datetime or ISO 8601 text."""
    parsed = parse_time(value) if isinstance(value, str) else value
    if not isinstance(parsed, datetime) or parsed.tzinfo is None or parsed.year < 2000:
        raise invalid(name, value, "a time since 2000 with a zone, such as 2026-01-31T06:00:00Z")
    return parsed


def pattern(name: str, value: Any) -> NamePattern:
    """Return a regular expression that does not match every name."""
    written = text(name, value)
    # In quotes, as a Variable saved as JSON has it, no name would match, and none be protected. As
    # a list renders, it would be a class of characters, and match nearly every name.
    if re.fullmatch(r"""(\[\s*)?(["']).*\2(?(1)\s*\])""", written, re.DOTALL):
        raise invalid(
            name,
            value,
            "one regular expression, not a list, and no quotes around it. Join names with |. For "
            'names with quotes, write ["]',
        )
    if re.match(r"\(i\)|/.*/[a-z]*$", written):  # as other languages, or a typo, have it
        raise invalid(name, value, "a regular expression as Python has it, such as (?i)keep")
    try:
        return NamePattern(written)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        expected = f"a regular expression ({error}). In a name, put a backslash before + * ? ( ["
        raise invalid(name, value, expected) from error


def selection(name: str, value: Any) -> NamePattern:
    """Return a regular expression for orders to cancel: not one that is most likely plain text."""
    found = pattern(name, value)
    for part in re.sub(r"^\(\?\w+\)", "", found.pattern).split("|"):
        if _PLAIN_TEXT.fullmatch(part.strip("^$")):
            hint = r"write \[test\] for [test], \(old\) for (old), ^tmp for tmp*"
            raise invalid(name, value, f"a regular expression: {hint}")
    return found


def choice(*allowed: str) -> Callable[[str, Any], str]:
    """Return a function that returns one of these words."""

    def parse(name: str, value: Any) -> str:
        if value not in allowed:
            words = ("cc (captions)" if word == "cc" else word for word in sorted(allowed))
            raise invalid(name, value, f"one of {', '.join(words)}")
        return str(value)

    return parse


def list_of(
    parse_item: Callable[[str, Any], T], *, least: int = 1
) -> Callable[[str, Any], tuple[T, ...]]:
    """Return a function that returns the items of a list, or of the text of one."""

    def parse(name: str, value: Any) -> tuple[T, ...]:
        items = _items(name, value)
        if len(items) < least:
            raise invalid(name, value, "a list that is not empty")
        return tuple(parse_item(f"{name}[{index}]", item) for index, item in enumerate(items))

    return parse


def any_or(parse: Callable[[str, Any], T]) -> Callable[[str, Any], T | None]:
    """Return a function that also takes ``["*"]``, for any, where a form cannot give ``None``."""

    def parse_or_any(name: str, value: Any) -> T | None:
        items = names(name, value)
        if items == ("*",):
            return None
        if "*" in items:
            raise invalid(name, value, "either names or ['*'] alone, which means any")
        return parse(name, value)

    return parse_or_any


def identity(name: str, value: Any) -> str:
    """Return the id of a project or a folder, which has the form of an order's."""
    is_text = isinstance(value, str) and not is_nothing(value)
    if not is_text or not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", value):
        raise invalid(name, value, "an id (1 to 128 of A-Z, a-z, 0-9, '_' and '-')")
    return str(value)


def order_id(name: str, value: Any) -> str:
    """Return an order id."""
    if isinstance(value, (list, tuple, set, frozenset)):
        raise InvalidInputError(
            f"{name}: expected one order id, got a list. Use BatchCancelOrdersOperator, or "
            f".expand({name}=[…])."
        )
    return check_order_id(value, field=name)


names = list_of(identifier)
codes = list_of(identifier, least=0)
names_or_any = any_or(names)
#: What cannot be an id would protect nothing.
excluded_ids = list_of(identity, least=0)
statuses = list_of(choice(*STATUSES))
order_types = any_or(list_of(choice(*ORDER_TYPES)))
#: Statuses that an order is known to reach.
awaited_statuses = list_of(choice(*STATUSES | FINAL_STATUSES))


def order_ids(name: str, value: Any, *, least: int = 0) -> list[str]:
    """Return the order ids of a list, each once."""
    if any(isinstance(item, (list, tuple)) for item in _items(name, value)):
        raise invalid(name, value, "a list of ids; join lists in a task, or map one over them")
    return list(dict.fromkeys(list_of(order_id, least=least)(name, value)))


awaited_order_ids = partial(order_ids, least=1)


def report_path(name: str, value: Any) -> str:
    """Return an absolute path or a URL of a file."""
    path = text(name, value)
    # file://a would be a file in whatever folder the worker runs in.
    is_absolute = re.match(r"(?:(?:file|local)://)?/|(?!file:|local:)[a-z][a-z0-9+]*://", path)
    if not is_absolute or path.endswith("/"):
        raise invalid(name, value, "an absolute path or URL of a file, such as s3://bucket/a.jsonl")
    return path


def callback_url(name: str, value: Any) -> str:
    """Return an absolute http(s) URL."""
    url = text(name, value)
    if not re.fullmatch(r"https?://[^\s/?#]+\S*", url):
        raise invalid(name, value, "an http(s) URL, such as https://example.com/ollang")
    return url


def target_languages(name: str, value: Any) -> tuple[TargetLanguage, ...]:
    """Return languages, each once, from codes or from objects as the API takes them."""
    languages = list_of(_target_language)(name, value)
    if len({it.language for it in languages}) < len(languages):
        raise invalid(name, value, "a list that names each language once")
    return languages


def _target_language(name: str, value: Any) -> TargetLanguage:
    fields = value if isinstance(value, Mapping) else {"language": value}
    code, is_rush = fields.get("language"), fields.get("isRush", False)
    is_code = isinstance(code, str) and re.fullmatch(_LANGUAGE, code, re.ASCII)
    if not is_code or is_nothing(code) or fields.keys() - {"language", "isRush"}:
        raise invalid(
            name, value, 'a language code such as "fr", or {"language": "fr", "isRush": true}'
        )
    return TargetLanguage(str(code), flag(f"{name}.isRush", is_rush))


def _items(name: str, value: Any) -> list[Any]:
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
