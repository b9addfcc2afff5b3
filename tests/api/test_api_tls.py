"""Whom the client trusts, and by which way it gets there: real TLS, and a real proxy."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from hypothesis import given
from hypothesis import strategies as st
from urllib3.exceptions import InsecureRequestWarning

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.rate_limiter import no_waiting
from airflow_provider_ollang.api.retry import RetryPolicy
from airflow_provider_ollang.api.session import check_proxies
from airflow_provider_ollang.api.transport import error_from_exception
from airflow_provider_ollang.sandbox import Sandbox

from ..relays import ConnectProxy, TlsRelay
from . import certificates
from .conftest import RawServer, error_of_cancel

HOST = "api.ollang.test"  # a name that nobody but the proxy can find
NAMELESS = "0.0.0.0"  # noqa: S104 - leads to this machine, and is none of its own names
KEY = "the-key-that-nobody-may-read"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"


@pytest.fixture(autouse=True)
def _without_waiting() -> Iterator[None]:
    with no_waiting():
        yield


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def stranger() -> trustme.CA:
    """Give an authority that nobody here trusts."""
    return trustme.CA()


@pytest.fixture(scope="module")
def bundle(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(authority, tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def other_bundle(stranger: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(stranger, tmp_path_factory.mktemp("stranger"))


def written(authority: trustme.CA, folder: Path) -> str:
    path = folder / "bundle.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(order_count=0, api_key=KEY) as running:
        yield running


@pytest.fixture
def server(sandbox: Sandbox, authority: trustme.CA) -> Iterator[TlsRelay]:
    """Give the sandbox behind TLS, with a certificate of the private authority."""
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


def test_a_private_authority_is_trusted_by_its_bundle(
    server: TlsRelay, sandbox: Sandbox, bundle: str
) -> None:
    cancel(client_of(server, verify=bundle), sandbox)
    assert server.connections == 1


def test_without_its_bundle_it_is_not_trusted(server: TlsRelay, sandbox: Sandbox) -> None:
    assert "set verify" in assert_refused(client_of(server), server, sandbox)


BAD_CERTIFICATES: dict[str, Callable[[trustme.CA], trustme.LeafCert]] = {
    "another address's": lambda authority: authority.issue_cert("127.0.0.2"),
    "expired": lambda authority: authority.issue_cert(
        "127.0.0.1", not_after=datetime.now(UTC) - timedelta(days=1)
    ),
}


@pytest.mark.parametrize("kind", BAD_CERTIFICATES)
def test_a_certificate_that_does_not_fit_is_refused(
    sandbox: Sandbox, authority: trustme.CA, bundle: str, kind: str
) -> None:
    with TlsRelay(sandbox.url, BAD_CERTIFICATES[kind](authority)) as server:
        assert_refused(client_of(server, verify=bundle), server, sandbox)


# Python 3.13 and newer are stricter about certificates: set here for every Python.


@pytest.mark.parametrize(
    ("without", "hint"),
    [
        ("authorityKeyIdentifier", "the server's certificate reissued with the extension {}"),
        ("subjectKeyIdentifier", "the CA's certificate reissued with the extension {}"),
        ("keyUsage", "the CA's certificate reissued with the extension {}"),
        ("basicConstraints", "the CA's certificate reissued with the extensions {}"),
        ("critical", "the CA's certificate reissued with the extension basicConstraints ({}"),
    ],
)
def test_what_a_certificate_lacks_is_named(
    sandbox: Sandbox, tmp_path: Path, without: str, hint: str
) -> None:
    certificate = certificates.issue(tmp_path, without=without)
    context = ssl.create_default_context(cafile=certificate.bundle)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        TlsRelay(sandbox.url, certificate) as server,
        socket.create_connection(("127.0.0.1", server.port)) as connection,
        pytest.raises(ssl.SSLCertVerificationError) as caught,
    ):
        context.wrap_socket(connection, server_hostname="127.0.0.1")

    error = error_from_exception(
        requests.exceptions.SSLError(caught.value), base_url="x", order_id=None, secret=KEY
    )

    assert type(error) is errors.CertificateError
    assert hint.format(without) in str(error)
    assert "set verify" not in str(error)


@pytest.mark.skipif(sys.version_info < (3, 13), reason="Python is less strict before 3.13")
def test_python_demands_what_a_certificate_lacks(sandbox: Sandbox, tmp_path: Path) -> None:
    certificate = certificates.issue(tmp_path, without="authorityKeyIdentifier")
    with (
        TlsRelay(sandbox.url, certificate) as server,
        client_of(server, verify=str(certificate.bundle)) as client,
    ):
        error = error_of_cancel(client)
    assert "the server's certificate reissued" in str(error)


# The environment's bundle is for whoever says nothing else.


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environments_bundle_is_used_where_none_is_named(
    server: TlsRelay, sandbox: Sandbox, bundle: str, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, bundle)
    cancel(client_of(server), sandbox)


def test_the_environments_bundle_neither_replaces_nor_widens_ones_own(
    server: TlsRelay,
    sandbox: Sandbox,
    bundle: str,
    other_bundle: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundle)
    assert_refused(client_of(server, verify=other_bundle), server, sandbox)


def test_verify_false_wins_over_the_environments_bundle_and_warns(
    server: TlsRelay, sandbox: Sandbox, other_bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", other_bundle)
    with pytest.warns(InsecureRequestWarning):
        cancel(client_of(server, verify=False), sandbox)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_bundle_of_the_environment_that_cannot_be_read_lets_nothing_out(
    sandbox: Sandbox,
    server: TlsRelay,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    content: str | None,
) -> None:
    path = tmp_path / "bundle.pem"
    if content is not None:
        path.write_text(content)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))

    with client_of(server) as client:
        error = error_of_cancel(client)

    assert type(error) is errors.CertificateError
    assert (error.attempts, error.response_lost) == (1, False)
    assert sandbox.requests == []


# By way of a proxy.


def test_a_proxy_carries_requests_that_it_cannot_read(
    proxy: ConnectProxy, sandbox: Sandbox, bundle: str
) -> None:
    cancel(behind_proxy(verify=bundle), sandbox)

    [request] = sandbox.requests
    assert request.key_accepted
    assert proxy.asked_for == [f"CONNECT {HOST}:443"]
    assert len(proxy.seen) > 1000  # the handshake and the rest are among it
    for secret in (KEY, "X-Api-Key", "integration/orders", request.order_id):
        assert secret.encode().lower() not in proxy.seen.lower()


@pytest.mark.parametrize("variable", ["https_proxy", "ALL_PROXY"])
def test_a_proxy_is_found_under_each_of_its_names(
    proxy: ConnectProxy,
    sandbox: Sandbox,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    monkeypatch.delenv("HTTPS_PROXY")
    monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
    cancel(behind_proxy(verify=bundle), sandbox)
    assert proxy.connections == 1


def test_a_proxy_for_http_gets_what_is_not_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(NO_CONTENT) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        OllangClient(KEY, base_url=f"http://{HOST}", allow_http=True).cancel_order("o-1")
    [request] = proxy.requests
    assert request.startswith(f"POST http://{HOST}/integration/orders/cancel/o-1 ".encode())


def test_a_proxy_that_shows_a_certificate_of_its_own_is_refused(
    proxy: ConnectProxy, server: TlsRelay, sandbox: Sandbox, other_bundle: str
) -> None:
    assert_refused(behind_proxy(verify=other_bundle), server, sandbox)
    assert proxy.connections == 1
    assert KEY.encode() not in proxy.seen


def test_a_request_to_this_machine_takes_no_proxy(
    proxy: ConnectProxy, server: TlsRelay, sandbox: Sandbox, bundle: str
) -> None:
    cancel(client_of(server, verify=bundle), sandbox)
    assert proxy.connections == 0


@pytest.mark.parametrize(
    ("no_proxy", "by_proxy"),
    [(f"{NAMELESS}/8", 0), ("*", 0), ("elsewhere.test", 1), ("", 1)],
)
def test_no_proxy_names_what_takes_none(
    proxy: ConnectProxy,
    server: TlsRelay,
    sandbox: Sandbox,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    no_proxy: str,
    by_proxy: int,
) -> None:
    url = f"https://{NAMELESS}:{server.port}"
    monkeypatch.setenv("NO_PROXY", no_proxy)
    cancel(OllangClient(KEY, base_url=url, verify=bundle), sandbox)
    assert proxy.connections == by_proxy


# What a proxy's trouble means, and what it does not show.

LOGIN = "proxy-user:proxy-s3cret"


def assert_keeps_the_login(error: BaseException, log: str) -> None:
    encoded = base64.b64encode(LOGIN.encode()).decode()
    shown = str(error) + repr(error) + "".join(traceback.format_exception(error)) + log
    assert [part for part in (*LOGIN.split(":"), encoded) if part in shown] == []


def test_a_proxy_that_rejects_the_login_lets_nothing_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
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


def test_a_proxy_that_is_not_there_loses_no_response(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with ConnectProxy({}) as gone:
        port = gone.port
    monkeypatch.setenv("HTTPS_PROXY", f"http://{LOGIN}@127.0.0.1:{port}")

    with behind_proxy() as client:
        error = error_of_cancel(client)

    assert type(error) is errors.ConnectionFailedError
    assert "by way of the environment's proxy: Failed to establish" in str(error)
    assert (error.attempts, error.response_lost) == (RetryPolicy().max_attempts, False)
    assert_keeps_the_login(error, caplog.text)


def test_a_proxy_whose_certificate_cannot_be_trusted_is_not_tried_again(
    server: TlsRelay, monkeypatch: pytest.MonkeyPatch, other_bundle: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{server.port}")

    with behind_proxy(verify=other_bundle) as client:
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
def test_an_unusable_proxy_is_an_error_without_its_login(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", url.format(LOGIN))

    with pytest.raises(errors.InvalidInputError, match=r"^ALL_PROXY \(or all_proxy\)") as caught:
        behind_proxy()

    assert_keeps_the_login(caught.value, caplog.text)


def test_a_proxy_that_speaks_tls_itself_carries_a_tunnel_too(
    proxy: ConnectProxy,
    sandbox: Sandbox,
    authority: trustme.CA,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"http://127.0.0.1:{proxy.port}"
    with TlsRelay(url, authority.issue_cert("127.0.0.1")) as outside:
        monkeypatch.setenv("HTTPS_PROXY", f"https://127.0.0.1:{outside.port}")
        cancel(behind_proxy(verify=bundle), sandbox)

    assert outside.connections == 1
    assert proxy.asked_for == [f"CONNECT {HOST}:443"]
    assert KEY.encode() not in proxy.seen


@given(
    st.text()
    | st.builds(
        "{}{}".format,
        st.sampled_from(["http://", "https://", "socks5://", "://", "//", "HTTP:", ""]),
        st.text(alphabet="abz019.:/@?#[]\\% \n", max_size=20),
    )
)
def test_any_proxy_is_usable_or_an_error(url: str) -> None:
    try:
        found = check_proxies({"https": url}, f"https://{HOST}")
    except errors.InvalidInputError:
        return
    assert found == {"https": url}


def test_an_environment_that_is_not_text_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "NO_PROXY", os.fsdecode(b"\xff/8"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    with pytest.raises(errors.InvalidInputError, match="NO_PROXY"):
        OllangClient(KEY, base_url="https://10.0.0.1")


def test_a_proxy_that_takes_no_connection_is_named_without_a_python_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
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


def test_a_proxy_for_other_addresses_may_be_unusable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "gopher://127.0.0.1:1")
    behind_proxy()
