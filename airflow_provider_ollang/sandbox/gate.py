"""What every request passes before the API: the record, canned answers, limits and faults."""

from __future__ import annotations

import asyncio
import hmac
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from starlette.types import ASGIApp, Receive, Scope, Send

from airflow_provider_ollang.sandbox import faults
from airflow_provider_ollang.sandbox.answers import Script
from airflow_provider_ollang.sandbox.dice import FaultDice
from airflow_provider_ollang.sandbox.exchange import Exchange
from airflow_provider_ollang.sandbox.orders import Orders
from airflow_provider_ollang.sandbox.ratelimit import RateLimit
from airflow_provider_ollang.sandbox.received import Received, order_id_in

CONTROL = "/_sandbox/"

_MASK = "***"


class RequestLog:
    """The requests received so far; safe to use from any thread."""

    def __init__(self, api_key: str) -> None:
        self._api_key = api_key
        self._lock = threading.Lock()
        self._requests: list[Received] = []

    def note(self, scope: Scope) -> Received:
        """Record the request of ``scope`` and return its record."""
        headers = dict(scope["headers"])
        key = headers.get(b"x-api-key", b"")
        received = Received(
            method=scope["method"],
            path=self._masked(_target(scope)),
            order_id=order_id_in(scope["method"], self._masked(scope["path"])),
            key_accepted=hmac.compare_digest(key, self._api_key.encode()),
            user_agent=self._masked(headers.get(b"user-agent", b"").decode("latin-1")),
            time=time.time(),
        )
        with self._lock:
            self._requests.append(received)
        return received

    def all(self) -> list[Received]:
        """Return the requests in the order in which they came."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Forget the requests."""
        with self._lock:
            self._requests.clear()

    def _masked(self, text: str) -> str:
        # For a client that sends the key in the wrong place.
        return text.replace(self._api_key, _MASK)


class Gate:
    """The application in front of the API; control requests go straight through it.

    :param latency: seconds that every answer takes longer.
    :param refuse_connections: takes no new connection for so many seconds.
    :param error_format: how errors are written, one of ``ERROR_FORMATS``; may be set any time.
    """

    def __init__(
        self,
        api: ASGIApp,
        *,
        log: RequestLog,
        script: Script,
        rate_limit: RateLimit,
        dice: FaultDice,
        latency: float,
        orders: Orders,
        refuse_connections: Callable[[float], None],
        error_format: str,
    ) -> None:
        self.error_format = error_format
        self._api = api
        self._log = log
        self._script = script
        self._rate_limit = rate_limit
        self._dice = dice
        self._latency = latency
        self._orders = orders
        self._refuse_connections = refuse_connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Deal with one request, as ASGI has it."""
        if scope["type"] != "http" or scope["path"].startswith(CONTROL):
            await self._api(scope, receive, send)
            return
        received = self._log.note(scope)
        scope["state"]["key_accepted"] = received.key_accepted
        scope["state"]["error_format"] = self.error_format
        # The server cancels what is still waiting when it stops; that is no error.
        with suppress(asyncio.CancelledError):
            await self._answer(
                Exchange(
                    self._api,
                    scope,
                    receive,
                    send,
                    received,
                    self._orders,
                    self._refuse_connections,
                )
            )

    async def _answer(self, exchange: Exchange) -> None:
        if self._latency:
            await asyncio.sleep(self._latency)
        canned = self._script.take(exchange.scope["method"], exchange.scope["path"])
        if canned is not None:
            await canned.give(exchange)
        elif wait := self._rate_limit.wait():
            await faults.too_many_requests(lambda: str(wait))(exchange)
        else:
            await self._handle_or_fail(exchange)

    async def _handle_or_fail(self, exchange: Exchange) -> None:
        kind = self._dice.draw()
        if kind is None:
            await exchange.handle()
        else:
            await faults.make(kind, exchange)


def _target(scope: Scope) -> str:
    path: bytes = scope["raw_path"]
    query: bytes = scope["query_string"]
    return (path + b"?" + query if query else path).decode("latin-1")
