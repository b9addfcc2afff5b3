"""Whom the client trusts, and by which way it gets there: real TLS, and a real proxy."""

from __future__ import annotations

import base64
import socket
import ssl
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import certifi
import pytest
import requests
import trustme
from urllib3.exceptions import InsecureRequestWarning

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api._transport import error_from_exception
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.api.retry import RetryPolicy
from airflow_provider_ollang.sandbox import Sandbox

from ..relays import ConnectProxy, TlsRelay
from .conftest import RawServer, error_of_cancel

HOST = "api.ollang.test"  # a name that nobody but the proxy can find
NAMELESS = "0.0.0.0"  # noqa: S104 - leads to this machine, and is none of its own names
KEY = "the-key-that-nobody-may-read"
OTHER_BUNDLE = certifi.where()  # it does not know the private CA


@pytest.fixture(autouse=True)
def _without_waiting_in_a_plain_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with no_waiting():
        yield


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("authority") / "bundle.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(order_count=0, api_key=KEY) as running:
        yield running


@pytest.fixture
def server(sandbox: Sandbox, authority: trustme.CA) -> Iterator[TlsRelay]:
    """Give the sandbox behind TLS, with a certificate of the private CA."""
    with TlsRelay(sandbox.url, authority.issue_cert("127.0.0.1", NAMELESS, HOST)) as relay:
        yield relay


@pytest.fixture
def proxy(server: TlsRelay, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectProxy]:
    """Give the proxy that the environment names; it knows the way to the server."""
    ports = {f"{HOST}:443": server.port, f"{NAMELESS}:{server.port}": server.port}
    with ConnectProxy(ports) as running:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{running.port}")
        yield running


def client_of(server: TlsRelay, **options: Any) -> OllangClient:
    return OllangClient(KEY, base_url=f"https://127.0.0.1:{server.port}", **options)


def behind_proxy(**options: Any) -> OllangClient:
    return OllangClient(KEY, base_url=f"https://{HOST}", **options)


def cancel(client: OllangClient, sandbox: Sandbox) -> None:
    """Cancel an order, and see that it is cancelled."""
    order_id = sandbox.orders.add(status="pending")["id"]
    with client:
        client.cancel_order(order_id)
    assert sandbox.orders.get(order_id)["status"] == "cancelled"


def assert_refused(client: OllangClient, server: TlsRelay, sandbox: Sandbox) -> str:
    """See that the client gives up at the certificate, without a retry; return what it says."""
    with client:
        error = error_of_cancel(client)
    assert type(error) is errors.CertificateError
    assert "certificate" in str(error)
    assert (error.attempts, error.response_lost) == (1, False)
    assert server.connections == 1
    assert sandbox.requests == []
    return str(error)


# Whom the client trusts.


def test_a_private_authority_is_trusted_by_its_bundle(server, sandbox, bundle):
    cancel(client_of(server, verify=bundle), sandbox)
    assert server.connections == 1


def test_without_its_bundle_it_is_not_trusted(server, sandbox):
    assert "set verify" in assert_refused(client_of(server), server, sandbox)


def test_a_certificate_of_another_address_is_refused(sandbox, authority, bundle):
    with TlsRelay(sandbox.url, authority.issue_cert("127.0.0.2")) as server:
        assert_refused(client_of(server, verify=bundle), server, sandbox)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("certificate has expired", "correct this machine's clock"),
        ("Missing Authority Key Identifier", "server's certificate reissued with the extension"),
        ("Missing Subject Key Identifier", "CA's certificate reissued with the extensions"),
        ("CA cert does not include key usage extension", "and keyUsage (keyCertSign)"),
        ("invalid CA certificate", "basicConstraints (CA:TRUE)"),
        ("Basic Constraints of CA cert not marked critical", "as critical ones basicConstraints"),
    ],
)
def test_what_a_certificate_lacks_is_named(said, hint):
    """Python 3.13 and newer are stricter about certificates; the words are OpenSSL's."""
    cause = ssl.SSLCertVerificationError(1, f"certificate verify failed: {said} (_ssl.c:1006)")
    error = error_from_exception(
        requests.exceptions.SSLError(cause), base_url="x", order_id=None, secret=KEY
    )
    assert type(error) is errors.CertificateError
    assert hint in str(error)
    assert "set verify" not in str(error)


# The environment's bundle is for whoever says nothing else.


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environments_bundle_is_used_where_none_is_named(
    server, sandbox, bundle, monkeypatch, variable
):
    monkeypatch.setenv(variable, bundle)
    cancel(client_of(server), sandbox)


def test_the_environments_bundle_neither_replaces_nor_widens_ones_own(
    server, sandbox, bundle, monkeypatch
):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    assert_refused(client_of(server, verify=OTHER_BUNDLE), server, sandbox)


