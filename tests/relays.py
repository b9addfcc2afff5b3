"""Relays on loopback: one speaks TLS in front of a plain server, one is an HTTP proxy."""

from __future__ import annotations

import contextlib
import re
import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from trustme import LeafCert


class Relay(socketserver.ThreadingTCPServer):
    """Listens on a free port, and counts the connections that it takes and carries on."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.port: int = self.server_address[1]
        self.connections = 0

    def __enter__(self) -> Any:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.shutdown()
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().process_request(request, client_address)

    def finish_request(self, request: Any, client_address: Any) -> None:
        with contextlib.suppress(OSError):  # a client may go away at any time, in a handshake too
            self.relay(request)

    def relay(self, client: socket.socket) -> None:
        raise NotImplementedError


class TlsRelay(Relay):
    """Speaks TLS to its clients, and passes what they say to a server that does not.

    :param url: the server behind it
    :param certificate: what it shows to its clients
    """

    def __init__(self, url: str, certificate: LeafCert) -> None:
        super().__init__()
        parts = urlsplit(url)
        self._server = (parts.hostname or "", parts.port or 0)
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._tls)

    def relay(self, client: socket.socket) -> None:
        with (
            self._tls.wrap_socket(client, server_side=True) as opened,
            socket.create_connection(self._server) as server,
        ):
            carry(opened, server)


class ConnectProxy(Relay):
    """An HTTP proxy that keeps every byte it sees.

    :param ports: where it finds the hosts that it knows, such as ``{"ollang.test:443": 49152}``
    """

    def __init__(self, ports: Mapping[str, int]) -> None:
        super().__init__()
        self._ports = ports
        self.seen = bytearray()

    @property
    def asked_for(self) -> list[str]:
        """The requests that it could read, without the version of HTTP: Python 3.12 has a newer."""
        return [line.decode() for line in re.findall(rb"(\S+ \S+) HTTP/1\.\d\r\n", self.seen)]

    def relay(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        self.seen += head
        _, host, _ = head.decode().split(" ", 2)
        with socket.create_connection(("127.0.0.1", self._ports[host])) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            carry(client, server, note=self.seen.extend)


def carry(
    one: socket.socket, other: socket.socket, note: Callable[[bytes], object] = lambda data: None
) -> None:
    """Pass bytes in both directions until one side closes."""
    while True:
        for source in select.select([one, other], [], [])[0]:
            data = source.recv(65536)  # a TLS report is shorter: none of it is left behind
            if not data:
                return
            note(data)
            (other if source is one else one).sendall(data)
