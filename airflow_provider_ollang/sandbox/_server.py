"""The sandbox as a server on a thread of its own."""

from __future__ import annotations

import asyncio
import math
import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_ollang.sandbox._app import create_app
from airflow_provider_ollang.sandbox._errors import ERROR_FORMATS
from airflow_provider_ollang.sandbox._faults import Fault, FaultInjector, parse_faults
from airflow_provider_ollang.sandbox._lifecycle import Callbacks, Lifecycle
from airflow_provider_ollang.sandbox._middleware import RateLimiter, RecordedRequest
from airflow_provider_ollang.sandbox._orders import Orders
from airflow_provider_ollang.sandbox._stubs import Stubs


class Sandbox(Stubs):
    """A local server that speaks the Ollang API, from ``start()`` or ``with`` to ``stop()``.

    :param host: address to listen on.
    :param port: port to listen on; 0 takes a free one, and keeps it.
    :param order_count: how many orders the account starts with.
    :param seed: decides the orders and the faults.
    :param api_key: the one key that is accepted.
    :param latency_ms: milliseconds added to every response.
    :param rate_limit: requests a second, beyond which the response is a 429; ``None`` for no limit.
    :param faults: kinds and rates, such as ``500=0.1,reset-after=0.05``; ``all=0.1`` for every
        kind, at this rate together; or the rate of each ``Fault``.
    :param error_format: how errors are written: ``documented``, ``envelope`` (the vendor's generic
        one) or ``framework`` (NestJS's own).
    :param lifecycle: seconds that a created order stays in each status before it is completed, such
        as ``pending=30,ongoing=60``; without it the status stays.
    :param callback_twice: the share of completed orders whose ``callbackUrl`` is called twice.
    :raises ValueError: one of them is out of its limits.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        order_count: int = 240,
        seed: int = 0,
        api_key: str = "sandbox-key",
        latency_ms: float = 0,
        rate_limit: float | None = None,
        faults: str | Mapping[Fault, float] = "",
        error_format: str = "documented",
        lifecycle: str = "",
        callback_twice: float = 0,
    ) -> None:
        super().__init__()
        _check("port", port, 0 <= port <= 65535, "from 0 to 65535")
        _check("order_count", order_count, order_count >= 0, "0 or more")
        _check("latency_ms", latency_ms, 0 <= latency_ms < math.inf, "a number, 0 or more")
        _check("callback_twice", callback_twice, 0 <= callback_twice <= 1, "from 0 to 1")
        if not api_key.isascii() or not api_key.strip():
            raise ValueError("api_key must be ASCII text, and not blank")
        life = Lifecycle.parse(lifecycle)
        self.orders = Orders(order_count, seed, life)
        self.callbacks = Callbacks(self.orders, life, callback_twice, seed)
        self.api_key = api_key
        self.error_format = error_format
        self.latency = latency_ms / 1000
        self.log: list[RecordedRequest] = []
        self.rate_limiter = RateLimiter(rate_limit)
        rates = parse_faults(faults) if isinstance(faults, str) else faults
        self.fault_injector = FaultInjector(rates, seed)
        self._address = (host, port)
        self._app = create_app(self)
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """The base URL, such as ``http://127.0.0.1:8484``.

        :raises RuntimeError: the sandbox is not running.
        """
        if self._server is None:
            raise RuntimeError("the sandbox is not running; use it in a with statement")
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests received so far, in order; those to ``/_sandbox/`` are not among them."""
        return list(self.log)

    @property
    def error_format(self) -> str:
        """How errors are written; may be set while the sandbox runs."""
        return self._error_format

    @error_format.setter
    def error_format(self, error_format: str) -> None:
        expected = "one of " + ", ".join(ERROR_FORMATS)
        _check("error_format", error_format, error_format in ERROR_FORMATS, expected)
        self._error_format = error_format

    def limit_rate(self, per_second: float | None) -> None:
        """Respond with 429 beyond this many requests a second from now on; ``None``: no limit."""
        self.rate_limiter = RateLimiter(per_second)

    def reset(self) -> None:
        """Start over: the seed's orders, no requests received, no stub responses."""
        self.orders.reset()
        self.log.clear()
        self.respond_normally()
        self.rate_limiter.reset()
        self.fault_injector.reset()

    def start(self) -> None:
        """Listen, and return once requests are served.

        :raises OSError: the address cannot be listened on.
        """
        if self._server is not None:
            raise RuntimeError("the sandbox is running already")
        listener = _listen(*self._address)
        self._address = listener.getsockname()[:2]
        self._server = _Server(self._app, listener)
        self._server.start()

    def stop(self) -> None:
        """Abort all connections and stop listening. A later start has the same address."""
        if self._server is not None:
            self._server.stop()
            self._server = None

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


def _check(name: str, value: object, is_valid: bool, expected: str) -> None:
    if not is_valid:
        raise ValueError(f"{name} must be {expected}, got {value!r}")


class _Server(uvicorn.Server):
    """A uvicorn server on a thread of its own, which stops at once."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
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
        )
        self._thread = threading.Thread(
            target=self.run, args=([listener],), name="ollang-sandbox", daemon=True
        )

    def start(self) -> None:
        """Return once requests are served."""
        self._thread.start()
        while not self.started:
            if not self._thread.is_alive():
                raise RuntimeError("the sandbox's server did not start")
            time.sleep(0.001)

    def stop(self) -> None:
        """Return once the server is gone."""
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        await super().startup(sockets)

    async def main_loop(self) -> None:
        # uvicorn's own loop looks every 0.1 seconds whether to stop, which a test would wait for.
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), timeout=1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Not uvicorn's orderly end: it waits for clients, and a test may leave one hanging.
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
        for task in list(self.server_state.tasks):
            task.cancel()


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """uvicorn's HTTP protocol, whose requests know their connection, to be able to break it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.app_state: dict[str, Any] = {**self.app_state, "transport": transport}
        super().connection_made(transport)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=1024)
    # Connections inherit it. asyncio would not set it on them, as this socket names no protocol,
    # and then each response's body waits some 40 ms for its head to be acknowledged.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
