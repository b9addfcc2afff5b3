"""A secret shows in no ``repr``, and is taken out of text in every way that it may be written."""

from __future__ import annotations

import html
import json
import re
import timeit
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from airflow_provider_ollang.api.answers import error_from_answer, parse_json
from airflow_provider_ollang.api.secret import Masked, Secret, mask, mask_json

SECRET = r"""k3y%/'"\&<"""
api_keys = st.text(alphabet=[chr(code) for code in range(33, 127)], min_size=4, max_size=200)
#: What stands around a key in a text, and cannot be taken for a part of it.
around = st.sampled_from(["", "é", "é'", 'é"', "é \n", "é'\""])


def test_a_secret_is_its_text_and_does_not_show_it() -> None:
    secret = Secret(SECRET)

    assert (secret, str(secret), f"{secret}") == (SECRET, SECRET, SECRET)
    for holder in (secret, [secret], {"key": secret}, {secret}):
        assert "k3y" not in repr(holder)
        assert "***" in repr(holder)


def each(escape: Callable[[str], str], among: str = "") -> Callable[[str], str]:
    """Return what escapes each of some characters; without any, all but letters and digits."""

    def write(text: str) -> str:
        return "".join(escape(c) if c in among or not (among or c.isalnum()) else c for c in text)

    return write


#: How languages and their frameworks write a text into links, pages and other texts.
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "Python's repr": repr,
    "Python's repr of bytes": lambda text: repr([text, text.encode()]),
    "JSON": lambda text: json.dumps({"a": text}),
    "JSON of Go": lambda text: each(lambda c: f"\\u{ord(c):04x}", "&<>")(json.dumps(text)),
    "JSON of PHP": lambda text: json.dumps(text).replace("/", r"\/"),
    "JSON with all escaped": each(lambda c: f"\\u{ord(c):04X}"),
    "a path": quote,
    "a part of a link": lambda text: quote(text, safe=""),
    "JavaScript's part of a link": lambda text: quote(text, safe="!'()*"),
    "a link in lower case": each(lambda c: "".join(f"%{byte:02x}" for byte in c.encode())),
    "a page": html.escape,
    "text of a page": lambda text: html.escape(text, quote=False),
    "a page of Go": each(lambda c: f"&#{ord(c)};", "&<>'\""),
    "a page of Mustache": each(lambda c: f"&#x{ord(c):02X};", "&<>'\"`=/"),
    "a page with zeros": each(lambda c: f"&#{ord(c):04};"),
    "a page with names": lambda text: html.escape(text).replace("&#x27;", "&apos;"),
}


@pytest.mark.parametrize("outer", SPELLINGS)
@pytest.mark.parametrize("inner", SPELLINGS)
@given(api_keys, around)
@settings(max_examples=20)
@example(r"""k3y%2F'"\@:#?&=+$`{{<n>}};/!()*&amp;""", "é")
def test_a_secret_is_found_however_it_is_written(
    inner: str, outer: str, key: str, mark: str
) -> None:
    assume("***" not in key and len(re.sub(r"\\|%[2-7]\w", "", key)) >= 4)
    written = SPELLINGS[outer](SPELLINGS[inner](mark + key + mark[::-1]))
    masked = mask(written, key)

    assert isinstance(masked, Masked)
    assert key not in masked
    assert "***" in masked
    assert len(masked) <= len(written) + 3


@pytest.mark.parametrize("between", ["\0", "\0\0\0", "\u200b", "\xad"])
def test_a_secret_is_found_with_nothing_visible_between_its_characters(between: str) -> None:
    assert mask(f"no {between.join(SECRET)}!", SECRET) == "no ***!"
    assert mask(f"no {between}text", SECRET) == f"no {between}text"


@pytest.mark.parametrize("key", ["%41%42%43", r"\"\"", "%22%22", "&#65;&#66;", "%5cx"])
@pytest.mark.parametrize("way", SPELLINGS)
def test_a_secret_of_escapes_is_found_too(key: str, way: str) -> None:
    assert isinstance(mask(SPELLINGS[way](f"é {key} é"), key), Masked)


@pytest.mark.parametrize("secret", [SECRET, "\\" * 20, r"\a\b\\c", "%5c%5cx", "&amp;" * 40])
@pytest.mark.parametrize(
    "part", ["\\", "%5c", "%255c", "amp;", "&amp;", "25", "%25", "&#92;", "k\\\\"]
)
def test_a_text_that_is_hard_to_search_is_searched_at_once(secret: str, part: str) -> None:
    """Ten times the text takes about ten times as long, not a hundred times."""
    short, long = ("&%k" + part * count for count in (20_000, 200_000))
    mask(short, secret)
    assert seconds(lambda: mask(long, secret)) < 30 * seconds(lambda: mask(short, secret)) + 0.1


def seconds(call: Callable[[], object]) -> float:
    return min(timeit.repeat(call, number=1, repeat=3))


@given(st.text())
def test_text_without_the_secret_comes_back_as_it_is(text: str) -> None:
    assume("k3y" not in text)
    assert mask(text, SECRET) is text
    assert mask(text, "") is text


def test_a_json_value_is_masked_to_its_last_text() -> None:
    value = {"a": [1, None, True, {SECRET: [f"by {SECRET}", "plain"]}]}

    assert mask_json(value, SECRET) == {"a": [1, None, True, {"***": ["by ***", "plain"]}]}


@pytest.mark.parametrize("key", ["123456789", "-12", "0.5"])
def test_a_secret_that_is_a_number_is_found_as_one(key: str) -> None:
    body = f'{{"id": {key}, "more": [{key}, "{key}", 77, true]}}'.encode()

    assert parse_json(body, secret=key) == {"id": "***", "more": ["***", "***", 77, True]}


@pytest.mark.parametrize(
    "written",
    [
        pytest.param(lambda text: text.replace("&", r"\u0026").replace("<", r"\u003c"), id="Go"),
        pytest.param(lambda text: text.replace("/", r"\/"), id="PHP"),
        pytest.param(lambda text: text.replace("k", r"\u006b"), id="any character"),
    ],
)
def test_a_secret_in_json_is_found_in_every_spelling(written: Any) -> None:
    body = written(json.dumps({"message": SECRET, "code": SECRET, "seen": [SECRET]})).encode()

    assert parse_json(body, secret=SECRET) == {"message": "***", "code": "***", "seen": ["***"]}
    for status in (200, 400):
        error = error_from_answer(status, {}, body, secret=SECRET)
        assert "3y" not in str(error)


@pytest.mark.parametrize("depth", [10, 500, 900, 5000])
def test_json_of_any_depth_keeps_the_secret(depth: int) -> None:
    body = b"[" * depth + json.dumps(SECRET).encode() + b"]" * depth

    assert SECRET not in str(parse_json(body, secret=SECRET))
    assert "k3y" not in str(error_from_answer(200, {}, body, secret=SECRET))