def test_verify_false_wins_over_the_environments_bundle_and_warns(server, sandbox, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", OTHER_BUNDLE)
    with pytest.warns(InsecureRequestWarning):
        cancel(client_of(server, verify=False), sandbox)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bundle_of_the_environment_that_cannot_be_read_lets_nothing_out(
    tmp_path, monkeypatch, content
):
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with pytest.raises(errors.InvalidInputError, match=rf"^the environment's CA bundle.*{path}"):
        OllangClient(KEY)


# By way of a proxy.


def test_a_proxy_carries_requests_that_it_cannot_read(proxy, sandbox, bundle):
    cancel(behind_proxy(verify=bundle), sandbox)
    [request] = sandbox.requests
    assert request.key_accepted
    assert proxy.asked_for == [f"CONNECT {HOST}:443"]
    assert len(proxy.seen) > 1000  # the handshake and the rest are among it
    for secret in (KEY, "X-Api-Key", "integration/orders", request.order_id):
        assert secret.encode().lower() not in proxy.seen.lower()


def test_a_proxy_that_shows_a_certificate_of_its_own_is_refused(proxy, server, sandbox):
    assert_refused(behind_proxy(verify=OTHER_BUNDLE), server, sandbox)
    assert proxy.connections == 1
    assert KEY.encode() not in proxy.seen


@pytest.mark.parametrize(
    ("host", "no_proxy", "by_proxy"),
    [
        ("127.0.0.1", "", 0),  # this machine
        (NAMELESS, f"{NAMELESS}/8", 0),
        (NAMELESS, "*", 0),
        (NAMELESS, "elsewhere.test", 1),
        (NAMELESS, "", 1),
    ],
)
def test_what_is_here_or_no_proxy_names_takes_none(
    proxy, server, sandbox, bundle, monkeypatch, host, no_proxy, by_proxy
):
    monkeypatch.setenv("NO_PROXY", no_proxy)
    url = f"https://{host}:{server.port}"
    cancel(OllangClient(KEY, base_url=url, verify=bundle), sandbox)
    assert proxy.connections == by_proxy


# What a proxy's trouble means, and what it does not show.

LOGIN = "proxy-user:proxy-s3cret"


def assert_keeps_the_login(error: BaseException, log: str) -> None:
    encoded = base64.b64encode(LOGIN.encode()).decode()
    shown = str(error) + repr(error) + "".join(traceback.format_exception(error)) + log
    assert [part for part in (*LOGIN.split(":"), encoded) if part in shown] == []


def test_a_proxy_that_rejects_the_login_lets_nothing_out(monkeypatch, caplog):
    with RawServer(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n") as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{LOGIN}@127.0.0.1:{proxy.port}")
        error = error_of_cancel(behind_proxy())

    assert type(error) is errors.ConnectionFailedError
    assert "407" in str(error)
    assert not error.response_lost
    assert proxy.connections == RetryPolicy().max_attempts
    for request in proxy.requests:
        assert request.startswith(f"CONNECT {HOST}:443 HTTP/1.".encode())
    assert b"Proxy-Authorization: Basic" in proxy.requests[0]
    assert_keeps_the_login(error, caplog.text)


def test_a_proxy_that_is_not_there_loses_no_response(monkeypatch, caplog):
    with ConnectProxy({}) as gone:
        port = gone.port
    monkeypatch.setenv("HTTPS_PROXY", f"http://{LOGIN}@127.0.0.1:{port}")

    with behind_proxy() as client:
        error = error_of_cancel(client)

    assert type(error) is errors.ConnectionFailedError
    assert "through the environment's proxy: Failed to establish" in str(error)
    assert (error.attempts, error.response_lost) == (RetryPolicy().max_attempts, False)
    assert_keeps_the_login(error, caplog.text)


def test_a_proxy_whose_certificate_cannot_be_trusted_is_not_tried_again(server, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{server.port}")
    with behind_proxy(verify=OTHER_BUNDLE) as client:
        error = error_of_cancel(client)
    assert type(error) is errors.CertificateError
    assert (server.connections, error.response_lost) == (1, False)


@pytest.mark.parametrize(
    "url",
    [
        "http://{}@",
        "http://{}%ff%E2%82%AC@127.0.0.1:1",
        "http://{}@127.0.0.1:99999",
        "http://{}@[::1",
        "gopher://{}@127.0.0.1:1",
        "http://{}%40127.0.0.1:x",
        "SOCKS5h://{}@127.0.0.1:1",
        "socks6://{}@127.0.0.1:1",
    ],
)
def test_an_unusable_proxy_is_an_error_without_its_login(monkeypatch, caplog, url):
    monkeypatch.setenv("ALL_PROXY", url.format(LOGIN))
    with pytest.raises(errors.InvalidInputError, match="HTTPS_PROXY or ALL_PROXY") as caught:
        behind_proxy()
    assert_keeps_the_login(caught.value, caplog.text)


def test_a_proxy_that_speaks_tls_itself_carries_a_tunnel_too(
    proxy, sandbox, authority, bundle, monkeypatch
):
    url = f"http://127.0.0.1:{proxy.port}"
    with TlsRelay(url, authority.issue_cert("127.0.0.1")) as outside:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{outside.port}")
        cancel(behind_proxy(verify=bundle), sandbox)
    assert outside.connections == 1
    assert proxy.asked_for == [f"CONNECT {HOST}:443"]
    assert KEY.encode() not in proxy.seen


def test_a_proxy_that_takes_no_connection_is_named_without_a_python_object(monkeypatch):
    with socket.socket() as listener, ExitStack() as queue:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(5):  # more than wait to be accepted
            waiting = queue.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listener.getsockname()[1]}")
        with behind_proxy(timeout=0.2, retry_policy=RetryPolicy(max_attempts=1)) as client:
            error = error_of_cancel(client)
    assert (type(error), error.response_lost) == (errors.TimedOutError, False)
    assert "proxy: Connection to" in str(error)
    assert " at 0x" not in str(error)


def test_a_proxy_for_other_addresses_may_be_unusable(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "gopher://127.0.0.1:1")
    behind_proxy()
