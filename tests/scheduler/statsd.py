"""What Airflow sends to StatsD."""

from __future__ import annotations

import socket
from collections import Counter


class Statsd:
    """A socket that metrics are sent to."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.setblocking(False)
        self._counts: Counter[str] = Counter()

    @property
    def settings(self) -> dict[str, str]:
        return {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self._socket.getsockname()[1]),
            # Ours alone: those of Airflow would overflow the socket while no test reads it.
            "AIRFLOW__METRICS__METRICS_ALLOW_LIST": "ollang",
        }

    def counts(self) -> dict[str, int]:
        """Return what was counted so far, by name."""
        while True:
            try:
                metrics = self._socket.recv(65536).decode().splitlines()
            except BlockingIOError:
                return dict(self._counts)
            for metric in metrics:
                name, _, rest = metric.partition(":")
                value, _, kind = rest.partition("|")
                if kind == "c":
                    self._counts[name] += int(value)
