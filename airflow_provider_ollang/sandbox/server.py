"""The sandbox as a server on a thread of its own."""

from __future__ import annotations

import asyncio
import socket
import threading
from types import TracebackType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_ollang.sandbox.answers import Answer, Script
from airflow_provider_ollang.sandbox.app import create_app
from airflow_provider_ollang.sandbox.dice import FaultDice, parse
from airflow_provider_ollang.sandbox.gate import Gate, RequestLog
from airflow_provider_ollang.sandbox.orders import Orders
from airflow_provider_ollang.sandbox.ratelimit import RateLimit
from airflow_provider_ollang.sandbox.received import Received
from airflow_provider_ollang.sandbox.refusals import ERROR_FORMATS

DEFAULT_API_KEY = "sandbox-key"
DEFAULT_ORDER_COUNT = 240


class Sandbox:
    """A local server that speaks the Ollang API, from ``start()`` or ``with`` to ``stop()``.

    :param host: address to listen on.
    :param port: port to listen on; 0 takes a free one.
    :param order_count: how many orders the account starts with.
    :param seed: decides the orders and the faults.
    :param api_key: the one key that is accepted.
    :param latency_ms: milliseconds that every answer takes longer.
    :param rate_limit: requests a second, beyond which 429 is answered; ``None`` for no limit.
    :param faults: kinds and rates, such as ``500=0.1,reset-after=0.05``; ``all=0.1`` for every
        kind, at this rate together.
    :param error_format: how errors are written: ``documented``, ``envelope`` (the vendor's generic
        one) or ``framework`` (NestJS's own).
    :raises ValueError: the faults or the error format are unknown.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        order_count: int = DEFAULT_ORDER_COUNT,
        seed: int = 0,
        api_key: str = DEFAULT_API_KEY,
        latency_ms: float = 0,
        rate_limit: float | None = None,
        faults: str = "",
        error_format: str = "documented",
    ) -> None:
        self.orders = Orders(order_count, seed)
        self.api_key = api_key
        self._address = (host, port)
        self._log = RequestLog(api_key)
        self._script = Script()
        self._rate_limit = RateLimit(rate_limit)
        self._dice = FaultDice(parse(faults), seed)
        self._app = Gate(
            create_app(self.orders, self._log, self.reset),
            log=self._log,
            script=self._script,
            rate_limit=self._rate_limit,
            dice=self._dice,
            latency=latency_ms / 1000,
            orders=self.orders,
            refuse_connections=self._refuse_connections,
            error_format=_known_format(error_format),
        )
        self._running: _RunningServer | None = None

    @property
    def url(self) -> str:
        """The base URL, such as ``http://127.0.0.1:8484``.

        :raises RuntimeError: the sandbox is not running.
        """
        if self._running is None:
            raise RuntimeError("the sandbox is not running; use it in a with statement")
        host, port = self._running.address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def requests(self) -> list[Received]:
        """The requests received so far, in order; those to ``/_sandbox/`` are not among them."""
        return self._log.all()

    @property
    def error_format(self) -> str:
        """How errors are written; may be set while the sandbox runs."""
        return self._app.error_format

    @error_format.setter
    def error_format(self, error_format: str) -> None:
        self._app.error_format = _known_format(error_format)

    def limit_rate(self, per_second: float | None) -> None:
        """Answer 429 beyond so many requests a second from now on; ``None`` for no limit."""
        self._rate_limit.set(per_second)

    def reset(self) -> None:
        """Start over: the seed's orders, no requests received, no canned answers."""
        self.orders.reset()
        self._log.clear()
        self._script.clear()
        self._rate_limit.reset()
        self._dice.reset()

    def answer_next(self, *answers: Answer, method: str | None = None, path: str = "*") -> None:
        """Give each of ``answers`` once, in this order, to the next requests that fit.

        :param method: the requests' method; ``None`` fits any.
        :param path: a pattern for their paths, such as ``/integration/orders/cancel/*``.
        """
        self._script.answer_next(*answers, method=method, path=path)

    def answer_always(self, answer: Answer, method: str | None = None, path: str = "*") -> None:
        """Give ``answer`` to every request that fits, after those of ``answer_next``.

        :param method: the requests' method; ``None`` fits any.
        :param path: a pattern for their paths, such as ``/integration/orders/cancel/*``.
        """
        self._script.answer_always(answer, method=method, path=path)

    def answer_normally(self) -> None:
        """Drop every canned answer."""
        self._script.clear()

    def start(self) -> None:
        """Listen, and return once requests are served.

        :raises OSError: the address cannot be listened on.
        """
        if self._running is not None:
            raise RuntimeError("the sandbox is running already")
        self._running = _RunningServer(self._app, _listen(*self._address))

    def stop(self) -> None:
        """Break off what is under way and stop listening."""
        if self._running is not None:
            self._running.stop()
            self._running = None

    def _refuse_connections(self, seconds: float) -> None:
        if self._running is not None:
            self._running.refuse_connections(seconds)

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def _known_format(error_format: str) -> str:
    if error_format not in ERROR_FORMATS:
        expected = ", ".join(ERROR_FORMATS)
        raise ValueError(f"error_format must be one of {expected}, got {error_format!r}")
    return error_format


class _RunningServer:
    """A server thread, from its first to its last moment."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self.address: tuple[str, int] = listener.getsockname()[:2]
        self._server = _Server(_config(app))
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="ollang-sandbox", daemon=True
        )
        self._thread.start()
        self._server.ready.wait()
        if not self._server.started:
            raise RuntimeError("the sandbox's server did not start")

    def refuse_connections(self, seconds: float) -> None:
        self._server.refuse_connections(self.address, seconds)

    def stop(self) -> None:
        self._server.stop()
        self._thread.join()


class _Server(uvicorn.Server):
    """A uvicorn server that says when it is ready, and that stops at once."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            super().run(sockets)
        finally:
            # Whoever waits for a server that failed to start must not wait for ever.
            self.ready.set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._reopening: asyncio.Future[None] = self._loop.create_future()
        self._reopening.set_result(None)
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        # uvicorn's own loop looks every 0.1 seconds whether to stop, which a test would wait for.
        while not await self.on_tick(0):
            try:
                await asyncio.wait_for(self._stopping.wait(), timeout=1)
            except TimeoutError:
                continue

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Not uvicorn's orderly end: it waits for clients, and a test may leave one hanging.
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        for task in list(self.server_state.tasks):
            task.cancel()

    def refuse_connections(self, address: tuple[str, int], seconds: float) -> None:
        """Stop listening, and listen again later. To be called on the server's own thread."""
        if self._reopening.done():
            for server in self.servers:
                server.close()
            self._reopening = self._loop.create_task(self._reopen(address, seconds))

    async def _reopen(self, address: tuple[str, int], seconds: float) -> None:
        await asyncio.sleep(seconds)
        while (listener := _listen_if_free(*address)) is None:
            await asyncio.sleep(seconds)
        await super().startup([listener])

    def stop(self) -> None:
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._stopping.set)


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's HTTP protocol, whose requests know their connection, to be able to break it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.app_state: dict[str, Any] = {**self.app_state, "transport": transport}
        super().connection_made(transport)


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=60,
    )


def _listen_if_free(host: str, port: int) -> socket.socket | None:
    try:
        return _listen(host, port)
    except OSError:  # for a moment somebody else has the port
        return None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=1024)
    # Connections inherit it. asyncio would not set it on them, as this socket names no protocol,
    # and then each answer's body waits some 40 ms for its head to be acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
