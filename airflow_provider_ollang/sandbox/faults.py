"""Trouble on purpose: the kinds that the sandbox can make."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from airflow_provider_ollang.sandbox.exchange import ApiAnswer, Exchange, Headers
from airflow_provider_ollang.sandbox.refusals import TOO_MANY_REQUESTS, framework

REFUSING_SECONDS = 0.2
DRIP_SECONDS = 0.1
HOUR = 3600

Make = Callable[[Exchange], Awaitable[None]]
"""Ends an exchange in some bad way."""


@dataclass(frozen=True)
class Fault:
    """A kind of trouble.

    :param make: makes it.
    :param fits: whether a request can meet it at all.
    """

    make: Make
    fits: Callable[[Exchange], bool] = lambda exchange: True


# The connection.


async def _refused(exchange: Exchange) -> None:
    answer = await exchange.ask_api()
    exchange.refuse_connections(REFUSING_SECONDS)
    headers = [*answer.headers, ("connection", "close")]
    await exchange.respond(answer.status, headers, answer.body)


async def _reset_before(exchange: Exchange) -> None:
    await exchange.reset()


async def _reset_after(exchange: Exchange) -> None:
    await exchange.ask_api()
    await exchange.reset()


async def _timeout_before(exchange: Exchange) -> None:
    await exchange.wait_for_client_to_leave()


async def _timeout_after(exchange: Exchange) -> None:
    await exchange.ask_api()
    await exchange.wait_for_client_to_leave()


async def _slow_drip(exchange: Exchange) -> None:
    await exchange.drip(DRIP_SECONDS)


async def _truncated(exchange: Exchange) -> None:
    answer = await exchange.ask_api()
    if answer.body:
        headers = [*answer.headers, ("content-length", str(len(answer.body)))]
        await exchange.respond(answer.status, headers, answer.body[: len(answer.body) // 2])
    else:
        await exchange.hang_up()


# Refusals and errors.


def too_many_requests(retry_after: Callable[[], str] | None) -> Make:
    """Return what refuses a request for speed, with what ``retry_after`` tells as its header."""

    async def make(exchange: Exchange) -> None:
        headers = [("retry-after", retry_after())] if retry_after else []
        await exchange.refuse(TOO_MANY_REQUESTS, headers)

    return make


def _soon() -> str:
    # A date has no fractions: this one is one to two seconds ahead.
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


def _error(status: int, message: str) -> Make:
    async def make(exchange: Exchange) -> None:
        await exchange.refuse(framework(status, message))

    return make


def _web_page(status: int, title: str, *headers: tuple[str, str]) -> Make:
    page = f"<html><head><title>{title}</title></head><body><h1>{title}</h1></body></html>"

    async def make(exchange: Exchange) -> None:
        await exchange.respond(status, [("content-type", "text/html"), *headers], page.encode())

    return make


# Answers that were spoilt on their way.


async def _wrong_type(exchange: Exchange) -> None:
    answer = await exchange.ask_api()
    await exchange.respond(answer.status, _typed("application/octet-stream"), answer.body)


async def _malformed(exchange: Exchange) -> None:
    answer = await exchange.ask_api()
    await _spoilt(exchange, answer, answer.body[:-1] or b"{")


async def _empty(exchange: Exchange) -> None:
    await _spoilt(exchange, await exchange.ask_api(), b"")


async def _spoilt(exchange: Exchange, answer: ApiAnswer, body: bytes) -> None:
    # Of a 204 nothing can be spoilt: it becomes another success.
    status = 200 if answer.status == 204 else answer.status
    await exchange.respond(status, _typed("application/json"), body)


def _typed(content_type: str) -> Headers:
    return [("content-type", content_type)]


# Listings that are not what they say, and orders that move on.


async def _page_repeats(exchange: Exchange) -> None:
    page = await _page(exchange)
    page["data"] = (await _page(exchange, page["meta"]["page"] - 1))["data"]
    await exchange.respond_json(200, page)


async def _page_shrinks(exchange: Exchange) -> None:
    page = await _page(exchange)
    page["data"] = page["data"][: len(page["data"]) // 2]
    await exchange.respond_json(200, page)


async def _page_without_end(exchange: Exchange) -> None:
    page = await _page(exchange)
    page["meta"]["hasNextPage"] = True
    await exchange.respond_json(200, page)


async def _page(exchange: Exchange, number: int | None = None) -> Any:
    query = exchange.received.query
    if number is not None:
        query["pageOptions[page]"] = str(number)
    return json.loads((await exchange.ask_api(query)).body)


async def _moves_on(exchange: Exchange) -> None:
    exchange.orders.begin(str(exchange.received.order_id))
    await exchange.handle()


def _is_page(exchange: Exchange) -> bool:
    return exchange.received.is_listing and exchange.received.key_accepted


def _is_later_page(exchange: Exchange) -> bool:
    return _is_page(exchange) and exchange.received.query.get("pageOptions[page]", "1") != "1"


def _is_about_an_order(exchange: Exchange) -> bool:
    return exchange.received.order_id is not None


KINDS: dict[str, Fault] = {
    "refused": Fault(_refused),
    "reset-before": Fault(_reset_before),
    "reset-after": Fault(_reset_after),
    "timeout-before": Fault(_timeout_before),
    "timeout-after": Fault(_timeout_after),
    "slow-drip": Fault(_slow_drip),
    "truncated": Fault(_truncated),
    "429": Fault(too_many_requests(lambda: "1")),
    "429-date": Fault(too_many_requests(_soon)),
    "429-bare": Fault(too_many_requests(None)),
    "429-nonsense": Fault(too_many_requests(lambda: "soon")),
    "429-hour": Fault(too_many_requests(lambda: str(HOUR))),
    "500": Fault(_error(500, "Internal server error")),
    "502": Fault(_web_page(502, "502 Bad Gateway")),
    "503": Fault(_error(503, "Service Unavailable")),
    "504": Fault(_web_page(504, "504 Gateway Time-out")),
    "html": Fault(_web_page(200, "Please log in")),
    "redirect": Fault(_web_page(302, "Moved", ("location", "https://elsewhere.invalid/"))),
    "wrong-type": Fault(_wrong_type),
    "malformed": Fault(_malformed),
    "empty": Fault(_empty),
    "page-repeats": Fault(_page_repeats, _is_later_page),
    "page-shrinks": Fault(_page_shrinks, _is_page),
    "page-without-end": Fault(_page_without_end, _is_page),
    "moves-on": Fault(_moves_on, _is_about_an_order),
}
"""Every kind of fault by its name.

The request is acted on before ``reset-after``, ``timeout-after``, ``truncated``, ``wrong-type``,
``malformed``, ``empty`` and ``refused`` (which answers, and then takes no new connection for
0.2 seconds). The other kinds keep the API from acting on it.
"""


async def make(kind: str, exchange: Exchange) -> None:
    """End an exchange with a kind of fault; as usual, if it is none that can meet it."""
    fault = KINDS[kind]
    if not fault.fits(exchange):
        await exchange.handle()
        return
    exchange.received.fault = kind
    await fault.make(exchange)
