from __future__ import annotations

import html
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ollang.api._responses import error_from_response
from airflow_provider_ollang.api._secret import MASK, Masked, Secret, mask, mask_json

KEYS = ["k3y-that-nobody-may-see", 'a/b%20c+&"<\\d>', "0123456789abcdef" * 12]
SPELLINGS = {
    "raw": str,
    "in a link": lambda key: quote(key, safe=""),
    "in a path": quote,
    "on a page": html.escape,
    "in JSON": lambda key: json.dumps(key)[1:-1],
}


def test_no_repr_shows_a_secret():
    secret = Secret("k3y")
    assert secret == "k3y"
    assert "k3y" not in repr(secret) + repr({"key": [secret]})


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_secret_is_found_in_each_spelling(key, spelling):
    written = SPELLINGS[spelling](key)
    masked = mask(f"<{written}>", key)
    assert masked == f"<{MASK}>"
    assert isinstance(masked, Masked)


@given(st.text())
def test_text_without_the_secret_is_unchanged(text):
    assert mask(text, "a-key-that-is-not-in-it") is text


def test_every_text_of_a_json_value_is_masked():
    value: Any = {"a": ["x k3y", {"k3y": "y"}], "b": 1, "c": None}
    assert mask_json(value, "k3y") == {"a": ["x ***", {"***": "y"}], "b": 1, "c": None}


@pytest.mark.parametrize("depth", [10, 900, 5000])
def test_json_of_any_depth_keeps_the_secret(depth):
    body = b"[" * depth + b'"k3y"' + b"]" * depth
    assert "k3y" not in str(error_from_response(200, {}, body, secret="k3y"))
