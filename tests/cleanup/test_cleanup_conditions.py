"""Which orders are left alone, and that no spelling of a name gets around a pattern."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ollang.api._secret import Masked
from airflow_provider_ollang.api.models import Order
from airflow_provider_ollang.cleanup.conditions import Conditions, NamePattern

#: Patterns, and names that a person reads as one that the pattern matches.
READ_THE_SAME = [
    ("Café", ["Cafe\u0301 tour", "CAFE Café", "Ca\u200bfe\u0301"]),
    ("Cafe\u0301", ["Café", "Cafe\u0301"]),
    ("[é]tude", ["e\u0301tude", "étude"]),
    ("한국", [unicodedata.normalize("NFD", "한국어")]),
    ("ガ", ["ｶﾞ", "カ\u3099"]),
    ("ｶﾞ", ["ガ"]),
    ("do not", [f"do{char}not" for char in "\t\n\x0b\x0c\r\x85\xa0\u2003\u2028\u2029\u202f\u3000"]),
    ("do not", ["do  not", "do \n not", "do\u2800not", "do \u200bnot"]),
    ("^keep$", [" keep", "keep\n", "\ufeffkeep", "\u200ekeep\u200f", "\u2066keep\u2069"]),
    ("keep", [f"ke{char}ep" for char in "\x00\x01\x7f\xad\u034f\u061c\u180e\u200b\u200c\u200d"]),
    ("keep", [f"ke{char}ep" for char in "\u2060\u2064\ufeff\ufe0f\U000e0101\u3164\uffa0\ud800"]),
    ("keep", ["ｋｅｅｐ", "𝐤𝐞𝐞𝐩", "ⓚeep"]),
    (r"\bkeep\b", ["please\u200bkeep\u200bthis", "keep\u2060this"]),
    ("(?i)keep", ["KEEP", "ＫＥＥＰ", "K\u00adEEP"]),
    ("(?x) do \\s not  # spaces mean nothing here\n", ["do\u3000not"]),
    ("ＫＥＥＰ", ["KEEP", "ＫＥＥＰ"]),
    ("（keep）", ["(keep)", "（keep）"]),
    ("keep＿this", ["keep_this"]),
    ("keep\u00a0this", ["keep this", "keep\u00a0this"]),
    ("\ufeffkeep", ["keep"]),
    ("ke\u200bep", ["keep", "ke\u200bep"]),
    ("don't", ["don’t", "donʼt"]),
    ("don’t", ["don't"]),
    ("do-not", ["do\u2011not", "do–not", "do－not"]),
    ("\u200b", ["a\u200bb"]),
    (r"\w\u0301", ["e\u0301"]),
    ("Trailer (final)", ["Trailer (final) v2", "Trailer\u00a0(final)", "Trailer （final）"]),
    ("(?i)price $5 [é]", ["PRICE $5 [E\u0301]"]),
    ("C:\\temp", ["C:\\temp"]),
    ("Trailer (final)|Cost $5", ["Trailer (final)", "Cost $5"]),
    ("snake&#95;case|Q&#38;A &#40;EU&#41;", ["snake_case 2", "Q&A (EU)"]),
    ("- User guide\n- \u201cPress\u201d\n- A long\u2026", ["User guide", "Press", "A long name"]),
    ("• Gala • Trailer A", ["Gala", "Trailer A"]),
    ("1. Gala\n#2 `Trailer  A`:\n- [x] „Promo“", ["Gala", "Trailer A", "Promo 2"]),
    ("User guide, Cost $5; Press*\nTown hall", ["User guide", "Cost $5", "Press 1", "Town hall"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "name"), [(pattern, name) for pattern, names in READ_THE_SAME for name in names]
)
def test_a_name_that_reads_the_same_matches(pattern, name):
    assert NamePattern(pattern).matches(name)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("keep", "Keep"),
        ("keep", "k e e p"),
        ("Cafe$", "Café"),
        ("а", "a"),  # Cyrillic and Latin letters are different ones
        ("（keep）", "keep"),
        ("\u200b", "ab"),
        ("\u200b|keep", "ab"),
        ("[a–z]", "b"),
        (r"keep\.", "keep!"),
        ("a{１}", "b"),
    ],
)
def test_another_name_does_not_match(pattern, name):
    assert not NamePattern(pattern).matches(name)


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("^test-", "test-1", True),
        ("^Café", "Cafe\u0301 tour", True),
        ("^Cafe\u0301", "Café tour", True),
        ("old draft", "old\u00a0draft", True),
        ("^draft", "\ufeffdr\u00adaft", True),
        ("ＴＥＳＴ", "ＴＥＳＴ", True),
        ("TEST", "ＴＥＳＴ", False),
        ("v2$", "v²", False),
        ("^(?!keep).", "k\u200beep this", False),
        ("^(?!keep).", "ｋeep this", False),
        ("old draft", "old  draft", False),
        ("^draft$", "draft\n", False),
    ],
)
def test_what_is_to_be_cancelled_matches_only_as_it_is_seen(pattern, name, matches):
    assert NamePattern(pattern).matches_surely(name) is matches


PATTERNS = st.from_regex(r"[a-c.*+?()|\[\]^$éＡ\u0301\u200b-]{1,6}", fullmatch=True)


@pytest.mark.filterwarnings("ignore:Possible nested set:FutureWarning")
@given(PATTERNS, st.text("abcé\u0301\u200bＡ \u00a0", max_size=6))
def test_a_pattern_matches_at_least_what_it_matches_as_written(pattern, name):
    try:
        normalized = NamePattern(pattern)
    except (re.error, ValueError):
        return
    if re.search(pattern, name) or normalized.matches_surely(name):
        assert normalized.matches(name)


@pytest.mark.parametrize(
    "pattern",
    [
        *("", "^", "$", "^test-|", "keep|", "a*", "(keep)?", "()", "(?i)", ".*", r"\b", r"\b\b"),
        *("^(?!keep)", "(?=)", "(?x) # keep", r"(?a)\b"),
    ],
)
def test_a_pattern_that_matches_the_empty_text_is_refused(pattern):
    with pytest.raises(ValueError, match="empty text"):
        NamePattern(pattern)


@pytest.mark.parametrize("pattern", ["(", "*", "a{99999999999999}"])
def test_what_is_not_a_pattern_is_refused(pattern):
    with pytest.raises((re.error, OverflowError)):
        NamePattern(pattern)


# Conditions: what one read of an order shows.


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ALL = Conditions(
    statuses=("pending",),
    exclude_name_matches=NamePattern("(?i)keep"),
    exclude_folder_ids=("F-Legal",),
    created_before=NOON,
)


def order(**fields: Any) -> Order:
    known = {"id": "o-1", "name": "draft", "status": "pending", "folderId": "f-1"}
    return Order.from_json({**known, "createdAt": "2026-01-01T12:00:00Z", **fields})


UNMET: list[tuple[dict[str, Any], str, str]] = [
    ({"status": "ongoing"}, "status_changed", "its status is 'ongoing', expected 'pending'"),
    ({"status": "Pending"}, "status_changed", "expected 'pending'"),
    ({"status": None}, "invalid", "its status is None"),
    ({"status": ["pending"]}, "invalid", "its status is"),
    ({"name": "KEEP this"}, "excluded", "its name 'KEEP this' matches exclude_name_matches"),
    ({"name": "k\u200beep"}, "excluded", "'k\\u200beep'"),
    ({"name": None}, "invalid", "its name is None"),
    ({"name": Masked("***")}, "invalid", "its name is '***'"),
    ({"folderId": "f-legal"}, "excluded", "its folder 'f-legal' is in exclude_folder_ids"),
    *(({"folderId": value}, "invalid", "its folderId is") for value in (None, "", " ", 5, ["f"])),
    ({"createdAt": "2026-01-01T12:00:00.001Z"}, "excluded", "after 2026-01-01T12:00:00.000Z"),
    ({"createdAt": "2026-01-01T00:00:00"}, "invalid", "its createdAt is"),
    ({"createdAt": "1970-01-01T00:00:00Z"}, "invalid", "its createdAt is"),
    ({"folderId": None, "status": "ongoing"}, "status_changed", "its status"),
    ({"folderId": None, "name": "keep"}, "excluded", "its name"),
]


@pytest.mark.parametrize(("fields", "outcome", "reason"), UNMET)
def test_an_order_that_fails_a_condition_is_left_alone(fields, outcome, reason):
    unmet = ALL.unmet(order(**fields))
    assert unmet is not None
    assert unmet.outcome == outcome
    assert reason in unmet.message


@pytest.mark.parametrize(
    ("condition", "fields", "outcome", "reason"),
    [
        ({"name_matches": NamePattern("^draft")}, {"name": "final"}, "excluded", "does not match"),
        ({"name_matches": NamePattern("^draft")}, {"name": None}, "invalid", "its name is None"),
        ({"folder_ids": ("f-1",)}, {"folderId": "F-1"}, "excluded", "is not in folder_ids"),
        ({"folder_ids": ("f-1",)}, {"folderId": None}, "invalid", "its folderId is None"),
        ({"exclude_order_ids": ("ABCDEF",)}, {"id": "65abcdef"}, "excluded", "its id is in"),
    ],
)
def test_an_order_that_has_left_the_rule_is_left_alone(condition, fields, outcome, reason):
    conditions = Conditions(**condition)
    assert conditions.unmet(order()) is None
    unmet = conditions.unmet(order(**fields))
    assert unmet is not None
    assert unmet.outcome == outcome
    assert reason in unmet.message


def test_an_order_that_meets_all_conditions_is_not_left_alone():
    assert ALL.unmet(order()) is None


@pytest.mark.parametrize("fields", [fields for fields, *_ in UNMET])
def test_a_condition_that_is_not_set_leaves_no_order_alone(fields):
    assert Conditions().unmet(order(**fields)) is None


@pytest.mark.parametrize(
    "make", [lambda name: {"name": f"keep {name}"}, lambda name: {"status": name}]
)
@pytest.mark.parametrize(
    "text", ["x" * 1_500_000, "a\n\x1b[31m\u202e", "x ::group::y :::endgroup::"]
)
def test_a_reason_is_one_short_line_that_folds_nothing(make, text):
    unmet = ALL.unmet(order(**make(text)))
    assert unmet is not None
    assert len(unmet.message) < 200
    assert unmet.message.isprintable()
    assert "::" not in unmet.message
