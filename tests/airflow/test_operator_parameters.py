"""What each parameter takes, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_ollang import _parameters as parameters
from airflow_provider_ollang.api.errors import InvalidInputError

Parser = Callable[[str, Any], Any]

AMOUNT, ONE_OR_MORE = parameters.whole_number(0), parameters.whole_number(1)

TAKEN = [
    (parameters.duration, "P7D", timedelta(days=7)),
    (parameters.duration, "P2W", timedelta(weeks=2)),
    (parameters.duration, "PT1M", timedelta(minutes=1)),
    (parameters.duration, "P1DT2H3M4S", timedelta(days=1, hours=2, minutes=3, seconds=4)),
    (parameters.duration, "P0DT1S", timedelta(seconds=1)),
    (parameters.duration, timedelta(hours=1), timedelta(hours=1)),
    (parameters.flag, "False", False),
    (parameters.flag, " true ", True),
    (AMOUNT, "5", 5),
    (AMOUNT, 0, 0),
    (ONE_OR_MORE, " 8 ", 8),
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
def test_a_value_is_taken_for_what_it_says(parser, value, result):
    assert parser("name", value) == result


REFUSED: dict[Parser, list[Any]] = {
    parameters.duration: [
        *("", "7 days", "7D", "P", "PT", "P1M", "P1Y", "P1M2D", "P0D", "PT0S", "-P7D", "P7D "),
        *("P-7D", "p7d", "P7H", "PT7D", "7", "2026-01-01", "P7D/2026-01-01", "P9" + "9" * 30),
        *("P9W1W", "P1W2D", "P1D1D", "PT1H1H", "PT1M1H", "P1DT", "P1H", "PT1D", "P7", "PT5"),
        *("P0.5D", "PT0,5S", "\nP7D", "P٧D", "P1Y2D", "P1M1W", "P1W1M", "+P7D", "P7DT1D"),
        *(7, 7.0, None, True, "P9999999D", timedelta.max, timedelta(0), timedelta(days=-1)),
    ],
    parameters.flag: ["", "yes", "1", 0, 1, None, [], "Falsee"],
    AMOUNT: [
        *(-1, "-1", 1.0, "1.5", True, "", "1_000", None, "٥", "1e3", "0x10", [5]),
    ],
    ONE_OR_MORE: [0, "0", False],
    parameters.whole_number(1, 128): [0, 129],
    parameters.share: [-0.1, 1.1, "101%", "nan", float("nan"), True],
    parameters.rate: [0, -1, "inf", "nan", True, "", None],
    parameters.moment: ["2026-01-31", datetime(2026, 1, 31), "now", 0, "0001-01-01T00:00:00Z"],
    parameters.pattern: [
        *("", " ", "(", "*", "[", None, 1, "keep\n", " keep", "keep\u00a0", "\u3000keep\t"),
        *('"keep"', "'(?i)keep'", '""'),
        *("['a', 'b c']", '["a"]'),
        *(
            "a{99999999999999}",
            "(" * 5000 + ")" * 5000,
            "^",
            "keep|",
            "^test-|",
            "a*",
            r"\b\b",
            "(?i)",
            "\udfff",
            "a{2,1}",
        ),
    ],
    parameters.text: ["a ", "\ta", "a\r\n", "a\u2028", "\xa0a", "\ud800"],
    parameters.identifier: ["a\n", " a", "a\u200b", "a\0", "a\nb"],
    parameters.names: [
        *(["a "], ["\ufeffa"], ["a\u00adb"], ["a\tb"], ["\u202ea"], ["\ud800"]),
        *([], "[]", "a", "a,b", {"a": 1}, [""], [None], b"a"),
    ],
    parameters.names_or_any: [["*", "x"], ["x", "*"], "*", ["*", "*"], []],
    parameters.excluded_ids: [
        *(["*"], ["x", "*"], "x", ["a,b"], ["#a"]),
        *('["a" "b"]', "['a'\n'b']", "['a''b', 'c']", ["65a4f0000123456789abcdef" * 2]),
    ],
    parameters.codes: ["A", "A,B", [1], [""], {"A": 1}, None],
    parameters.statuses: [["PENDING"], ["cancelled"], "pending", ["None"]],
    parameters.order_types: [["Cc"], ["video"], "cc", [], ["*", "cc"], "*"],
    parameters.order_ids: [
        *("abc", "a,b", [["a"]], [("a",)], [1], ["a b"], ["None"], [""], [None], {"a": "b"}, 5),
        *(["a/b"], ["o-1", -(10**5000)]),
    ],
    parameters.report_path: [
        *("r.jsonl", "./r", "~/r", "", "/tmp/", None, "file:r", "file://r", "local://r", "s3:/r"),
    ],
}


@pytest.mark.parametrize(
    ("parser", "value"), [(parser, value) for parser in REFUSED for value in REFUSED[parser]]
)
def test_a_value_that_does_not_say_it_is_refused(parser, value):
    with pytest.raises(InvalidInputError, match=r"name.*expected"):
        parser("name", value)


@pytest.mark.parametrize(
    "parser", [parameters.order_ids, parameters.names, parameters.codes, parameters.statuses]
)
def test_what_can_be_read_only_once_is_not_a_list(parser):
    """The check at parse would use it up: the task would then see an empty list."""
    with pytest.raises(InvalidInputError, match="list"):
        parser("name", iter(["pending"]))


@pytest.mark.parametrize("age", ["P4294967303D", "PT4297000000S", "P613566758W", "P123456789D"])
def test_an_age_of_too_many_digits_is_refused_and_not_wrapped_around(age):
    with pytest.raises(InvalidInputError, match="up to 8 digits"):
        parameters.duration("older_than", age)


@pytest.mark.parametrize(
    ("parser", "value", "said"),
    [
        (parameters.duration, "P1M", "months or years, which have no fixed length"),
        (parameters.duration, "7 days", "name: .* got '7 days'"),
        (parameters.pattern, "keep\n", r"white space around it, got 'keep\\n'. Remove it.*\[ \]"),
        *(
            (parameters.selection, plain, "write .* for")
            for plain in ("[TEST]", "^[TEST] cut", "old|(old)", "(?i)(old) cut", "tmp*")
        ),
        (parameters.pattern, "keep|", "empty text"),
        *((parameters.pattern, typo, "as Python has it") for typo in ("(i)keep", "/keep/i")),
        (parameters.statuses, ["waiting"], "expected one of completed, .* got 'waiting'"),
        (parameters.order_types, ["captions"], r"cc \(captions\), .* got 'captions'"),
        (parameters.order_id, ["a", "b"], r"got a list.*BatchCancelOrdersOperator.*expand"),
        (parameters.order_id, 123, r"text.*int: 123"),
    ],
)
def test_a_message_says_what_to_do(parser, value, said):
    with pytest.raises(InvalidInputError, match=said):
        parser("name", value)
