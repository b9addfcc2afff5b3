"""The command ``ollang-sandbox``, which is also ``python -m airflow_provider_ollang.sandbox``."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_provider_ollang.sandbox import Sandbox


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve a sandbox until it is interrupted, and return the exit code."""
    try:
        from airflow_provider_ollang.sandbox import Sandbox
    except ImportError as error:  # the extra is missing
        return _fail(error)
    parser = create_parser()
    options = vars(parser.parse_args(arguments))
    try:
        sandbox = Sandbox(order_count=options.pop("orders"), **options)
    except ValueError as error:
        parser.error(str(error))
    try:
        sandbox.start()
    except OSError as error:
        address = f"{options['host']}:{options['port']}"
        return _fail(f"cannot listen on {address}: {error.strerror}")
    return _serve(sandbox)


def _fail(message: object) -> int:
    sys.stderr.write(f"ollang-sandbox: {message}\n")
    return 1


def _serve(sandbox: Sandbox) -> int:
    try:
        signal.signal(signal.SIGTERM, _terminate)
        # A shell lets what it starts in the background ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.stdout.write(f"Ollang sandbox on {sandbox.url}\n")
        sys.stdout.flush()
        threading.Event().wait()
    except KeyboardInterrupt:
        return 130
    finally:
        sandbox.stop()
    return 0


def _terminate(*_: object) -> None:
    # Not an event to be set: a handler that takes a lock can meet the one it interrupted.
    sys.exit(0)


def create_parser() -> argparse.ArgumentParser:
    """Return the parser of the command's options."""
    from airflow_provider_ollang.sandbox._errors import ERROR_FORMATS
    from airflow_provider_ollang.sandbox._faults import KINDS

    parser = argparse.ArgumentParser(
        prog="ollang-sandbox",
        description="A local server that speaks the Ollang integration API. Orders live in memory.",
    )
    add = parser.add_argument_group("the server").add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", default=8484, type=int, help="port; 0 takes a free one (%(default)s)")
    add = parser.add_argument_group("the account").add_argument
    add("--orders", default=240, type=int, help="number of orders to start with (%(default)s)")
    add("--seed", default=0, type=int, help="seed of the orders and the faults (%(default)s)")
    add("--api-key", default="sandbox-key", help="the key to accept (%(default)s)")
    life = "seconds that a created order stays in a status, such as pending=30,ongoing=60 (forever)"
    add("--lifecycle", default="", metavar="SCHEDULE", help=life)
    twice = "share of completed orders whose callbackUrl is called twice (%(default)s)"
    add("--callback-twice", default=0.0, type=float, metavar="RATE", help=twice)
    add = parser.add_argument_group("limits and faults").add_argument
    latency = "milliseconds added to every response (%(default)s)"
    add("--latency-ms", default=0.0, type=float, help=latency)
    limit = "requests a second, beyond which the response is a 429 (no limit)"
    add("--rate-limit", type=float, help=limit)
    faults = "kinds and rates, such as 500=0.1,429=0.05, or all=0.1 for every kind together (none)"
    add("--faults", default="", help=f"{faults}; the kinds are {', '.join(KINDS)}")
    formats = "how errors are written (%(default)s)"
    add("--error-format", default="documented", choices=ERROR_FORMATS, help=formats)
    return parser


if __name__ == "__main__":
    sys.exit(main())
