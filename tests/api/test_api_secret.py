"""A secret shows in no ``repr``, and is taken out of text in every way that it may be written."""

from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import assume, given
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


@given(api_keys, around)
def test_a_secret_is_found_however_it_is_written(key: str, mark: str) -> None:
    assume("*" not in key)
    text = mark + key + mark[::-1]
    for written in (
        text,
        repr(text),
        repr([text, text.encode()]),
        json.dumps({"a": text}),
        json.dumps(repr(text)),
        quote(text),
        quote(text, safe=""),
        html.escape(text),
        html.escape(text, quote=False),
        html.escape(json.dumps(text)),
    ):
        masked = mask(written, key)
        assert isinstance(masked, Masked)
        assert key not in masked
        assert len(masked) <= len(written) + 3


@given(st.text())
def test_text_without_the_secret_comes_back_as_it_is(text: str) -> None:
    assume("k3y" not in text)
    assert mask(text, SECRET) is text
    assert mask(text, "") is text


def test_a_json_value_is_masked_to_its_last_text() -> None:
    value = {"a": [1, None, True, {SECRET: [f"by {SECRET}", "plain"]}]}

    assert mask_json(value, SECRET) == {"a": [1, None, True, {"***": ["by ***", "plain"]}]}


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
