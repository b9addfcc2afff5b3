"""What each field of a connection means, and what is refused because of it."""

from __future__ import annotations

import json
from typing import Any

import certifi
import pytest
from airflow.providers.common.compat.sdk import Connection
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.errors import InvalidInputError, OllangError
from airflow_provider_ollang.hooks.ollang import client_from_connection
from airflow_provider_ollang.sandbox import Sandbox, Stub

KEY = "s3cr3t-k3y"


def client(**fields: Any) -> OllangClient:
    extra = fields.pop("extra", None)
    extra = json.dumps(extra) if extra is not None and not isinstance(extra, str) else extra
    connection = Connection(
        conn_id="my_conn",
        **{"conn_type": "ollang", "password": KEY, "extra": extra} | fields,
    )
    return client_from_connection(connection)


def sandbox_client(sandbox: Sandbox, **extra: Any) -> OllangClient:
    return client(host=sandbox.url, password=sandbox.api_key, extra=extra)


HOSTS = [
    ({}, "https://api-integration.ollang.com"),
    ({"host": None}, "https://api-integration.ollang.com"),
    ({"host": ""}, "https://api-integration.ollang.com"),
    ({"host": "", "port": 0}, "https://api-integration.ollang.com"),
    ({"host": "https://ollang.example"}, "https://ollang.example"),
    ({"host": "https://ollang.example/"}, "https://ollang.example"),
    ({"host": "https://ollang.example/api/v1/"}, "https://ollang.example/api/v1"),
    ({"host": "https://ollang.example:8443"}, "https://ollang.example:8443"),
    ({"host": "ollang.example"}, "https://ollang.example"),
    ({"host": " ollang.example "}, "https://ollang.example"),
    ({"host": "ollang.example/api"}, "https://ollang.example/api"),
    ({"host": "ollang.example:8443/api"}, "https://ollang.example:8443/api"),
    ({"host": "ollang.example", "port": 8443}, "https://ollang.example:8443"),
    ({"host": "ollang.example/api", "port": 8443}, "https://ollang.example:8443/api"),
    ({"host": "https://ollang.example/api", "port": 8443}, "https://ollang.example:8443/api"),
    ({"host": "ollang.example:8443", "port": 8443}, "https://ollang.example:8443"),
    ({"host": "ollang.example", "port": 0}, "https://ollang.example"),
    ({"host": "ollang.example", "schema": "https"}, "https://ollang.example"),
    ({"host": "ollang.example", "schema": "HTTPS"}, "https://ollang.example"),
    ({"host": "https://ollang.example", "schema": "https"}, "https://ollang.example"),
    ({"host": "127.0.0.1", "schema": "http", "port": 8484}, "http://127.0.0.1:8484"),
    ({"host": "localhost", "schema": "http", "port": 8484}, "http://localhost:8484"),
    ({"host": "http://localhost:8484"}, "http://localhost:8484"),
    ({"host": "http://127.0.0.1:8484/"}, "http://127.0.0.1:8484"),
    ({"host": "::1"}, "https://[::1]"),
    ({"host": "::1", "port": 8443}, "https://[::1]:8443"),
    ({"host": "[::1]", "port": 8443}, "https://[::1]:8443"),
    ({"host": "[::1]:8443"}, "https://[::1]:8443"),
    ({"host": "http://[::1]:8484"}, "http://[::1]:8484"),
    ({"host": "::1", "schema": "http", "port": 8484}, "http://[::1]:8484"),
    ({"host": "2001:db8::7"}, "https://[2001:db8::7]"),
    ({"host": "http://ollang.example", "extra": {"allow_http": True}}, "http://ollang.example"),
    ({"host": "http://ollang.example", "extra": {"allow_http": "true"}}, "http://ollang.example"),
    (
        {"host": "ollang.example", "schema": "http", "extra": {"allow_http": "True"}},
        "http://ollang.example",
    ),
]


@pytest.mark.parametrize(("fields", "url"), HOSTS)
def test_host_port_and_schema_give_the_base_url(fields: dict[str, Any], url: str) -> None:
    assert client(**fields).base_url == url


