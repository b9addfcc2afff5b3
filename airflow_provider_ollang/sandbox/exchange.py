"""One request on its way through the sandbox, and every way there is to end it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_ollang.sandbox.orders import Orders
from airflow_provider_ollang.sandbox.received import Received
from airflow_provider_ollang.sandbox.refusals import Refusal

Headers = Iterable[tuple[str, str]]

# On, with no time to linger: closing then sends a reset instead of an orderly end.
_ABRUPT = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class ApiAnswer:
    """What the API answered."""

    status: int
    headers: Headers
    """All but the body's length."""
    body: bytes


@dataclass(slots=True)
class Exchange:
    """A request, the API that can act on it, and the connection that it came by.

    :param refuse_connections: takes no new connection for so many seconds.
    """

    api: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    received: Received
    orders: Orders
    refuse_connections: Callable[[float], None]

    async def handle(self) -> None:
        """Let the API act on the request, and send its answer."""

        async def send(message: Message) -> None:
            self._note_act(message)
            await self._send_noted(message)

        await self.api(self.scope, self.receive, send)

    async def ask_api(self, query: Mapping[str, str] | None = None) -> ApiAnswer:
        """Let the API act on the request, and return its answer instead of sending it.

        :param query: parameters instead of the request's own.
        """
        answer = ApiAnswer(0, [], b"")

        async def keep(message: Message) -> None:
            self._note_act(message)
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = _all_but_length(message["headers"])
            else:
                answer.body += message.get("body", b"")

        asked = {} if query is None else {"query_string": urlencode(query).encode()}
        await self.api({**self.scope, **asked}, self.receive, keep)
        return answer

    async def respond(self, status: int, headers: Headers = (), body: bytes = b"") -> None:
        """Answer with just these parts; the body's length is added where no header says it.

        A ``Content-Length`` that promises more than ``body`` makes an answer that is cut off.
        """
        lines = [(name.lower(), value) for name, value in headers]
        promised = next((value for name, value in lines if name == "content-length"), None)
        if promised is None and status != 204:
            lines.append(("content-length", str(len(body))))
        cut_off = promised is not None and int(promised) > len(body)
        await self._send_noted(_start(status, lines))
        await self.send({"type": "http.response.body", "body": body, "more_body": cut_off})
        if cut_off:
            await self.hang_up()

    async def respond_json(self, status: int, value: Any, headers: Headers = ()) -> None:
        """Answer with ``value`` as JSON."""
        content_type = ("content-type", "application/json; charset=utf-8")
        await self.respond(status, [content_type, *headers], json.dumps(value).encode())

    async def refuse(self, refusal: Refusal, headers: Headers = ()) -> None:
        """Answer with ``refusal``, in the format that the sandbox is set to."""
        body = refusal.body(self.scope["state"]["error_format"])
        await self.respond_json(refusal.status, body, headers)

    async def drip(self, seconds: float) -> None:
        """Begin an answer, and send a byte of it every so many seconds until the client leaves."""
        await self._send_noted(_start(200, [("content-type", "application/json")]))
        leaving = asyncio.ensure_future(self.wait_for_client_to_leave())
        while not leaving.done():
            await self.send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.wait([leaving], timeout=seconds)

    async def hang_up(self) -> None:
        """Close the connection in an orderly way, after what was sent so far."""
        self._transport.close()
        await self.wait_for_client_to_leave()

    async def reset(self) -> None:
        """Break the connection off, as a crashing server or a firewall does."""
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABRUPT)
        self._transport.abort()
        await self.wait_for_client_to_leave()

    async def wait_for_client_to_leave(self) -> None:
        """Send nothing until the connection is gone."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    @property
    def _transport(self) -> asyncio.Transport:
        transport: asyncio.Transport = self.scope["state"]["transport"]
        return transport

    def _note_act(self, message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] < 300:
            self.received.acted = time.time()

    async def _send_noted(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.received.status = message["status"]
        await self.send(message)


def _all_but_length(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    lines = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    return [(name, value) for name, value in lines if name != "content-length"]


def _start(status: int, lines: Headers) -> Message:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]
    return {"type": "http.response.start", "status": status, "headers": headers}
