"""The smallest server that speaks enough of the API: it waits, and gives a canned response.

Where thousands of requests a second are meant to come, the sandbox would be the limit and not the
client: an ASGI application in Python takes most of a millisecond for each. Here one takes some
50 microseconds. It never refuses, keeps nothing, and counts requests and connections.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from functools import cache, partial

PAGE_SIZE = 50
STATS = b"GET /_server"
_PAGE = re.compile(rb"[?&]pageOptions(?:%5B|\[)page(?:%5D|\])=(\d+)")
_END_OF_HEAD = b"\r\n\r\n"
_CANCELLED = b"HTTP/1.1 204 No Content\r\n\r\n"


def order_id(number: int) -> str:
    """Return the id of the server's order with this number."""
    return f"{number:024x}"


class Account:
    """The server's orders, of which it makes pages as they are asked for; and its counts.

    :param orders: how many there are, all of them pending and old
    """

    def __init__(self, orders: int) -> None:
        self.connections = self.requests = 0
        self._orders = orders
        self._page = cache(self._make_page)

    def response(self, head: bytes) -> bytes:
        """Return the response to a request."""
        if head.startswith(STATS):
            return _ok({"connections": self.connections, "requests": self.requests})
        self.requests += 1
        if head.startswith(b"POST"):
            return _CANCELLED
        found = _PAGE.search(head.partition(b"\r\n")[0])
        return self._page(int(found[1]) if found else 1)

    def _make_page(self, number: int) -> bytes:
        first, last = (number - 1) * PAGE_SIZE, number * PAGE_SIZE
        orders = [_order(it) for it in range(first, min(last, self._orders))]
        meta = {
            "page": number,
            "take": PAGE_SIZE,
            "itemCount": self._orders,
            "pageCount": -(-self._orders // PAGE_SIZE),
            "hasNextPage": last < self._orders,
            "hasPreviousPage": number > 1,
        }
        return _ok({"data": orders, "meta": meta})


class Connection(asyncio.Protocol):
    """One connection: requests without a body, one after the other.

    :param latency: seconds that every response takes
    """

    def __init__(self, account: Account, latency: float) -> None:
        self._account = account
        self._latency = latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP gives no other
        self._transport = transport
        self._account.connections += 1

    def data_received(self, data: bytes) -> None:
        """Stub each request that is complete."""
        *heads, self._received = (self._received + data).split(_END_OF_HEAD)
        for head in heads:
            response = self._account.response(head)
            if self._latency and not head.startswith(STATS):
                asyncio.get_running_loop().call_later(self._latency, self._send, response)
            else:
                self._send(response)

    def _send(self, response: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(response)


def _order(number: int) -> dict[str, str]:
    return {
        "id": order_id(number),
        "name": f"Episode {number}",
        "sourceLanguage": "en",
        "targetLanguage": "fr",
        "status": "pending",
        "type": "subtitle",
        "createdAt": f"2024-01-{1 + number % 28:02d}T10:30:00.000Z",
        "clientId": order_id(1),
        "projectId": order_id(2),
    }


def _ok(value: object) -> bytes:
    body = json.dumps(value).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + _END_OF_HEAD + body


async def _serve(orders: int, latency: float) -> None:
    loop = asyncio.get_running_loop()
    make = partial(Connection, Account(orders), latency)
    server = await loop.create_server(make, "127.0.0.1", 0)
    sys.stdout.write(f"Listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.server")
    parser.add_argument("--orders", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0)
    options = parser.parse_args()
    asyncio.run(_serve(options.orders, options.latency_ms / 1000))
