"""What a client puts on the wire, keeps to itself, and makes of a connection."""

from __future__ import annotations

import threading
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest

from airflow_provider_ollang import __version__
from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.creation import OrderRequest
from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.api.retry import RetryPolicy
from airflow_provider_ollang.sandbox import Sandbox, Stub

from .conftest import ONCE, SOME_ID, RawServer, client_of, error_of_cancel

NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
DOCUMENT = {"project_id": "p", "order_type": "document", "target_languages": []}
KEY = r"k3y-'with\"all~of-it"


def test_a_cancel_is_a_post_without_a_body_that_names_key_and_sender():
    with (
        RawServer(NO_CONTENT) as server,
        OllangClient(KEY, base_url=f"http://127.0.0.1:{server.port}/ollang/") as client,
    ):
        client.cancel_order(SOME_ID)

    lines = server.requests[0].decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    assert lines[0] == f"POST /ollang/integration/orders/cancel/{SOME_ID} HTTP/1.1"
    assert headers["x-api-key"] == KEY
    assert headers["user-agent"] == f"airflow-provider-ollang/{__version__}"
    assert headers.get("content-length", "0") == "0"
    assert "authorization" not in headers


@pytest.mark.parametrize(("key", "base_url"), [("a key", "https://a.example"), ("key", "nowhere")])
def test_an_invalid_key_or_base_url_makes_no_client(key, base_url):
    with pytest.raises(errors.InvalidInputError):
        OllangClient(key, base_url=base_url)


# The key is kept secret.


def assert_keeps_the_key(error: BaseException) -> None:
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    if held := getattr(error.__context__, "request", None):  # what a debugger shows of it
        shown += repr(vars(held))
    assert KEY not in shown
    assert repr(KEY)[1:-1] not in shown  # as it reads within a list or a dictionary


@pytest.mark.parametrize(
    "read", [lambda client: client.get_order(SOME_ID), lambda client: client.list_orders()]
)
def test_a_key_that_the_response_to_a_read_echoes_is_not_shown(read):
    with (
        Sandbox(order_count=0, api_key=KEY) as sandbox,
        client_of(sandbox, retry_policy=ONCE) as client,
    ):
        sandbox.respond_always(Stub.json(200, {"meta": {KEY: [KEY]}}))
        with pytest.raises(errors.UnexpectedResponseError) as caught:
            read(client)
    assert_keeps_the_key(caught.value)


@pytest.mark.parametrize(
    "trouble",
    [
        Stub(fault="reset-before"),
        Stub(fault="timeout-before"),
        Stub(200, {"Content-Length": "99"}, KEY.encode()),
    ],
)
def test_the_traceback_of_a_transport_error_does_not_show_the_key(trouble):
    with (
        Sandbox(order_count=0, api_key=KEY) as sandbox,
        client_of(sandbox, retry_policy=ONCE, timeout=0.3) as client,
    ):
        sandbox.respond_always(trouble)
        error = error_of_cancel(client)
    assert isinstance(error, errors.TransportError)
    assert_keeps_the_key(error)


# Connections.


@pytest.mark.parametrize(
    ("call", "order_id"),
    [
        (lambda client: client.cancel_order(SOME_ID), SOME_ID),
        (lambda client: client.create_order(OrderRequest(**DOCUMENT)), None),
    ],
)
def test_a_refused_connection_is_retried_and_loses_no_response(closed_port, call, order_id):
    with (
        no_waiting(),
        OllangClient(KEY, base_url=f"http://127.0.0.1:{closed_port}") as client,
        pytest.raises(errors.ConnectionFailedError) as caught,
    ):
        call(client)
    error = caught.value
    assert (error.attempts, error.response_lost) == (RetryPolicy().max_attempts, False)
    assert (error.status, error.order_id) == (None, order_id)
    # Words for a person: no object of urllib3's.
    assert error.message.startswith(f"no response from http://127.0.0.1:{closed_port}: Failed to")


@pytest.mark.parametrize("headers", [b"", b"Content-Length: 0\r\n"])
def test_each_thread_keeps_one_connection(headers):
    response = b"HTTP/1.1 204 No Content\r\n" + headers + b"\r\n"
    all_have_cancelled = threading.Barrier(3)

    def cancel_several(_: int) -> None:
        for number in range(5):
            client.cancel_order(f"o-{number}")
        all_have_cancelled.wait(timeout=10)

    with RawServer(response) as server, server.client() as client, ThreadPoolExecutor(3) as pool:
        list(pool.map(cancel_several, range(3)))

    assert (len(server.requests), server.connections) == (15, 3)
