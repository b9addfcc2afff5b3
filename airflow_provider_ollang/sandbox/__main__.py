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
    from airflow_provider_ollang.sandbox.errors import ERROR_FORMATS
    from airflow_provider_ollang.sandbox.faults import KINDS

    parser = argparse.ArgumentParser(
        prog="ollang-sandbox",
        description="A local server that speaks the Ollang integration API. Orders live in memory.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument_group("the server").add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", default=8484, type=int, help="port to listen on; 0 takes a free one")
    add = parser.add_argument_group("the account").add_argument
    add("--orders", default=240, type=int, help="how many orders to start with")
    add("--seed", default=0, type=int, help="the same seed gives the same orders and faults")
    add("--api-key", default="sandbox-key", help="the key to accept")
    add(
        "--lifecycle",
        default="",
        help="seconds that a created order stays in each status before it is completed, "
        "such as pending=30,ongoing=60; without it orders stand still",
    )
    add(
        "--callback-twice",
        default=0.0,
        type=float,
        metavar="RATE",
        help="share of completed orders whose callbackUrl is called twice",
    )
    add = parser.add_argument_group("trouble").add_argument
    add("--latency-ms", default=0.0, type=float, help="milliseconds that responses take longer")
    add("--rate-limit", type=float, help="requests a second, beyond which the response is a 429")
    add(
        "--faults",
        default="",
        help="kinds and rates, such as 500=0.1,429=0.05, or all=0.1 for every kind together; "
        f"the kinds are {', '.join(KINDS)}",
    )
    add(
        "--error-format",
        default="documented",
        choices=ERROR_FORMATS,
        help="how errors are written: as the reference says, in the vendor's generic envelope, "
        "or as NestJS does",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
