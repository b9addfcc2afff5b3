"""``make demo-ui``: Airflow with its whole UI, the example DAGs and a sandbox, until Ctrl-C."""

from __future__ import annotations

import sys

from rich.console import Console

from airflow_provider_ollang.sandbox import Sandbox
from demo.airflow_home import airflow_home
from demo.standalone import interrupt_on_signals, standalone

#: A scheduled run could start before the API server listens, and fail.
ONLY_WHAT_IS_TRIGGERED = {"AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False"}

console = Console(highlight=False)


def main() -> int:
    """Serve until Ctrl-C or SIGTERM, then end every process that this has started."""
    interrupt_on_signals()
    try:
        with Sandbox(latency_ms=50) as sandbox, airflow_home(sandbox) as environment:
            console.print(f"Starting Airflow in {environment['AIRFLOW_HOME']} …")
            with standalone({**environment, **ONLY_WHAT_IS_TRIGGERED}) as (url, airflow):
                console.print(f"Airflow: {url}")
                console.print(f"Sandbox: {sandbox.url}/_sandbox/orders")
                console.print(
                    "To see an approval: trigger example_ollang_cleanup_with_approval with Preview "
                    "switched off, click its task approve_cancels once it waits, then Required "
                    "Action, then Approve below the table."
                )
                console.print("Press Ctrl-C to stop both.")
                return airflow.wait()
    except KeyboardInterrupt:
        console.print("Airflow and the sandbox have stopped.")
        return 0


if __name__ == "__main__":
    sys.exit(main())