REFUSED_HOSTS = [
    {"host": "http://ollang.example"},
    {"host": "HTTP://ollang.example"},
    {"host": "ollang.example", "schema": "http"},
    {"host": "http://localhost.ollang.example"},
    {"host": "http://127.0.0.1.ollang.example"},
    {"host": "http://ollang.example", "extra": {"allow_http": "false"}},
    {"host": "http://ollang.example", "extra": {"allow_http": ""}},
    {"host": "ftp://ollang.example"},
    {"host": "file:///etc/passwd"},
    {"host": "https://"},
    {"host": "https:///path"},
    {"host": "not a host"},
    {"host": "ollang.example?x=1"},
    {"host": "ollang.example#x"},
    {"host": "https://user:word@ollang.example"},
    {"host": "user@ollang.example"},
    {"host": "ollang.example:port"},
    {"host": "ollang.example:70000"},
    {"host": "ollang.example:0"},
    {"host": "ollang.example\n"  "evil.example"},
    {"host": "ollang.example\\evil"},
    {"host": "öllang.example"},
    {"host": "https://ollang.example:8443", "port": 9443},
    {"host": "https://ollang.example", "schema": "http"},
    {"port": 8443},
    {"schema": "https"},
]  # fmt: skip


@pytest.mark.parametrize("fields", REFUSED_HOSTS, ids=str)
def test_a_host_that_cannot_be_used_is_refused_by_its_name(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError, match=r"'my_conn'.*host \(base URL\)") as caught:
        client(**fields)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("port", [70000, -1])
def test_a_port_that_is_none_is_refused_by_its_name(port: int) -> None:
    with pytest.raises(InvalidInputError, match=r"'my_conn'.*(port|host)"):
        client(host="ollang.example", port=port)


def test_another_schema_than_http_is_refused_by_its_name() -> None:
    with pytest.raises(InvalidInputError, match=r"'my_conn', schema.*https"):
        client(host="ollang.example", schema="api")


def test_what_stands_before_an_at_sign_is_not_repeated() -> None:
    with pytest.raises(InvalidInputError) as caught:
        client(host=f"https://:{KEY}@ollang.example")
    assert KEY not in str(caught.value)


BAD_KEYS = [
    pytest.param(None, "missing", id="none"),
    pytest.param("", "missing", id="empty"),
    pytest.param("  ", "missing", id="blank"),
    pytest.param(f" {KEY}", "white space around", id="space before"),
    pytest.param(f"{KEY} ", "white space around", id="space after"),
    pytest.param(f"{KEY}\n", "white space around", id="line end"),
    pytest.param(f"\t{KEY}", "white space around", id="tab"),
    pytest.param(f"{KEY}\r\nX-Evil: 1", "control", id="header"),
    pytest.param(f"{KEY} {KEY}", "white space", id="two"),
    pytest.param(f"{KEY}\0", "control", id="null character"),
    pytest.param(f"{KEY}é", "non-ASCII", id="accent"),
    pytest.param(f"{KEY}\u200b", "non-ASCII", id="zero width space"),
]


@pytest.mark.parametrize(("password", "said"), BAD_KEYS)
def test_a_key_that_can_be_none_is_refused_without_showing_it(
    password: str | None, said: str
) -> None:
    with pytest.raises(InvalidInputError, match=rf"'my_conn'.*API key.*{said}") as caught:
        client(password=password)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("conn_type", ["http", "", "Ollang", None])
def test_a_connection_of_another_type_is_refused(conn_type: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"'my_conn'.*type.*'ollang'"):
        client(conn_type=conn_type)


@pytest.mark.parametrize(
    ("extra", "attempts"),
    [
        ({}, 4),
        ({"max_attempts": 2}, 2),
        ({"max_attempts": "2"}, 2),
        ({"max_attempts": 3.0}, 3),
        ({"max_attempts": None}, 4),
        ({"max_attempts": ""}, 4),
    ],
)
def test_max_attempts_bounds_the_requests_of_one_call(
    ollang_sandbox: Sandbox, extra: dict[str, Any], attempts: int
) -> None:
    ollang_sandbox.respond_always(Stub(fault="503"))
    with sandbox_client(ollang_sandbox, **extra) as ollang, pytest.raises(OllangError):
        ollang.list_orders()
    assert len(ollang_sandbox.requests) == attempts


@pytest.mark.parametrize("timeout", [0.2, "0.2"])
def test_timeout_bounds_the_wait_for_an_answer(ollang_sandbox: Sandbox, timeout: Any) -> None:
    ollang_sandbox.respond_always(Stub(fault="timeout-before"))
    extra = {"timeout": timeout, "max_attempts": 1}
    with sandbox_client(ollang_sandbox, **extra) as ollang, pytest.raises(OllangError):
        ollang.list_orders()


