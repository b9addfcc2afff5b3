import re
from urllib.parse import urlsplit

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ollang.api._validation import (
    check_api_key,
    check_base_url,
    check_order_id,
    check_verify,
    is_loopback,
)
from airflow_provider_ollang.api.errors import InvalidInputError


@pytest.mark.parametrize(
    ("check", "value"),
    [
        *((check_order_id, it) for it in ("65a4f0000123456789abcdef", "A_b-9", "x" * 128, "0")),
        *((check_api_key, it) for it in ("k", "ab~!c", "x" * 500)),
        (check_base_url, "https://api.example.com:8443/v1"),
        *((check_base_url, f"http://{it}:8484") for it in ("127.0.0.1", "127.8.9.10", "[::1]")),
        (check_base_url, "http://LOCALHOST:8484"),
    ],
)
def test_a_valid_value_is_returned_as_it_is(check, value):
    assert check(value) == value
    if check is check_base_url:
        assert check(f"{value}//") == value


@pytest.mark.parametrize(
    "value",
    [
        *("", " ", " a", "a\n", "a/b", "..", "a.b", "a?b", "a%2fb", "ä", "٣", "x" * 129, "{{ x }}"),
        *("None", "none", "null", "NaN", "undefined", None, 5, True, b"abc", ["abc"]),
    ],
)
def test_an_invalid_order_id_is_an_error_that_names_its_field(value):
    with pytest.raises(InvalidInputError, match=r"^order_ids\b"):
        check_order_id(value, field="order_ids")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *((it, "password: the API key is missing") for it in (None, "", "  ", 5)),
        *((it, "white space around it") for it in (" my-key", "my-key\n", "my-key\u00a0")),
    ],
)
def test_what_an_api_key_lacks_is_named(value, said):
    with pytest.raises(InvalidInputError, match=said):
        check_api_key(value, field="password")


@given(st.text())
def test_an_invalid_api_key_is_in_no_message_and_a_valid_one_fits_a_header(text):
    mark = "zq9-"  # in no message by itself
    try:
        check_api_key(mark + text)
    except InvalidInputError as error:
        assert mark not in str(error) + repr(error)
    else:
        assert re.fullmatch("[!-~]+", text) or not text


@pytest.mark.parametrize(
    "value",
    [
        *("", "api.example.com", "ftp://example.com", "https://", "https://:443"),
        *("https://a..example.com", "https://.", f"https://{'a' * 64}.example.com"),
        *("https://a b.com", "https://example.com?x=1", "https://example.com#x", "https://a\\b"),
        *("https://example.com:0", "https://example.com:99999", "https://example.com:x"),
        *("https://ex\nample.com", "https://[::1", "https://münchen.example", "https://h;x"),
        *("https://h%00", "http://[::1%25lo]", None, b"https://a"),
    ],
)
def test_an_invalid_base_url_is_an_error(value):
    with pytest.raises(InvalidInputError, match=r"^host: "):
        check_base_url(value, field="host")


@pytest.mark.parametrize(
    "host", ["example.com", "localhost.example.com", "10.0.0.1", "128.0.0.1", "[::2]"]
)
def test_plain_http_to_another_machine_needs_consent(host):
    url = f"http://{host}"
    with pytest.raises(InvalidInputError, match="unencrypted"):
        check_base_url(url)
    assert check_base_url(url, allow_http=True) == url


def test_what_stands_before_an_at_sign_is_not_shown():
    with pytest.raises(InvalidInputError) as caught:
        check_base_url("https://user:the-secret@example.com")
    assert "the-secret" not in str(caught.value)


@given(
    st.text()
    | st.builds(
        lambda scheme, rest: f"{scheme}://{rest}",
        st.sampled_from(["http", "https", "HTTPS", "file"]),
        st.text(alphabet="abz019.:/@?#[]\\% \n", max_size=20),
    )
)
def test_an_accepted_base_url_is_https_or_goes_to_this_machine(value):
    try:
        parts = urlsplit(check_base_url(value))
    except InvalidInputError:
        return
    assert parts.hostname
    assert parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
    assert (parts.username, parts.password, parts.query, parts.fragment) == (None, None, "", "")


def test_verify_is_a_truth_value_or_the_path_of_certificates(tmp_path):
    bundle = tmp_path / "ca.pem"
    for content in (None, "", "no certificate", "-----BEGIN CERTIFICATE-----\nAA"):
        if content is not None:
            bundle.write_text(content)
        with pytest.raises(InvalidInputError, match=r"^verify: .* no readable CA certificate"):
            check_verify(str(bundle))
    trustme.CA().cert_pem.write_to_path(bundle)
    for value in (True, False, str(bundle), str(tmp_path)):
        assert check_verify(value) == value
