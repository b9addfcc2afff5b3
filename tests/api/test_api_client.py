"""What a client puts on the wire, keeps to itself, and makes of a connection."""

from __future__ import annotations

import socket
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_ollang import __version__
from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.api.retry import RetryPolicy
from airflow_provider_ollang.sandbox import Sandbox, Stub

from .conftest import SOME_ID, RawServer, client_of, error_of_cancel

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
KEY = r"k3y-'with\"all~of-it"


def test_a_cancel_is_a_post_without_a_body_that_names_key_and_sender() -> None:
    with (
        RawServer(NO_CONTENT) as server,
        OllangClient(KEY, base_url=f"http://127.0.0.1:{server.port}") as client,
    ):
        client.cancel_order(SOME_ID)

    lines = server.requests[0].decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert lines[0] == f"POST /integration/orders/cancel/{SOME_ID} HTTP/1.1"
    assert headers["x-api-key"] == KEY
    assert headers["user-agent"] == f"airflow-provider-ollang/{__version__}"
    assert headers.get("content-length", "0") == "0"
    assert "authorization" not in headers


def test_a_path_in_the_base_url_is_kept() -> None:
    with (
        RawServer(NO_CONTENT) as server,
        OllangClient(KEY, base_url=f"http://127.0.0.1:{server.port}/ollang/") as client,
    ):
        client.cancel_order("o-1")

    assert server.requests[0].startswith(b"POST /ollang/integration/orders/cancel/o-1 HTTP")


@pytest.mark.parametrize(
    ("key", "base_url"),
    [
        ("", "{url}"),
        (" key", "{url}"),
        ("a key", "{url}"),
        ("a\r\nkey", "{url}"),
        ("key", "{url}?x"),
        ("key", "nowhere"),
        ("key", "http://example.com"),
    ],
)
def test_a_client_is_refused_before_any_request(sandbox: Sandbox, key: str, base_url: str) -> None:
    with pytest.raises(errors.InvalidInputError):
        OllangClient(key, base_url=base_url.format(url=sandbox.url))
    assert sandbox.requests == []


def test_a_ca_bundle_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidInputError, match="does not exist"):
        OllangClient("key", verify=str(tmp_path / "no.pem"))


def test_netrc_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    with (
        RawServer(NO_CONTENT) as server,
        OllangClient(KEY, base_url=f"http://127.0.0.1:{server.port}") as client,
    ):
        client.cancel_order(SOME_ID)

    assert b"authorization" not in server.requests[0].lower()
    assert f"X-Api-Key: {KEY}".encode() in server.requests[0]


# The key is kept secret.

