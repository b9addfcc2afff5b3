"""Find all orders of a server, cancel them with a report, and print how many and peak memory.

Usage: ``python -m benchmarks.cleanup URL API_KEY``
"""

from __future__ import annotations

import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from airflow_provider_ollang.api.client import OllangClient
from airflow_provider_ollang.cleanup.batch import Batch
from airflow_provider_ollang.cleanup.report import ReportWriter
from airflow_provider_ollang.cleanup.result import Outcome
from airflow_provider_ollang.cleanup.stale import StaleRule, find_stale_orders


def main(url: str, api_key: str) -> None:
    """Clean up."""
    rule = StaleRule(reference_time=datetime.now(UTC), older_than=timedelta(days=7))
    with tempfile.TemporaryDirectory() as folder, OllangClient(api_key, base_url=url) as client:
        orders = find_stale_orders(client, rule).orders
        report = ReportWriter(Path(folder) / "report.jsonl")
        result = Batch(client, [order.id for order in orders], report=report).run()
    sys.stdout.write(f"{result.counts[Outcome.CANCELLED]} {_peak_bytes()}\n")


def _peak_bytes() -> int:
    # Not getrusage: there a new process begins with the peak of the one that started it.
    status = Path("/proc/self/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


if __name__ == "__main__":
    main(*sys.argv[1:])
