"""What is measured of this package, as its operators do it."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_ollang.cleanup.batch import Batch
from airflow_provider_ollang.cleanup.report import ReportWriter
from benchmarks.servers import Server

# What it logs of an error response belongs in a task's log, not between the tables.
logging.getLogger("airflow_provider_ollang").addHandler(logging.NullHandler())

CANCEL = "/integration/orders/cancel/"


def seconds_to_cancel(server: Server, order_ids: Sequence[str], workers: int) -> float:
    """Return how long a batch with a report on disk takes, from its client to its end."""
    with tempfile.TemporaryDirectory() as folder:
        report = ReportWriter(Path(folder) / "report.jsonl")
        start = time.perf_counter()
        with server.client() as client:
            result = Batch(client, order_ids, max_workers=workers, report=report).run()
        seconds = time.perf_counter() - start
    expected = {"total": len(order_ids), "cancelled": len(order_ids)}
    if result.to_json() != expected:
        raise RuntimeError(f"not every order was cancelled: {result.to_json()}")
    return seconds