GOOD_EXTRAS = [
    {"timeout": 5},
    {"timeout": "5"},
    {"timeout": 600},
    {"timeout": None, "max_attempts": None, "verify": None, "allow_http": None},
    {"timeout": "", "max_attempts": "", "verify": "", "allow_http": ""},
    {"verify": "false"},
    {"verify": "False"},
    {"verify": False},
    {"verify": True},
    {"verify": "true"},
    {"verify": certifi.where()},
    {"allow_http": "true"},
    {"something": "else"},
]


@pytest.mark.parametrize("extra", GOOD_EXTRAS, ids=str)
def test_extras_may_come_as_text_or_be_left_empty(
    ollang_sandbox: Sandbox, extra: dict[str, Any]
) -> None:
    with sandbox_client(ollang_sandbox, **extra) as ollang:
        assert ollang.list_orders(take=1).item_count == 240


BAD_EXTRAS = [
    ("timeout", 0),
    ("timeout", -5),
    ("timeout", "soon"),
    ("timeout", 601),
    ("timeout", "nan"),
    ("timeout", "inf"),
    ("timeout", True),
    ("timeout", [5]),
    ("timeout", {"connect": 5}),
    ("timeout", 10**400),
    ("max_attempts", 0),
    ("max_attempts", 1.5),
    ("max_attempts", "many"),
    ("max_attempts", 11),
    ("max_attempts", -1),
    ("max_attempts", True),
    ("max_attempts", 10**400),
    ("verify", "/no/such/bundle.pem"),
    ("verify", "flase"),
    ("verify", [1]),
    ("verify", "a\0b"),
    ("verify", "x" * 5000),
    ("allow_http", "maybe"),
    ("allow_http", 2),
    ("allow_http", []),
]


@pytest.mark.parametrize(("name", "value"), BAD_EXTRAS, ids=lambda value: f"{value!r:.20}")
def test_a_bad_extra_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"'my_conn'.*extra.*{name}.*expected") as caught:
        client(extra={name: value})
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("extra", ["[1, 2]", '"text"', "5"])
def test_extras_that_are_no_object_are_refused(extra: str) -> None:
    with pytest.raises(InvalidInputError, match=r"'my_conn', extra.*JSON object"):
        client(extra=extra)


ANYTHING = st.none() | st.text(max_size=300) | st.integers() | st.floats() | st.booleans()
JSON_VALUES = ANYTHING | st.lists(ANYTHING) | st.dictionaries(st.text(), ANYTHING)
EXTRA_NAMES = st.sampled_from(["timeout", "max_attempts", "verify", "allow_http"]) | st.text()
HOST_TEXTS = (
    st.none()
    | st.text()
    | st.from_regex(r"(https?://)?[a-z0-9.:@/\[\]-]*", fullmatch=True)
    | st.sampled_from(["ollang.example", "https://ollang.example", "http://127.0.0.1", "::1"])
)


@settings(deadline=None)
@given(
    host=HOST_TEXTS,
    port=st.none() | st.integers(-10, 70000),
    schema=st.none() | st.sampled_from(["", "http", "https", "HTTPS"]) | st.text(),
    extra=st.dictionaries(EXTRA_NAMES, JSON_VALUES, max_size=4),
    around=st.sampled_from(["{}", " {}", "{}\n", "{}é", "{}\0"]) | st.just("{}"),
)
@example("ollang.example", None, None, {"timeout": 10**400}, "{}")
@example("ollang.example", None, None, {"verify": "x" * 300}, "{}")
def test_any_connection_gives_a_usable_client_or_says_what_is_wrong(
    host: Any, port: Any, schema: Any, extra: dict[str, Any], around: str
) -> None:
    fields = {"host": host, "port": port, "schema": schema, "extra": extra}
    try:
        ollang = client(**fields, password=around.format(KEY))
    except InvalidInputError as error:
        assert KEY not in str(error)
        assert "my_conn" in str(error)
    else:
        assert ollang.base_url.startswith(("https://", "http://"))
        assert KEY not in repr(ollang)


@given(password=st.none() | st.text(max_size=50))
def test_any_key_gives_a_client_or_a_message_about_the_key(password: str | None) -> None:
    try:
        client(password=password)
    except InvalidInputError as error:
        assert "API key" in str(error)
    else:
        assert password
        assert password.isascii()
        assert password.isprintable()
        assert " " not in password