ONCE = RetryPolicy(max_attempts=1)
ECHO = {"Content-Type": f"text/{KEY}"}


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and whatever hangs on it, exceptions in its arguments included."""
    todo: list[Any] = [error]
    seen: set[int] = set()
    while todo:
        current = todo.pop()
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        todo += [current.__cause__, current.__context__, getattr(current, "reason", None)]
        todo += current.args


def shows_the_key(text: str) -> bool:
    return KEY in text or repr(KEY)[1:-1] in text  # as it is, or as a dictionary shows it


def assert_keeps_the_key(error: BaseException) -> None:
    for link in chain(error):
        assert not shows_the_key(str(link) + repr(link) + repr(vars(link)))
        for held in (getattr(link, "request", None), getattr(link, "response", None)):
            assert held is None or not shows_the_key(repr(vars(held)))


def test_the_key_is_not_in_a_clients_repr() -> None:
    assert KEY not in repr(OllangClient(KEY)) + str(OllangClient(KEY))
    assert "api-integration.ollang.com" in repr(OllangClient(KEY))


@pytest.mark.parametrize(
    "answer",
    [
        Stub(404, ECHO, KEY.encode()),
        Stub(200, ECHO, f"You sent {KEY}".encode()),
        Stub.json(401, {"message": f"{KEY} is no key", "code": "UNAUTHORIZED"}),
        Stub.json(400, {"message": [KEY, {"key": KEY}], "code": KEY}),
        Stub.json(409, {"error": KEY}),
        Stub(302, {"Location": f"https://elsewhere.invalid/?key={KEY}"}),
        Stub.json(500, {"message": KEY}),
        Stub(503, ECHO, KEY.encode()),
    ],
)
def test_a_key_that_a_cancels_answer_echoes_is_not_shown(answer: Stub) -> None:
    with (
        Sandbox(order_count=0, api_key=KEY) as sandbox,
        client_of(sandbox, retry_policy=ONCE) as client,
    ):
        sandbox.respond_always(answer)
        assert_keeps_the_key(error_of_cancel(client))


READS = {
    "get_order": lambda client: client.get_order(SOME_ID),
    "list_orders": lambda client: client.list_orders(),
}


@pytest.mark.parametrize("key", ["plain-sandbox-key", KEY])
@pytest.mark.parametrize("call", list(READS))
@pytest.mark.parametrize("shape", [lambda key: key, lambda key: {"meta": {key: [key]}}])
def test_a_key_that_a_reads_answer_echoes_is_not_shown(call: str, key: str, shape: Any) -> None:
    with (
        Sandbox(order_count=0, api_key=key) as sandbox,
        client_of(sandbox, retry_policy=ONCE) as client,
    ):
        sandbox.respond_always(Stub.json(200, shape(key)))
        with pytest.raises(errors.UnexpectedResponseError) as caught:
            READS[call](client)

    for shown in (str(caught.value), repr(caught.value)):
        assert key not in shown
        assert repr(key)[1:-1] not in shown  # as it reads within a list or a dictionary


@pytest.mark.parametrize(
    "answer",
    [
        Stub(fault="reset-before"),
        Stub(fault="timeout-before"),
        Stub(200, {"Content-Length": "99"}, KEY.encode()),
    ],
)
def test_the_traceback_of_a_transport_error_does_not_show_the_key(answer: Stub) -> None:
    with (
        Sandbox(order_count=0, api_key=KEY) as sandbox,
        client_of(sandbox, retry_policy=ONCE, timeout=0.3) as client,
    ):
        sandbox.respond_always(answer)
        error = error_of_cancel(client)

    assert isinstance(error, errors.TransportError)
    assert KEY not in "".join(traceback.format_exception(error))
    assert_keeps_the_key(error)


def test_the_key_is_not_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with (
        Sandbox(order_count=0, api_key=KEY) as sandbox,
        no_waiting(),
        client_of(sandbox) as client,
    ):
        sandbox.respond_always(Stub.json(503, {"message": KEY}))
        error_of_cancel(client)

    assert "Retrying in" in caplog.text  # the retries are there
    assert KEY not in caplog.text


# No connection, and no trust.


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Give a port that is taken, so that nobody else gets it, and that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_refused_connection_is_retried_and_loses_no_answer(closed_port: int) -> None:
    with (
        no_waiting(),
        OllangClient(KEY, base_url=f"http://127.0.0.1:{closed_port}") as client,
    ):
        error = error_of_cancel(client)

    assert type(error) is errors.ConnectionFailedError
    assert (error.attempts, error.response_lost) == (RetryPolicy().max_attempts, False)
    assert error.status is None
    assert error.order_id == SOME_ID
    # Words for a person: no object of urllib3's.
    assert error.message.startswith(f"no response from http://127.0.0.1:{closed_port}: Failed to")


# Connections.


def test_each_thread_keeps_one_connection() -> None:
    with (
        RawServer(NO_CONTENT) as server,
        OllangClient(KEY, base_url=f"http://127.0.0.1:{server.port}") as client,
    ):
        all_have_cancelled = threading.Barrier(3)

        def cancel_several() -> None:
            for number in range(5):
                client.cancel_order(f"o-{number}")
            all_have_cancelled.wait(timeout=10)

        threads = [threading.Thread(target=cancel_several) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert len(server.requests) == 15
    assert server.connections == 3
