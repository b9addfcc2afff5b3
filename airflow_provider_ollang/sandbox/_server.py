"""The sandbox as a server on a thread of its own."""

from __future__ import annotations

import asyncio
import math
import socket
import threading
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from airflow_provider_ollang.sandbox._app import RecordedRequest, create_app
from airflow_provider_ollang.sandbox._errors import ERROR_FORMATS
from airflow_provider_ollang.sandbox._faults import RateLimiter, Stub, draw_faults, parse_faults
from airflow_provider_ollang.sandbox._lifecycle import Lifecycle
from airflow_provider_ollang.sandbox._orders import Orders

__all__ = ["RecordedRequest", "Sandbox", "Stub"]


class Sandbox:
    """A local server that speaks the Ollang API, from ``start()`` or ``with`` to ``stop()``.

    :param host: address to listen on.
    :param port: port to listen on; 0 takes a free one, and keeps it.
    :param order_count: how many orders the account starts with.
    :param seed: decides the orders and the faults.
    :param api_key: the one key that is accepted.
    :param latency_ms: milliseconds added to every response.
    :param rate_limit: requests a second, beyond which the response is a 429; ``None`` for no limit.
    :param faults: kinds and rates, such as ``500=0.1,reset-after=0.05``; ``all=0.1`` for every
        kind, at this rate together.
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
        faults: str = "",
        error_format: str = "documented",
        lifecycle: str = "",
        callback_twice: float = 0,
    ) -> None:
        _check("port", port, 0 <= port <= 65535, "from 0 to 65535")
        _check("order_count", order_count, order_count >= 0, "0 or more")
        _check("latency_ms", latency_ms, 0 <= latency_ms < math.inf, "a number, 0 or more")
        _check("callback_twice", callback_twice, 0 <= callback_twice <= 1, "from 0 to 1")
        formats = "one of " + ", ".join(ERROR_FORMATS)
        _check("error_format", error_format, error_format in ERROR_FORMATS, formats)
        if not api_key.isascii() or not api_key.strip():
            raise ValueError("api_key must be ASCII text, and not blank")
        self.orders = Orders(order_count, seed)
        self.lifecycle = Lifecycle(self.orders, lifecycle, callback_twice, seed)
        self.api_key = api_key
        self.error_format = error_format
        self.latency = latency_ms / 1000
        self.log: list[RecordedRequest] = []
        self._fault_rates = parse_faults(faults)
        self._seed = seed
        self._address = (host, port)
        self._thread: threading.Thread | None = None
        self.faults = draw_faults(self._fault_rates, seed)
        self.limit_rate(rate_limit)
        self.respond_normally()
        self._app = create_app(self)

    @property
    def url(self) -> str:
        """The base URL, such as ``http://127.0.0.1:8484``.

        :raises RuntimeError: the sandbox is not running.
        """
        if self._thread is None:
            raise RuntimeError("the sandbox is not running; use it in a with statement")
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests received so far, in order; those to ``/_sandbox/`` are not among them."""
        return list(self.log)

    def respond_next(self, *stubs: Stub, method: str | None = None, path: str = "*") -> None:
        """Give each of ``stubs`` once, in this order, to the next requests that fit.

        :param method: the requests' method; ``None`` fits any.
        :param path: a pattern for their paths, such as ``/integration/orders/cancel/*``.
        """
        self._next += [(method or "*", path, stub) for stub in stubs]

    def respond_always(self, stub: Stub, method: str | None = None, path: str = "*") -> None:
        """Give ``stub`` to every request that fits, after those of ``respond_next``.

        :param method: the requests' method; ``None`` fits any.
        :param path: a pattern for their paths, such as ``/integration/orders/cancel/*``.
        """
        self._always.insert(0, (method or "*", path, stub))

    def respond_normally(self) -> None:
        """Drop every stub response."""
        self._next: list[tuple[str, str, Stub]] = []
        self._always: list[tuple[str, str, Stub]] = []

    def take_stub(self, method: str, path: str) -> Stub | None:
        """Return the stub response to this request, or ``None`` where the API shall respond."""
        for entry in self._next + self._always:
            if fnmatchcase(method, entry[0]) and fnmatchcase(path, entry[1]):
                if entry in self._next:
                    self._next.remove(entry)
                return entry[2]
        return None

    def limit_rate(self, per_second: float | None) -> None:
        """Respond with 429 beyond this many requests a second from now on; ``None``: no limit."""
        self.rate_limiter = RateLimiter(per_second)

    def reset(self) -> None:
        """Start over: the seed's orders, no requests received, no stub responses."""
        self.orders.reset()
        self.log.clear()
        self.faults = draw_faults(self._fault_rates, self._seed)
        self.limit_rate(self.rate_limiter.per_second)
        self.respond_normally()

    def start(self) -> None:
        """Listen, and return once requests are served.

        :raises OSError: the address cannot be listened on.
        """
        if self._thread is not None:
            raise RuntimeError("the sandbox is running already")
        listener = _listen(*self._address)
        self._address = listener.getsockname()[:2]
        ready = threading.Event()
        serving = self._serve(listener, ready)
        self._thread = threading.Thread(target=asyncio.run, args=[serving], daemon=True)
        self._thread.start()
        if not ready.wait(timeout=10):
            raise RuntimeError("the sandbox's server did not start")

    def stop(self) -> None:
        """Abort all connections and stop listening. A later start has the same address."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join()
            self._thread = None

    async def _serve(self, listener: socket.socket, ready: threading.Event) -> None:
        # uvicorn's own loop looks every 0.1 seconds whether to stop, which a test would wait for.
        self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
        server = _uvicorn(self._app)
        await server.startup([listener])
        await server.on_tick(0)
        ready.set()
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), timeout=1)
            await server.on_tick(0)  # it sets the header Date
        # Not uvicorn's orderly end: it waits for clients, and a test may leave one hanging. What
        # still runs is cancelled as the loop ends.
        for it in server.servers:
            it.close()
        for connection in list(server.server_state.connections):
            connection.transport.abort()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _check(name: str, value: object, is_valid: bool, expected: str) -> None:
    if not is_valid:
        raise ValueError(f"{name} must be {expected}, got {value!r}")


def _uvicorn(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error",
        proxy_headers=False,
        timeout_keep_alive=60,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    return server


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
