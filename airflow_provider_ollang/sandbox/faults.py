"""Trouble on purpose: the kinds that the sandbox can make, and how often it makes them."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Mapping

from airflow_provider_ollang.sandbox.exchange import Exchange
from airflow_provider_ollang.sandbox.refusals import TOO_MANY_REQUESTS

Fault = Callable[[Exchange], Awaitable[None]]
"""Ends an exchange in some bad way."""


async def _too_many_requests(exchange: Exchange) -> None:
    headers = [("retry-after", "1")]
    await exchange.respond_json(TOO_MANY_REQUESTS.status, TOO_MANY_REQUESTS.body, headers)


async def _server_error(exchange: Exchange) -> None:
    await exchange.respond_json(500, {"statusCode": 500, "message": "Internal server error"})


async def _bad_gateway(exchange: Exchange) -> None:
    await _gateway_page(exchange, 502, "Bad Gateway")


async def _unavailable(exchange: Exchange) -> None:
    await exchange.respond_json(503, {"statusCode": 503, "message": "Service Unavailable"})


async def _gateway_timeout(exchange: Exchange) -> None:
    await _gateway_page(exchange, 504, "Gateway Time-out")


async def _reset_before(exchange: Exchange) -> None:
    await exchange.reset()


async def _reset_after(exchange: Exchange) -> None:
    await exchange.handle_unanswered()
    await exchange.reset()


async def _timeout(exchange: Exchange) -> None:
    await exchange.wait_for_client_to_leave()


async def _gateway_page(exchange: Exchange, status: int, phrase: str) -> None:
    title = f"<title>{status} {phrase}</title>"
    page = f"<html><head>{title}</head><body><h1>{status} {phrase}</h1></body></html>"
    await exchange.respond(status, [("content-type", "text/html")], page.encode())


KINDS: dict[str, Fault] = {
    "429": _too_many_requests,
    "500": _server_error,
    "502": _bad_gateway,
    "503": _unavailable,
    "504": _gateway_timeout,
    "reset-before": _reset_before,
    "reset-after": _reset_after,
    "timeout": _timeout,
}
"""Every kind of fault by its name. Only ``reset-after`` acts on the request."""


def parse(specification: str) -> dict[str, float]:
    """Return the rate of each kind in a text such as ``500=0.1,reset-after=0.05``.

    :raises ValueError: a kind is unknown, a rate is no share of 1, or the rates exceed 1 together.
    """
    rates: dict[str, float] = {}
    for part in filter(None, specification.split(",")):
        kind, _, rate = part.partition("=")
        rates[_kind(kind.strip())] = _rate(part, rate)
    if sum(rates.values()) > 1:
        raise ValueError("the rates must not exceed 1 together")
    return rates


class FaultDice:
    """Draws, for each request, the fault that it meets, from a seeded generator.

    :param rates: how often each kind comes, as a share of 1.
    """

    def __init__(self, rates: Mapping[str, float], seed: int) -> None:
        self._rates = dict(rates)
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """Start the same sequence over."""
        self._random = random.Random(self._seed)  # noqa: S311 - repeatable, not secret

    def draw(self) -> str | None:
        """Return the kind of the next request's fault, or ``None`` for none."""
        if not self._rates:
            return None
        drawn = self._random.random()
        for kind, rate in self._rates.items():
            drawn -= rate
            if drawn < 0:
                return kind
        return None


def _kind(name: str) -> str:
    if name not in KINDS:
        raise ValueError(f"unknown kind {name!r}; the kinds are {', '.join(KINDS)}")
    return name


def _rate(part: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate <= 1:
        raise ValueError(f"{part!r} must be KIND=RATE with a rate from 0 to 1")
    return rate
