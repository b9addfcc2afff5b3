"""One request on its way through the sandbox, and every way there is to end it."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_ollang.sandbox.received import Received

Headers = Iterable[tuple[str, str]]

# On, with no time to linger: closing then sends a reset instead of an orderly end.
_ABRUPT = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Exchange:
    """A request, the API that can act on it, and the connection that it came by."""

    api: ASGIApp
    scope: Scope
    receive: Receive
    send: Send
    received: Received

    async def handle(self) -> None:
        """Let the API act on the request, and send its answer."""
        await self.api(self.scope, self.receive, self._send_noted)

    async def handle_unanswered(self) -> None:
        """Let the API act on the request, and keep its answer back."""
        await self.api(self.scope, self.receive, _discard)

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

    async def _send_noted(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.received.status = message["status"]
        await self.send(message)


async def _discard(message: Message) -> None:
    pass


def _start(status: int, lines: Headers) -> Message:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]
    return {"type": "http.response.start", "status": status, "headers": headers}
