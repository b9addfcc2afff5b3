"""Whatever a parameter is given: a value of the right type comes out, or an error that says why."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_ollang.api.errors import InvalidInputError
from airflow_provider_ollang.api.models import ORDER_TYPES, STATUSES
from airflow_provider_ollang.cleanup.conditions import NamePattern
from airflow_provider_ollang.operators import parameters

Parser = Callable[[str, Any], Any]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.timedeltas()
    | st.datetimes(timezones=st.none() | st.just(UTC))
    | st.from_regex(r"P(\d+[YMWD])*(T(\d+[HMS])*)?", fullmatch=True)
    | st.sampled_from(["[]", "['pending']", "None", "True", "{{ x }}", "0", "1e999", "nan", "-1"])
)
VALUES = SCALARS | st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and value != "" and value == value.strip()


def is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


#: What each function may return, whatever it is given.
PROMISES: dict[Parser, Callable[[Any], bool]] = {
    parameters.text: is_text,
    parameters.flag: lambda value: isinstance(value, bool),
    parameters.positive_whole_number: lambda value: is_number(value, int) and value >= 1,
    parameters.allowance: lambda value: is_number(value, int) and value >= 0,
    parameters.share: lambda value: is_number(value, float) and 0 <= value <= 1,
    parameters.rate: lambda value: is_number(value, float) and 0 < value < float("inf"),
    parameters.duration: lambda value: isinstance(value, timedelta) and value > timedelta(0),
    parameters.moment: lambda value: isinstance(value, datetime) and value.tzinfo is not None,
    parameters.pattern: lambda value: isinstance(value, NamePattern) and is_text(value.pattern),
    parameters.names: lambda value: len(value) > 0 and all(map(is_text, value)),
    parameters.names_or_any: lambda value: value is None or "*" not in value,
    parameters.excluded_ids: lambda value: "*" not in value,
    parameters.codes: lambda value: isinstance(value, tuple) and all(map(is_text, value)),
    parameters.statuses: lambda value: len(value) > 0 and set(value) <= STATUSES,
    parameters.order_types: lambda value: value is None or set(value) <= ORDER_TYPES,
    parameters.order_id: lambda value: bool(re.fullmatch("[A-Za-z0-9_-]{1,128}", value)),
    parameters.order_ids: lambda value: (
        len(set(value)) == len(value)
        and all(re.fullmatch("[A-Za-z0-9_-]{1,128}", item) for item in value)
    ),
    parameters.report_path: lambda value: value.startswith("/") or "://" in value,
}


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@pytest.mark.parametrize("parser", PROMISES, ids=lambda parser: parser.__name__)
@given(value=VALUES)
@example(value="a{99999999999999}")
@example(value="(" * 5000 + ")" * 5000)
@example(value="[" * 5000)
@example(value="P99999999999999999999D")
@example(value="0001-01-01T00:00:00+23:59")
@example(value=10**400)
def test_any_value_becomes_one_of_the_right_type_or_is_refused(parser: Parser, value: Any) -> None:
    try:
        result = parser("some_parameter", value)
    except InvalidInputError as error:
        assert str(error).startswith("some_parameter")
        assert re.search("expected|Use any of", str(error))
    else:
        assert PROMISES[parser](result), result


@given(value=VALUES)
def test_any_value_is_judged_as_nothing_or_as_rendered_later(value: Any) -> None:
    assert isinstance(parameters.is_nothing(value), bool)
    assert isinstance(parameters.is_rendered_later(value), bool)


TAKEN = [
    (parameters.duration, "P7D", timedelta(days=7)),
    (parameters.duration, "P2W", timedelta(weeks=2)),
    (parameters.duration, "PT12H", timedelta(hours=12)),
    (parameters.duration, "PT30M", timedelta(minutes=30)),
    (parameters.duration, "P1DT12H", timedelta(days=1, hours=12)),
    (parameters.duration, "PT1M", timedelta(minutes=1)),
    (parameters.duration, "P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
    (parameters.duration, "P0DT1S", timedelta(seconds=1)),
    (parameters.duration, timedelta(hours=1), timedelta(hours=1)),
    (parameters.flag, "False", False),
    (parameters.flag, " true ", True),
    (parameters.allowance, "5", 5),
    (parameters.allowance, 0, 0),
    (parameters.positive_whole_number, " 8 ", 8),
    (parameters.share, "0.5", 0.5),
    (parameters.share, 1, 1.0),
    (parameters.rate, "2.5", 2.5),
    (parameters.statuses, "['pending']", ("pending",)),
    (parameters.statuses, '["pending", "ongoing"]', ("pending", "ongoing")),
    (parameters.names, "('a', 'b')", ("a", "b")),
    (parameters.names_or_any, "['*']", None),
    (parameters.order_types, ["*"], None),
    (parameters.excluded_ids, [], ()),
    (parameters.codes, "[]", ()),
    (parameters.order_ids, "['b', 'a', 'b']", ["b", "a"]),
    (parameters.moment, "2026-01-31T06:00:00Z", datetime(2026, 1, 31, 6, tzinfo=UTC)),
    (parameters.moment, "2026-01-31 06:00:00+00:00", datetime(2026, 1, 31, 6, tzinfo=UTC)),
    (parameters.report_path, "s3://bucket/r.jsonl", "s3://bucket/r.jsonl"),
    (parameters.report_path, "s3://conn@bucket/r.jsonl", "s3://conn@bucket/r.jsonl"),
]


@pytest.mark.parametrize(("parser", "value", "result"), TAKEN)
def test_a_value_is_taken_for_what_it_says(parser: Parser, value: Any, result: Any) -> None:
    assert parser("name", value) == result


REFUSED = [
    *[
        (parameters.duration, value)
        for value in (
            *("", "7 days", "7D", "P", "PT", "P1M", "P1Y", "P1M2D", "P0D", "PT0S", "-P7D"),
            *("P-7D", "p7d", "P7H", "PT7D", "7", "2026-01-01", "P7D/2026-01-01", "P9" + "9" * 30),
            *("P9W1W", "P1W2D", "P1D1D", "PT1H1H", "PT1M1H", "P1DT", "P1H", "PT1D", "P7", "PT5"),
            *(
                "P0.5D",
                "PT0,5S",
                "P7D ",
                "\nP7D",
                "P٧D",
                "P1Y2D",
                "P1M1W",
                "P1W1M",
                "+P7D",
                "P7DT1D",
            ),
            *(7, 7.0, None, True, timedelta(0), timedelta(days=-1)),
        )
    ],
    *[(parameters.flag, value) for value in ("", "yes", "1", 0, 1, None, [], "Falsee")],
    *[(parameters.allowance, value) for value in (-1, "-1", 1.0, "1.5", True, "", "1_000", None)],
    *[(parameters.allowance, value) for value in ("٥", "1e3", "0x10", [5])],
    *[(parameters.positive_whole_number, value) for value in (0, "0", False)],
    *[(parameters.share, value) for value in (-0.1, 1.1, "101%", "nan", float("nan"), True)],
    *[(parameters.rate, value) for value in (0, -1, "inf", "nan", True, "", None)],
    *[(parameters.moment, value) for value in ("2026-01-31", datetime(2026, 1, 31), "now", 0)],
    *[(parameters.pattern, value) for value in ("", " ", "(", "*", "[", None, 1)],
    *[(parameters.pattern, value) for value in ("keep\n", " keep", "keep\u00a0", "\u3000keep\t")],
    *[(parameters.pattern, value) for value in ('"keep"', "'(?i)keep'", '""')],
    *[(parameters.pattern, value) for value in ("^", "keep|", "^test-|", "a*", r"\b\b", "(?i)")],
    *[(parameters.text, value) for value in ("a ", "\ta", "a\r\n", "a\u2028", "\xa0a")],
    *[(parameters.connection_id, value) for value in ("a\n", " a", "a\u200b", "a\0", "a" * 251)],
    *[(parameters.names, [value]) for value in ("a ", "\ufeffa", "a\u00adb", "a\tb", "\u202ea")],
    *[(parameters.names_or_any, value) for value in (["*", "x"], ["x", "*"], "*", ["*", "*"], [])],
    *[(parameters.order_types, value) for value in (["*", "cc"], "*")],
    *[(parameters.excluded_ids, value) for value in (["*"], ["x", "*"], "x", ["a,b"], ["#a"])],
    *[(parameters.excluded_ids, value) for value in ('["a" "b"]', "['a'\n'b']", "['a''b', 'c']")],
    *[(parameters.names, value) for value in ([], "[]", "a", "a,b", {"a": 1}, [""], [None], b"a")],
    *[(parameters.codes, value) for value in ("A", "A,B", [1], [""], {"A": 1}, None)],
    *[(parameters.statuses, value) for value in (["PENDING"], ["cancelled"], "pending", ["None"])],
    *[(parameters.order_types, value) for value in (["Cc"], ["video"], "cc", [])],
    *[(parameters.order_ids, value) for value in ("abc", "a,b", [["a"]], [("a",)], [1], ["a b"])],
    *[(parameters.order_ids, value) for value in (["None"], [""], [None], {"a": "b"}, 5, ["a/b"])],
    *[(parameters.report_path, value) for value in ("r.jsonl", "./r", "~/r", "", "/tmp/", None)],
]


@pytest.mark.parametrize(("parser", "value"), REFUSED)
def test_a_value_that_does_not_say_it_is_refused(parser: Parser, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"name.*(expected|Use any of)"):
        parser("name", value)


@pytest.mark.parametrize(
    "parser",
    [parameters.order_ids, parameters.names, parameters.codes, parameters.statuses],
    ids=lambda parser: parser.__name__,
)
def test_what_can_be_read_only_once_is_no_list(parser: Parser) -> None:
    """The check at parse would use it up: the task would then see an empty list."""
    with pytest.raises(InvalidInputError, match="list"):
        parser("name", iter(["pending"]))


ID_ERRORS = [
    None, "", " ", "None", "none", "null", "undefined", "True", "a/b", "a b", "abc\n", "..", ".",
    "a.b", "a?b", "a#b", "a%2fb", "é", "a" * 129, 5, b"abc", ["abc"],
]  # fmt: skip


@pytest.mark.parametrize("value", ID_ERRORS)
def test_what_is_no_order_id_is_refused(value: Any) -> None:
    with pytest.raises(InvalidInputError, match="order_id"):
        parameters.order_id("order_id", value)


@pytest.mark.parametrize("value", ["6512bd43d9caa6e02c990b0a", "a", "A-b_9", "0", "a" * 128])
def test_an_order_id_is_taken_as_it_came(value: str) -> None:
    assert parameters.order_id("order_id", value) == value


@pytest.mark.parametrize("age", ["P4294967303D", "PT4297000000S", "P613566758W", "P123456789D"])
def test_an_age_of_too_many_digits_is_refused_and_not_wrapped_around(age: str) -> None:
    with pytest.raises(InvalidInputError, match="up to 8 digits"):
        parameters.duration("older_than", age)


@pytest.mark.parametrize(
    ("parser", "value", "said"),
    [
        (parameters.duration, "P1M", "days: months and years have no fixed length"),
        (parameters.pattern, "keep\n", r"white space around it, got 'keep\\n'. Remove it.*\[ \]"),
        (parameters.pattern, "keep|", "empty text"),
        (parameters.statuses, ["*"], "running and finished orders"),
        (parameters.statuses, ["waiting"], "unknown value 'waiting'. Use any of: completed, "),
        (parameters.order_types, ["captions"], r"unknown value 'captions'.*cc \(captions\), "),
        (parameters.excluded_ids, ["*"], "an empty list excludes nothing"),
        (parameters.allowance, "many", "got 'many'"),
    ],
)
def test_a_message_says_what_to_do(parser: Parser, value: Any, said: str) -> None:
    with pytest.raises(InvalidInputError, match=said):
        parser("name", value)
