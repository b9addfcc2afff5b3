"""Values, texts and JSON of every kind, for tests of what holds whatever comes."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from hypothesis import strategies as st

#: What has broken programs before: each stands for a kind of trouble.
NASTY_TEXTS = [
    *("", " ", "None", "null", "nan", "True", "0", "-1", "1e999", "[]", "{}", "['a']", "..", "a/b"),
    *("\x00", "a\nb", "\ud800", "\udfffa", "\u2028", "\u202e", "\ufeff", "ß", "٣", "𝟙", "😀"),
    *("{{ x }}", "{% if %}", "%s", "%00", "a" * 129, "x" * 3000, "[" * 3000, "-" * 3000 + "1"),
    *("1" * 5000, "P1D", "PT0S", "P1M", "2020-01-01T00:00:00Z", "pending", "cc", "(", "a{9999}"),
]
texts = st.text(max_size=20) | st.sampled_from(NASTY_TEXTS)
numbers = st.integers() | st.sampled_from([0, 1, -1, 2**63, 10**400]) | st.floats()
scalars = st.none() | st.booleans() | numbers | texts

any_json = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
any_value = (
    any_json
    | st.sampled_from([1, -1]).map(lambda sign: sign * 10**5000)  # Python refuses to write it
    | st.binary(max_size=5)
    | st.timedeltas()
    | st.datetimes(timezones=st.none() | st.just(UTC) | st.timezones())
    | st.frozensets(texts, max_size=3)
    | st.tuples(texts, texts)
)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


#: Bodies that only look like JSON, or like JSON that somebody wrote.
NASTY_BODIES = [
    *(b"", b" ", b"null", b"true", b"NaN", b"-Infinity", b'"text"', b"[]", b"{}", b"{", b"\x00"),
    *(b"\xef\xbb\xbf{}", b"\xff\xfe{\x00}\x00", b'{"code": "\xe9"}', b'{"code": "\xed\xa0\x80"}'),
    *(b"9" * 5000, b'{"a": ' + b"9" * 5000 + b"}", nested(5000), b'{"message": ' + nested(100)),
    b'{"code": "\\ud800", "message": "\\u0000\\ud800"}',
    b'{"code": "ORDER_NOT_FOUND", "code": "ORDER_ALREADY_CANCELLED"}',
    b'{"message": ' + nested(100) + b', "code": ["ORDER_ALREADY_CANCELLED"]}',
    b"<html><title>502 Bad Gateway</title></html>",
]


def bodies(*values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """Give these values as JSON, in one of its encodings, and bytes that are no JSON."""
    encodings = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
    written = st.builds(_write, st.one_of(*values), encodings, ascii_only=st.booleans())
    return written | st.binary(max_size=20) | st.sampled_from(NASTY_BODIES)


def _write(value: Any, encoding: str, *, ascii_only: bool) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only).encode(encoding, "replace")
