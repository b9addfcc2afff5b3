"""The command ``ollang-sandbox``, which is also ``python -m airflow_provider_ollang.sandbox``."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

_EXIT_CODES: dict[int, int] = {signal.SIGTERM: 0, signal.SIGINT: 130}


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a sandbox until it is interrupted, and return the exit code."""
    try:
        from airflow_provider_ollang.sandbox import Sandbox
    except ImportError as error:  # the extra is missing
        sys.exit(f"ollang-sandbox: {error}")
    parser = create_parser()
    options = vars(parser.parse_args(arguments))
    try:
        sandbox = Sandbox(order_count=options.pop("orders"), **options)
    except ValueError as error:
        parser.error(str(error))
    # Before the server's thread starts, as it inherits this: the signals are waited for below.
    signal.pthread_sigmask(signal.SIG_BLOCK, _EXIT_CODES)
    try:
        sandbox.start()
    except OSError as error:
        address = f"{options['host']}:{options['port']}"
        sys.exit(f"ollang-sandbox: cannot listen on {address}: {error.strerror}")
    sys.stdout.write(f"Ollang sandbox on {sandbox.url}\n")
    sys.stdout.flush()
    received = signal.sigwait(_EXIT_CODES)
    sandbox.stop()
    return _EXIT_CODES[received]


def create_parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    from airflow_provider_ollang.sandbox._errors import ERROR_FORMATS
    from airflow_provider_ollang.sandbox._faults import KINDS

    parser = argparse.ArgumentParser(
        prog="ollang-sandbox",
        description="A local server that speaks the Ollang integration API. Orders live in memory.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", default=8484, type=int, help="port; 0 takes a free one (%(default)s)")
    add("--orders", default=240, type=int, help="number of orders to start with (%(default)s)")
    add("--seed", default=0, type=int, help="seed of the orders and the faults (%(default)s)")
    add("--api-key", default="sandbox-key", help="the key to accept (%(default)s)")
    life = "seconds that a created order stays in a status, such as pending=30,ongoing=60 (forever)"
    add("--lifecycle", default="", metavar="SCHEDULE", help=life)
    twice = "share of completed orders whose callbackUrl is called twice (none)"
    add("--callback-twice", default=0.0, type=float, metavar="RATE", help=twice)
    add("--latency-ms", default=0.0, type=float, help="milliseconds added to every response (0)")
    add("--rate-limit", type=float, help="requests a second; beyond it, 429 (no limit)")
    faults = "kinds and rates, such as 500=0.1,429=0.05, or all=0.1 for every kind together (none)"
    add("--faults", default="", help=f"{faults}; the kinds are {', '.join(KINDS)}")
    formats = "how errors are written (%(default)s)"
    add("--error-format", default="documented", choices=ERROR_FORMATS, help=formats)
    return parser


if __name__ == "__main__":
    sys.exit(main())
