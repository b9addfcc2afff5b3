"""What the command ``ollang-sandbox`` does, and its options."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Callable, Sequence

from airflow_provider_ollang.sandbox import dice, faults
from airflow_provider_ollang.sandbox.refusals import ERROR_FORMATS
from airflow_provider_ollang.sandbox.server import DEFAULT_API_KEY, DEFAULT_ORDER_COUNT, Sandbox

DEFAULT_PORT = 8484


def run(arguments: Sequence[str] | None) -> int:
    """Serve a sandbox until it is interrupted, and return the exit code."""
    options = _parser().parse_args(arguments)
    sandbox = _sandbox(options)
    try:
        sandbox.start()
    except OSError as error:
        place = f"{options.host}:{options.port}"
        sys.stderr.write(f"ollang-sandbox: cannot listen on {place}: {error.strerror}\n")
        return 1
    return _serve(sandbox)


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


def _sandbox(options: argparse.Namespace) -> Sandbox:
    return Sandbox(
        host=options.host,
        port=options.port,
        order_count=options.orders,
        seed=options.seed,
        api_key=options.api_key,
        latency_ms=options.latency_ms,
        rate_limit=options.rate_limit,
        faults=options.faults,
        error_format=options.error_format,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ollang-sandbox",
        description="A local server that speaks the Ollang integration API. Orders live in memory.",
    )
    _add_server_options(parser.add_argument_group("the server"))
    _add_format_option(parser.add_argument_group("errors"))
    _add_account_options(parser.add_argument_group("the account"))
    _add_trouble_options(parser.add_argument_group("trouble"))
    return parser


def _add_server_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    group.add_argument(
        "--port",
        default=DEFAULT_PORT,
        type=_port,
        help="port to listen on; 0 takes a free one (%(default)s)",
    )


def _add_format_option(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--error-format",
        default="documented",
        choices=ERROR_FORMATS,
        help="how errors are written: as the reference says, in the vendor's generic envelope, "
        "or as NestJS does (%(default)s)",
    )


def _add_account_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--orders",
        default=DEFAULT_ORDER_COUNT,
        type=_count,
        help="how many orders to start with (%(default)s)",
    )
    group.add_argument(
        "--seed",
        default=0,
        type=_seed,
        help="the same seed gives the same orders and faults (%(default)s)",
    )
    group.add_argument(
        "--api-key", default=DEFAULT_API_KEY, type=_key, help="the key to accept (%(default)s)"
    )


def _add_trouble_options(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--latency-ms",
        default=0,
        type=_milliseconds,
        help="milliseconds that every answer takes longer (%(default)s)",
    )
    group.add_argument(
        "--rate-limit", type=_rate, help="requests a second, beyond which 429 is answered (none)"
    )
    group.add_argument(
        "--faults",
        default="",
        type=_faults,
        help="kinds and rates, such as 500=0.1,429=0.05, or all=0.1 for every kind together; "
        f"the kinds are {', '.join(faults.KINDS)}",
    )


def _number(
    convert: Callable[[str], float], accept: Callable[[float], bool], expected: str
) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            number = convert(text)
        except ValueError:
            number = float("nan")
        if not accept(number):
            raise argparse.ArgumentTypeError(f"{text!r} must be {expected}")
        return number

    return parse


_port = _number(int, lambda number: 0 <= number <= 65535, "a whole number from 0 to 65535")
_count = _number(int, lambda number: number >= 0, "a whole number, 0 or more")
_seed = _number(int, lambda number: number == number, "a whole number")
_milliseconds = _number(float, lambda number: 0 <= number < float("inf"), "a number, 0 or more")
_rate = _number(float, lambda number: 0 < number < float("inf"), "a number above 0")


def _key(text: str) -> str:
    if not text.isascii() or not text.strip():
        raise argparse.ArgumentTypeError("the key must be ASCII text, and not blank")
    return text


def _faults(text: str) -> str:
    try:
        dice.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    return text
