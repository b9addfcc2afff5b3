"""The cheapest client there is: bytes on bare sockets. What it reaches is the server's limit."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

from benchmarks.servers import Server

_END_OF_HEAD = b"\r\n\r\n"


def seconds_to_send(server: Server, lines: Sequence[str], workers: int) -> float:
    """Return how long the requests take, over one connection a worker.

    :param lines: method and path of each request, such as ``POST /integration/orders/…``
    """
    chunks = [lines[number::workers] for number in range(workers)]
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda chunk: _send_all(server, chunk), chunks))
    return time.perf_counter() - start


def _send_all(server: Server, lines: Sequence[str]) -> None:
    parts = urlsplit(server.url)
    headers = f"Host: {parts.netloc}\r\nX-Api-Key: {server.api_key}\r\nContent-Length: 0"
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for line in lines:
            connection.sendall(f"{line} HTTP/1.1\r\n{headers}".encode() + _END_OF_HEAD)
            _read_response(connection)


def _read_response(connection: socket.socket) -> None:
    received = b""
    while _END_OF_HEAD not in received:
        received += _receive(connection)
    head, _, body = received.partition(_END_OF_HEAD)
    status = head[9:12]
    if status not in (b"200", b"204"):
        raise RuntimeError(f"the server sent {head[:80]!r}")
    missing = _content_length(head) - len(body)
    while missing > 0:
        missing -= len(_receive(connection))


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise RuntimeError("the server closed the connection")
    return data


def _content_length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return int(line[15:])
    return 0
