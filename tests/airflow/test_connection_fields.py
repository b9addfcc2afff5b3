"""What each field of a connection means, and what is refused because of it."""

from __future__ import annotations

import json
from typing import Any

import certifi
import pytest
from airflow.providers.common.compat.sdk import Connection

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
    ({"host": "", "port": 0}, "https://api-integration.ollang.com"),
    ({"host": "https://ollang.example/api/v1/"}, "https://ollang.example/api/v1"),
    ({"host": " ollang.example "}, "https://ollang.example"),
    ({"host": "ollang.example:8443/api"}, "https://ollang.example:8443/api"),
    ({"host": "ollang.example/api", "port": 8443}, "https://ollang.example:8443/api"),
    ({"host": "https://ollang.example/api", "port": 8443}, "https://ollang.example:8443/api"),
    ({"host": "ollang.example:8443", "port": 8443}, "https://ollang.example:8443"),
    ({"host": "ollang.example", "port": 0}, "https://ollang.example"),
    ({"host": "ollang.example", "schema": "HTTPS"}, "https://ollang.example"),
    ({"host": "https://ollang.example", "schema": "https"}, "https://ollang.example"),
    ({"host": "localhost", "schema": "http", "port": 8484}, "http://localhost:8484"),
    ({"host": "http://127.0.0.1:8484/"}, "http://127.0.0.1:8484"),
    ({"host": "::1", "schema": "http", "port": 8484}, "http://[::1]:8484"),
    ({"host": "[::1]", "port": 8443}, "https://[::1]:8443"),
    ({"host": "[::1]:8443"}, "https://[::1]:8443"),
    ({"host": "2001:db8::7"}, "https://[2001:db8::7]"),
    ({"host": "http://a.example", "extra": {"allow_http": True}}, "http://a.example"),
    ({"host": "a.example", "schema": "http", "extra": {"allow_http": "True"}}, "http://a.example"),
]


@pytest.mark.parametrize(("fields", "url"), HOSTS)
def test_host_port_and_schema_give_the_base_url(fields, url):
    assert client(**fields).base_url == url


BAD_NUMBERS = [0, -5, 601, "soon", "nan", "inf", True, [5], {"connect": 5}, 10**400]
BAD_COUNTS = [0, -1, 1.5, 11, "many", True, 10**400]
BAD_BUNDLES = ["/no/such/bundle.pem", "flase", [1], "a\0b", "x" * 5000]
REFUSED = [
    ({"host": "HTTP://ollang.example"}, "host"),
    ({"host": "ollang.example", "schema": "http"}, "host"),
    ({"host": "http://ollang.example", "extra": {"allow_http": "false"}}, "host"),
    ({"host": "http://ollang.example", "extra": {"allow_http": ""}}, "host"),
    ({"host": "not a host"}, "host"),
    ({"host": f"https://:{KEY}@ollang.example"}, "host"),
    ({"host": "https://ollang.example:8443", "port": 9443}, "host"),
    ({"host": "https://ollang.example", "schema": "http"}, "host"),
    ({"host": "ollang.example", "port": 70000}, "host"),
    ({"host": "ollang.example", "port": -1}, "host"),
    ({"host": "ollang.example", "schema": "api"}, "host.*got 'api://ollang.example'"),
    ({"port": 8443}, "host"),
    ({"schema": "https"}, "host"),
    ({"password": ""}, "password.*missing"),
    ({"password": f"{KEY}\n"}, "password.*white space around"),
    ({"extra": "[1, 2]"}, "extra.*JSON object"),
    *(({"extra": {"timeout": value}}, "extra timeout: expected") for value in BAD_NUMBERS),
    *(({"extra": {"max_attempts": value}}, "extra max_attempts: expected") for value in BAD_COUNTS),
    *(({"extra": {"verify": value}}, "extra verify: expected") for value in BAD_BUNDLES),
    *(({"extra": {"allow_http": it}}, "extra allow_http: expected") for it in ("maybe", 2, [])),
]


@pytest.mark.parametrize(("fields", "said"), REFUSED, ids=lambda value: f"{value!s:.60}")
def test_what_cannot_be_used_is_refused_by_its_name(fields, said):
    with pytest.raises(InvalidInputError, match=rf"'my_conn'.*{said}") as caught:
        client(**fields)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("conn_type", ["http", "", "Ollang", None])
def test_a_connection_of_another_type_is_refused(conn_type):
    with pytest.raises(InvalidInputError, match=r"'my_conn'.*type.*'ollang'"):
        client(conn_type=conn_type)


@pytest.mark.parametrize(("written", "attempts"), [(None, 4), ("", 4), (2, 2), ("2", 2)])
def test_max_attempts_bounds_the_requests_of_one_call(sandbox, written, attempts):
    sandbox.respond_always(Stub(fault="503"))
    with sandbox_client(sandbox, max_attempts=written) as ollang, pytest.raises(OllangError):
        ollang.list_orders()
    assert len(sandbox.requests) == attempts


@pytest.mark.parametrize(
    "extra",
    [
        *({"timeout": value} for value in (5, "5", 600)),
        *({"verify": value} for value in (False, "false", "False", "true", certifi.where())),
        *(dict.fromkeys(["timeout", "verify", "allow_http"], empty) for empty in (None, "")),
        {"something": "else"},
    ],
    ids=str,
)
def test_extras_may_be_text_or_left_empty(sandbox, extra):
    with sandbox_client(sandbox, **extra) as ollang:
        assert ollang.list_orders().orders == ()
