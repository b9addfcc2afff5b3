"""``make demo``: the nightly cleanup on a real Airflow, against a sandbox of 240 orders."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from airflow_provider_ollang.sandbox import Sandbox, Stub
from demo.airflow_home import airflow_home
from demo.standalone import interrupt_on_signals

DAG_ID = "example_ollang_nightly_cleanup"
STALE_AFTER = timedelta(days=7)
LOST_RESPONSES = 2
#: By default, the DAG cancels nothing.
CONF = {"preview": False, "older_than_days": STALE_AFTER.days}

console = Console(highlight=False)


def main() -> int:
    """Run the demo and return the exit code: 0 if exactly the stale orders were cancelled."""
    interrupt_on_signals()
    with Sandbox(latency_ms=50) as sandbox:
        console.print(f"[bold]Sandbox[/] with {len(sandbox.orders)} orders on {sandbox.url}")
        lost = [Stub(fault="reset-after")] * LOST_RESPONSES
        sandbox.respond_next(*lost, method="POST")
        before, stale = _status_of_all(sandbox), _stale_ids(sandbox)
        console.print(
            f"{len(stale)} of them are pending, older than {STALE_AFTER.days} days, and not named "
            "to be kept."
        )
        console.print("[bold]Airflow[/] gets a new home and database …")
        with airflow_home(sandbox) as environment:
            console.print(f"[bold]DAG[/] {DAG_ID} runs …")
            xcoms = _run_dag(sandbox, environment)
        after = _status_of_all(sandbox)
    _print_outcomes(xcoms)
    _print_statuses(before, after)
    return _verdict(stale, before, after, xcoms["cancel_stale_orders.counts"])


def _status_of_all(sandbox: Sandbox) -> dict[str, str]:
    orders = requests.get(f"{sandbox.url}/_sandbox/orders", timeout=10).json()
    return {order["id"]: order["status"] for order in orders}


def _stale_ids(sandbox: Sandbox) -> set[str]:
    """Return what the cleanup should cancel, computed independently of it."""
    cut_off = datetime.now(UTC) - STALE_AFTER
    return {
        order["id"]
        for order in sandbox.orders.where(status="pending")
        if datetime.fromisoformat(order["createdAt"]) <= cut_off
        and "keep" not in order["name"].lower()
    }


def _run_dag(sandbox: Sandbox, environment: Mapping[str, str]) -> dict[str, Any]:
    """Run the DAG in another process, and show what reaches the sandbox meanwhile."""
    home = Path(environment["AIRFLOW_HOME"])
    output, log = home / "xcoms.json", home / "dag.log"
    command = [sys.executable, "-m", "demo.run_dag", DAG_ID, json.dumps(CONF), str(output)]
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603 - our own command
            command, env=environment, stdout=stream, stderr=subprocess.STDOUT
        )
        try:
            _show_progress(sandbox, process)
        finally:
            process.kill()  # where the demo was interrupted
    if process.returncode:
        end_of_log = "\n".join(log.read_text().splitlines()[-60:])
        raise SystemExit(f"{end_of_log}\nThe DAG run failed.")
    xcoms: dict[str, Any] = json.loads(output.read_text())["xcoms"]
    return xcoms


def _show_progress(sandbox: Sandbox, process: subprocess.Popen[bytes]) -> None:
    with console.status("Airflow is starting") as status:
        while process.poll() is None:
            received = Counter(request.method for request in sandbox.requests)
            if received:
                reads, cancels = received["GET"], received["POST"]
                status.update(f"The sandbox has received {reads} reads, {cancels} cancel requests")
            time.sleep(0.1)
    console.print(f"The DAG run is done: the sandbox received {len(sandbox.requests)} requests.")


def _print_outcomes(xcoms: Mapping[str, Any]) -> None:
    counts = xcoms["cancel_stale_orders.counts"]
    found = len(xcoms["find_stale_orders.orders"])
    rejected = ("not_cancellable", "not_found", "access_denied")
    table = Table("outcome", "orders")
    table.columns[1].justify = "right"
    table.add_row("found", str(found))
    table.add_row("cancelled", str(counts.get("cancelled", 0)))
    table.add_row("already cancelled *", str(counts.get("already_cancelled", 0)))
    table.add_row("rejected by the API", str(sum(counts.get(name, 0) for name in rejected)))
    table.add_row("status changed meanwhile", str(counts.get("status_changed", 0)))
    table.add_row("left for the next run", str(found - counts["total"]))
    console.print(table)
    console.print(
        f"* On purpose, the sandbox dropped its responses to the first {LOST_RESPONSES} cancel "
        "requests. Sent again, they found the orders already cancelled."
    )


def _print_statuses(before: Mapping[str, str], after: Mapping[str, str]) -> None:
    counts_before, counts_after = Counter(before.values()), Counter(after.values())
    table = Table("status in the sandbox", "before", "after")
    for column in table.columns[1:]:
        column.justify = "right"
    for status in sorted(counts_before | counts_after):
        changed = counts_before[status] != counts_after[status]
        row = (status, str(counts_before[status]), str(counts_after[status]))
        table.add_row(*row, style="bold" if changed else None)
    console.print(table)


def _verdict(
    stale: set[str], before: Mapping[str, str], after: Mapping[str, str], counts: Mapping[str, int]
) -> int:
    changed = {order_id for order_id in before if before[order_id] != after[order_id]}
    were_cancelled = all(after[order_id] == "cancelled" for order_id in changed)
    reported = counts.get("cancelled", 0) + counts.get("already_cancelled", 0)
    if changed == stale and were_cancelled and reported == len(stale):
        console.print("[green]Exactly the stale pending orders are cancelled, and no others.[/]")
        return 0
    console.print(
        f"[red]Wrong:[/] {len(stale)} were stale, {len(changed)} changed, {reported} were reported "
        f"as cancelled. Unexpected: {sorted(changed ^ stale)}"
    )
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("Interrupted.")
