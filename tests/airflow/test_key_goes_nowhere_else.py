"""The key goes to the connection's host and to no other, whatever server and environment say."""

from __future__ import annotations

import json
import sys
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)
from airflow_provider_ollang.sandbox import Stub
from tests.api.conftest import RawServer

VARIABLE = "AIRFLOW_CONN_OLLANG_DEFAULT"
CALLS: dict[str, Callable[[], Any]] = {
    "list": lambda: FindStaleOrdersOperator(task_id="t", older_than="P1D"),
    "read": lambda: CancelOrderOperator(task_id="t", order_id="o", require_status=["pending"]),
    "cancel": lambda: CancelOrderOperator(task_id="t", order_id="o"),
    "batch": lambda: BatchCancelOrdersOperator(task_id="t", order_ids=["o"]),
    "preview": lambda: BatchCancelOrdersOperator(task_id="t", order_ids=["o"], preview=True),
}


@pytest.fixture
def elsewhere() -> Iterator[RawServer]:
    """Give a server that responds to everything with 204, and keeps whatever reaches it."""
    with RawServer(b"HTTP/1.1 204 No Content\r\n\r\n") as server:
        yield server


LOCATIONS = [
    *("http://127.0.0.1:{port}/integration/orders", "https://127.0.0.1:{port}/integration/orders"),
    *("//127.0.0.1:{port}/elsewhere", "http:\\\\127.0.0.1:{port}", "http://localhost:{port}"),
    "/elsewhere",
]


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("call", CALLS)
def test_nothing_goes_where_a_redirect_leads(sandbox, run, elsewhere, call, location):
    headers = {"Location": location.format(port=elsewhere.port), "Refresh": f"0;url={location}"}
    for status in (301, 302, 303, 307, 308):
        sandbox.respond_always(Stub(status, headers))
        with pytest.raises(AirflowException, match=f"HTTP {status}.*redirect"):
            run.execute(CALLS[call]())
    assert elsewhere.connections == 0
    assert not any("elsewhere" in request.path for request in sandbox.requests)


def test_no_cookie_is_sent_to_any_host(monkeypatch, elsewhere):
    cookie = b"Set-Cookie: told=cookie; Domain=127.0.0.1; Path=/\r\nSet-Cookie: plain=k3y\r\n"
    response = b"HTTP/1.1 204 No Content\r\n" + cookie + b"\r\n"
    with RawServer(response) as server:
        for port in (server.port, server.port, elsewhere.port):
            fields = {"conn_type": "ollang", "host": f"http://127.0.0.1:{port}", "password": "k3y"}
            monkeypatch.setenv(VARIABLE, json.dumps(fields))
            with OllangHook().get_conn() as client:
                client.cancel_order("o-1")
                client.cancel_order("o-2")

    assert (len(server.requests), len(elsewhere.requests)) == (4, 2)
    assert all(b"ookie" not in head for head in [*server.requests, *elsewhere.requests])


def test_netrc_neither_replaces_nor_joins_the_key(monkeypatch, tmp_path, elsewhere, run):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password other\ndefault login a password b\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    fields = {"host": f"http://127.0.0.1:{elsewhere.port}", "login": "user", "password": "k3y"}
    monkeypatch.setenv(VARIABLE, json.dumps({"conn_type": "ollang", **fields}))
    assert run.execute(CALLS["cancel"]()) == "o"

    [head] = elsewhere.requests
    credentials = [line for line in head.lower().splitlines() if b"auth" in line or b"key" in line]
    assert credentials == [b"x-api-key: k3y"]
    assert b64encode(b":k3y") not in head


#: Hosts that read like this machine's, or that some resolver takes for it. None may be sent to.
TRICKS = [
    *("localhost.evil.example", "127.0.0.1.nip.io", "127.0.0.1.evil.example", "0x7f.1"),
    *("0x7f000001", "2130706433", "127.1", "0177.0.0.1", "0", "[::]", "[::ffff:10.0.0.1]"),
    *("[fe80::1%25lo]", "localhost.", "localhost.localdomain", "127。0。0。1", "１２７.0.0.1"),
    *("loc\u00adalhost", "127.0.0.1@evil.example", "127.0.0.1:80@evil.example"),
    *("evil.example\\@127.0.0.1", "evil.example#@127.0.0.1", "evil.example?@127.0.0.1"),
    *("evil.example%40127.0.0.1", "127.0.0.1%2eevil.example", "127.0.0.1\t.evil.example"),
    *("127.0.0.1\n.evil.example", "127.0.0.1 .evil.example", "[127.0.0.1].evil.example"),
    *("[::1].evil.example", "[::1]evil.example"),
]


@pytest.fixture
def no_sockets() -> Iterator[list[str]]:
    """Give what this process asks of the network meanwhile."""
    opened: list[str] = []
    watching = True

    def watch(event: str, details: tuple[Any, ...]) -> None:
        if watching and event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
            opened.append(f"{event} {details[0]!r}")

    sys.addaudithook(watch)  # there is no way to take it off again
    yield opened
    watching = False


@pytest.mark.parametrize("scheme", ["http://{}", "http://{}:8080/", "HTTP://{}", "//{}", "{}"])
@pytest.mark.parametrize("host", TRICKS)
def test_plain_http_goes_to_no_host_that_only_reads_like_this_machine(
    monkeypatch, run, no_sockets, scheme, host
):
    schema = {} if "//" in scheme else {"schema": "http", "port": 8080}
    fields = {"conn_type": "ollang", "host": scheme.format(host), "password": "k3y", **schema}
    monkeypatch.setenv(VARIABLE, json.dumps(fields))
    with pytest.raises(AirflowFailException, match=r"host \(base URL\)"):
        run.execute(CALLS["cancel"]())
    assert no_sockets == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "LOCALHOST"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_what_stays_on_this_machine_takes_no_proxy(monkeypatch, elsewhere, host, variable):
    monkeypatch.setenv(variable, f"http://127.0.0.1:{elsewhere.port}")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    fields = {"conn_type": "ollang", "host": f"http://{host}:1", "password": "k3y"}
    monkeypatch.setenv(VARIABLE, json.dumps({**fields, "extra": {"max_attempts": 1}}))
    worked, _ = OllangHook().test_connection()
    assert worked is False
    assert elsewhere.connections == 0


MISPLACED = [
    *({"extra": {name: "{key}"}} for name in ("timeout", "max_attempts", "verify", "allow_http")),
    {"extra": {"api_key": "{key}", "password": "{key}"}},
    *({"host": host} for host in ("{key}", "http://{key}", "https://{key}@ollang.example")),
    *({"login": "{key}"}, {"schema": "{key}"}, {"login": "{key}", "schema": "{key}"}),
]


@pytest.mark.parametrize("fields", MISPLACED, ids=str)
def test_a_key_in_another_field_than_the_password_is_neither_shown_nor_sent(
    monkeypatch, run, logged, no_sockets, fields
):
    key = "n0-0ne-may-see-me"
    written = json.dumps({"conn_type": "ollang", **fields}).replace("{key}", key)
    monkeypatch.setenv(VARIABLE, written)
    for call in CALLS.values():
        with pytest.raises(AirflowFailException, match=r"password.*API key is missing") as caught:
            run.execute(call())
        assert key not in "".join(traceback.format_exception(caught.value))
    _, message = OllangHook().test_connection()
    assert key not in message + logged()
    assert no_sockets == []
