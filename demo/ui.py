"""``make demo-ui``: Airflow with its whole UI, the example DAGs and a sandbox, until Ctrl-C."""

from __future__ import annotations

import sys

from rich.console import Console

from airflow_provider_ollang.sandbox import Sandbox
from demo.airflow_home import airflow_home
from demo.standalone import interrupt_on_signals, standalone

console = Console(highlight=False)


def main() -> int:
    """Serve until Ctrl-C or SIGTERM, then end every process that this has started."""
    interrupt_on_signals()
    try:
        with Sandbox(latency_ms=50) as sandbox, airflow_home(sandbox) as environment:
            console.print(f"Starting Airflow in {environment['AIRFLOW_HOME']} …")
            with standalone(environment) as (url, airflow):
                console.print(f"Airflow: {url}")
                console.print(f"Sandbox: {sandbox.url}/_sandbox/orders")
                console.print(
                    f"Approval: a run waits at {url}/required_actions. Click its subject, then "
                    "Approve. It previews. To cancel, trigger "
                    "example_ollang_cleanup_with_approval with Preview switched off, and approve."
                )
                console.print("Press Ctrl-C to stop both.")
                return airflow.wait()
    except KeyboardInterrupt:
        console.print("Airflow and the sandbox have stopped.")
        return 0


if __name__ == "__main__":
    sys.exit(main())
