"""Whatever happens with whatever key: nothing that anybody reads holds it, in any way of writing.

Airflow masks the keys that it knows in its logs; here nothing does.
"""

from __future__ import annotations

import html
import json
import logging
import pickle
import signal
import socket
import threading
import time
import traceback
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_ollang.api import errors
from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.api.models import OrderQuery
from airflow_provider_ollang.api.retry import RetryPolicy
from airflow_provider_ollang.cleanup.batch import Batch
from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators.ollang import (
    BatchCancelOrdersOperator,
    CancelOrderOperator,
    FindStaleOrdersOperator,
)
from airflow_provider_ollang.sandbox import Answer, Sandbox

KEYS = [
    *("k3y%2Fq7Z", "k3y'q7Z", 'k3y"q7Z', r"k3y\q7Z", r"k3y\nq7Z", "k3y&amp;<q7Z", "k3y{{x}}q7Z"),
    r"""%/'"\@:#?&=+$`{{k3y}}""",
    "q7Zk",
    "".join(f"{number:03}k" for number in range(50)),
]
VARIABLE = "AIRFLOW_CONN_OLLANG_DEFAULT"
ORDER = "/integration/orders/{}"


@pytest.fixture(params=KEYS, scope="module", ids=lambda key: f"{key:.12}")
def strict(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    """Give a sandbox that takes one of the keys."""
    with Sandbox(order_count=0, api_key=request.param) as sandbox:
        yield sandbox


@pytest.fixture
def home(strict: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return that sandbox, empty, with ``ollang_default`` leading there by a URI."""
    strict.reset()
    connect(monkeypatch, strict.url, strict.api_key)
    return strict


def connect(monkeypatch: pytest.MonkeyPatch, url: str, key: str) -> None:
    address = quote(url, safe="")
    uri = f"ollang://:{quote(key, safe='')}@{address}/?max_attempts=2&timeout=0.2"
    monkeypatch.setenv(VARIABLE, uri)


def ways_to_write(key: str) -> set[str]:
    """Return the key as it is and as it reads escaped, once or twice."""
    ways: list[Callable[[str], str]] = [
        str,
        html.escape,
        lambda text: quote(text, safe=""),
        lambda text: quote(text),
        lambda text: json.dumps(text)[1:-1],
        lambda text: repr(text)[1:-1],
        lambda text: repr('"' + text)[2:-1],
        lambda text: b64encode(text.encode()).decode().rstrip("="),
        lambda text: b64encode(f":{text}".encode()).decode().rstrip("="),
        lambda text: "".join(c if c.isalnum() or c in " -.,…" else f"&#{ord(c)};" for c in text),
    ]
    return {way(once) for once in {way(key) for way in ways} for way in ways}


def assert_silent(text: str | bytes, key: str) -> None:
    text = text.decode() if isinstance(text, bytes) else text
    shown = sorted(way for way in ways_to_write(key) if way in text)
    assert not shown, text


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and whatever hangs on it."""
    todo: list[Any] = [error]
    seen: list[BaseException] = []
    while todo:
        current = todo.pop()
        if isinstance(current, BaseException) and current not in seen:
            seen.append(current)
            yield current
            todo += [current.__cause__, current.__context__, *vars(current).values()]
            todo += current.args


def locals_shown(error: BaseException) -> str:
    """Return what a tool shows of the frames below the tests, as some trackers of errors do."""
    text = ""
    for link in chain(error):
        shown = traceback.TracebackException.from_exception(link, capture_locals=True)
        frames = (frame for frame in shown.stack if "/tests/" not in frame.filename)
        text += "".join(str(frame.locals) for frame in frames)
    return text


def assert_keeps(error: BaseException, key: str) -> None:
    """Check all that can be read of an error: texts, fields, causes, tracebacks, its pickle."""
    for link in chain(error):
        assert_silent(f"{link} {link!r} {vars(link)}", key)
        for held in (getattr(link, "request", None), getattr(link, "response", None)):
            assert_silent(" ".join(held.headers.values() if held else ()), key)
    assert_silent("".join(traceback.format_exception(error)), key)
    assert_silent(pickle.dumps(error, protocol=0).decode("latin-1"), key)


def page(key: str) -> bytes:
    return f"<p title='{html.escape(key)}'>{key} {quote(key)} {json.dumps(key)}</p>".encode()


def echo(status: int, key: str, code: str | None = None) -> Answer:
    """Return an answer of the documented form that tells the key in each of its fields."""
    body = {"message": [f"no {key}", {key: key}], "error": key, "code": code, key: key}
    return Answer.json(status, body, {"X-Key": key, "Set-Cookie": f"k={quote(key)}"})


#: By the error's class: what provokes it.
ANSWERS: dict[str, Callable[[str], Answer]] = {
    "BadRequestError": lambda key: echo(400, key),
    "UnauthorizedError": lambda key: echo(401, key, "UNAUTHORIZED"),
    "AccessDeniedError": lambda key: echo(403, key, "ACCESS_DENIED"),
    "OrderNotFoundError": lambda key: echo(404, key, "ORDER_NOT_FOUND"),
    "OrderNotCancellableError": lambda key: echo(400, key, "ORDER_NOT_CANCELLABLE"),
    "OrderAlreadyCancelledError": lambda key: echo(409, key, "ORDER_ALREADY_CANCELLED"),
    "ApiError": lambda key: echo(422, key, key),
    "RateLimitedError": lambda key: Answer.json(429, {"message": key}, {"Retry-After": "900"}),
    "ServerError": lambda key: Answer(502, {"Content-Type": f"text/html;{key}"}, page(key)),
    "UnexpectedAnswerError": lambda key: Answer(403, {"Content-Type": key}, page(key)),
    "UnexpectedAnswerError, JSON": lambda key: Answer.json(200, {key: [key, json.dumps(key)]}),
    "UnexpectedAnswerError, Go's JSON": lambda key: Answer(
        200, {}, json.dumps(key).replace("&", r"\u0026").replace("<", r"\u003c").encode()
    ),
    "UnexpectedAnswerError, redirect": lambda key: Answer(
        303, {"Location": f"http://elsewhere.invalid/{quote(key)}?k={key}"}
    ),
    "ConnectionFailedError": lambda key: Answer(fault="reset-after"),
    "ConnectionFailedError, cut off": lambda key: Answer(
        200, {"Content-Length": "999"}, key.encode()
    ),
    "TimedOutError": lambda key: Answer(fault="timeout-before"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_no_answer_brings_the_key_into_an_error_or_a_log(
    home: Sandbox, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    caplog.set_level(logging.DEBUG)
    home.answer_always(ANSWERS[kind](home.api_key))
    with OllangHook().get_conn() as client, pytest.raises(errors.OllangError) as caught:
        client.cancel_order("abc")

    assert type(caught.value).__name__ == kind.partition(",")[0]
    assert_keeps(caught.value, home.api_key)
    assert_silent(locals_shown(caught.value), home.api_key)
    assert_silent(caplog.text, home.api_key)


def serve_once(answer: bytes, *, hold: float = 0) -> int:
    """Answer one request with these bytes, and hang up after so many seconds; return the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener, listener.accept()[0] as connection:
            connection.recv(65536)
            connection.sendall(answer)
            time.sleep(hold)

    threading.Thread(target=serve, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize(
    "fields",
    [
        {"host": "http://ollang.example"},
        {"host": "nowhere:x"},
        {"port": 443},
        {"schema": "ftp"},
        {"extra": {"timeout": -1}},
        {"extra": {"verify": "/nowhere"}},
        {"conn_type": "http"},
        {"password": "{key}\N{EURO SIGN}"},
        {"password": " {key}"},
    ],
    ids=str,
)
@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key:.12}")
def test_no_frame_of_a_refused_connection_shows_the_key(
    monkeypatch: pytest.MonkeyPatch, key: str, fields: dict[str, Any]
) -> None:
    fields = {"conn_type": "ollang", "password": "{key}", **fields}
    fields["password"] = fields["password"].replace("{key}", key)
    monkeypatch.setenv(VARIABLE, json.dumps(fields))
    with pytest.raises(errors.InvalidInputError) as caught:
        OllangHook().get_conn()
    assert_keeps(caught.value, key)
    assert_silent(locals_shown(caught.value), key)


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("", {"base_url": "nowhere"}),
        ("", {"verify": "/nowhere"}),
        ("", {"verify": 1}),
        (" ", {}),
        ("\N{EURO SIGN}", {}),
    ],
)
@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key:.12}")
def test_no_frame_of_a_refused_client_shows_the_key(
    key: str, suffix: str, options: dict[str, Any]
) -> None:
    with pytest.raises(errors.InvalidInputError) as caught:
        OllangClient(key + suffix, **options)
    assert_keeps(caught.value, key)
    assert_silent(locals_shown(caught.value), key)


NO_HTTP = [
    "{} is no status line\r\n\r\n",
    "HTTP/1.1 {} OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Echo: {}\r\n\r\nzz\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfff\r\n{}",
    "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    # Python's parser of headers fails at these, each with an exception of another kind.
    "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Type: multipart/x; boundary*=a; boundary*1=b\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Type: multipart/x; boundary*=undefined''x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Type: multipart/x; boundary*=a\0b''x\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: {}\r\n" + "Content-Type: message/rfc822\r\r" * 1900 + "\n\r\n",
]


@pytest.mark.parametrize("answer", NO_HTTP)
@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key:.12}")
def test_what_is_no_http_brings_the_key_into_no_cause(answer: str, key: str) -> None:
    port = serve_once(answer.format(key).encode())
    once = RetryPolicy(max_attempts=1)
    with (
        OllangClient(key, base_url=f"http://127.0.0.1:{port}", retry_policy=once) as client,
        pytest.raises(errors.OllangError) as caught,
    ):
        client.cancel_order("abc")
    assert_keeps(caught.value, key)
    assert_silent(locals_shown(caught.value), key)


PLAIN = {
    "refused": Answer.json(403, {"code": "ACCESS_DENIED"}),
    "in trouble": Answer(fault="503"),
    "reset": Answer(fault="reset-before"),
    "timed out": Answer(fault="timeout-before"),
}


@pytest.mark.parametrize("trouble", PLAIN)
def test_the_locals_of_no_frame_show_the_key(home: Sandbox, run: Any, trouble: str) -> None:
    home.answer_always(PLAIN[trouble])
    with pytest.raises(AirflowException) as caught:
        run.execute(CancelOrderOperator(task_id="cancel", order_id="abc"))
    assert "client" in locals_shown(caught.value)
    assert_silent(locals_shown(caught.value), home.api_key)


@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key:.12}")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_without_a_connection_nothing_shows_the_key(
    monkeypatch: pytest.MonkeyPatch, key: str, scheme: str
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        connect(monkeypatch, f"{scheme}://127.0.0.1:{closed.getsockname()[1]}", key)
        with OllangHook().get_conn() as client, pytest.raises(errors.TransportError) as caught:
            client.list_orders()
    assert_keeps(caught.value, key)
    assert_silent(locals_shown(caught.value), key)


class Interrupted(Exception):
    """What a signal raises in the midst of a call, as Airflow's time-out of a task does."""


def interrupt(*_: object) -> None:
    raise Interrupted


@pytest.fixture
def interrupted_soon() -> Iterator[None]:
    """Raise :class:`Interrupted` in the test, half a second after it has begun."""
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


#: What comes before no more does.
BEGUN = {
    "nothing": "",
    "headers": "HTTP/1.1 200 OK\r\nX-Echo: {0}\r\nX: y\r\n",
    "a body": "HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{0}",
    "a body in chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{0}\r\n99\r\nab",
}


@pytest.mark.usefixtures("interrupted_soon")
@pytest.mark.parametrize("begun", BEGUN)
def test_a_signal_in_the_midst_of_an_answer_shows_no_key(begun: str) -> None:
    key = "k3y%2Fq7Z"
    port = serve_once(BEGUN[begun].format(key).encode(), hold=5)
    with (
        OllangClient(key, base_url=f"http://127.0.0.1:{port}") as client,
        pytest.raises(Interrupted) as caught,
    ):
        client.get_order("abc")
    assert_keeps(caught.value, key)
    assert_silent(locals_shown(caught.value), key)


@pytest.mark.usefixtures("interrupted_soon")
def test_a_signal_while_a_request_goes_out_shows_no_key() -> None:
    """Nobody takes the request, which is too long for the system to hold."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        OllangClient(KEYS[0], base_url=f"http://127.0.0.1:{listener.getsockname()[1]}") as client,
        pytest.raises(Interrupted) as caught,
    ):
        client.list_orders(OrderQuery(project_id="x" * 8_000_000))
    assert_silent(locals_shown(caught.value), KEYS[0])


def test_tls_to_a_plain_port_shows_no_key(home: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, home.url.replace("http:", "https:"), home.api_key)
    with OllangHook().get_conn() as client, pytest.raises(errors.TransportError) as caught:
        client.list_orders()
    assert_keeps(caught.value, home.api_key)
    assert_silent(locals_shown(caught.value), home.api_key)


def cancel(**options: Any) -> CancelOrderOperator:
    return CancelOrderOperator(task_id="cancel", order_id="echo", **options)


def batch(path: Path, **options: Any) -> BatchCancelOrdersOperator:
    ids, report = ["a", "echo", "state"], f"{path}/record.jsonl"
    return BatchCancelOrdersOperator(task_id="b", order_ids=ids, report_path=report, **options)


def find(**options: Any) -> FindStaleOrdersOperator:
    return FindStaleOrdersOperator(task_id="find", older_than="P7D", **options)


OPERATORS: dict[str, Callable[[Path], Any]] = {
    "cancel": lambda path: cancel(),
    "cancel after a read": lambda path: cancel(require_status=["ongoing"]),
    "find": lambda path: find(name_matches=".", max_share=1),
    "tripped find": lambda path: find(max_orders=0),
    "batch": lambda path: batch(path),
    "preview": lambda path: batch(path, preview=True),
    "batch after a read": lambda path: batch(path, require_status=["pending"]),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_no_operator_logs_pushes_records_or_holds_the_key_in_sight(
    home: Sandbox,
    run: Any,
    logged: Callable[[], str],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    name: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    key, old = home.api_key, {"age": timedelta(days=9)}
    home.orders.add(id="a", name=f"by {key}", type=key, projectId=key, clientId=key, **old)
    home.orders.add(id="state", name="plain", status=key, **old)
    home.orders.add(id="undated", name=key, createdAt=key)
    home.orders.add(id="echo", name="plain", type=key, status="pending", **old)
    home.answer_always(echo(400, key, "ORDER_NOT_CANCELLABLE"), path=ORDER.format("cancel/echo"))
    operator = OPERATORS[name](tmp_path)
    try:
        result = run.execute(operator)
    except AirflowException as error:
        result = str(error)
        assert_keeps(error, key)

    assert home.requests
    assert_silent(logged(), key)
    assert_silent(json.dumps([result, run.xcoms]), key)
    assert_silent(f"{operator!r} {operator} {vars(operator)}", key)
    for record in tmp_path.iterdir():
        assert_silent(record.read_bytes(), key)


def test_no_public_object_shows_the_key(home: Sandbox) -> None:
    key, hook = home.api_key, OllangHook()
    [order_id, named] = [home.orders.add(name=name)["id"] for name in ("plain", key)]
    with hook.get_conn() as client:
        objects = [hook, client, client.pace, client.retry_policy, client.get_order(named)]
        objects += [client.list_orders(), client.check_health(), client._session()]
        objects += [client._session().auth, Batch(client, [order_id]), Batch(client, []).run()]
        objects += [client.cancel_order(order_id)]
    for shown in objects:
        fields = getattr(shown, "__dict__", None)
        slots = [getattr(shown, name) for name in getattr(type(shown), "__slots__", ())]
        assert_silent(f"{shown} {shown!r} {fields} {slots}", key)


def test_the_search_finds_a_key_that_is_there() -> None:
    for key in KEYS:
        for text in (key, repr([key]), json.dumps({key: 1}), page(key).decode(), quote(key)):
            with pytest.raises(AssertionError):
                assert_silent(text, key)
        told = errors.OllangError("…", code=key)
        with pytest.raises(AssertionError):
            assert_keeps(told, key)
