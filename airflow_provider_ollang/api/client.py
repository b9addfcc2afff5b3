"""The client: one method for each endpoint of the Ollang API that this package uses."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from airflow_provider_ollang.api._responses import error_from_response, one_line, parse_json
from airflow_provider_ollang.api._secret import Secret
from airflow_provider_ollang.api._session import ApiSession, environment_settings
from airflow_provider_ollang.api._transport import error_from_exception
from airflow_provider_ollang.api._validation import check_api_key, check_base_url, check_order_id
from airflow_provider_ollang.api.creation import CreatedOrder, OrderRequest, parse_created
from airflow_provider_ollang.api.errors import UnexpectedResponseError, UnreadableResponseError
from airflow_provider_ollang.api.models import (
    CancelReceipt,
    Order,
    OrderPage,
    OrderQuery,
    parse_http_date,
)
from airflow_provider_ollang.api.rate_limiter import RateLimiter
from airflow_provider_ollang.api.retry import RetryPolicy, RetryState, call_with_retries

log = logging.getLogger(__name__)

DEFAULT_BASE_URL = "https://api-integration.ollang.com"
DEFAULT_TIMEOUT = 30.0
CONNECT_TIMEOUT = 10.0

#: The most orders that the API gives on one page.
PAGE_SIZE = 50
#: A longer listing is taken for one without end: 50 times 20,000 is a million orders.
MAX_PAGES = 20_000
#: Pages that each reader reads before their orders are handed on: this bounds the memory.
_PAGES_AHEAD = 16
#: What is read of one response. An order with an evaluation of each subtitle segment has 5 MB;
#: read into objects, a body takes nine times its size in memory, in each worker.
MAX_BODY_BYTES = 16 * 1024 * 1024


class OllangClient:
    """A client of the Ollang integration API. Threads may share it: each gets its own connection.

    Every call has timeouts, follows no redirect, and is repeated by the retry policy. Cancelling
    is repeated too: doing it twice changes nothing. Proxies and ``REQUESTS_CA_BUNDLE`` are taken
    from the environment when the client is made.

    :param api_key: the key, sent as ``X-Api-Key`` and shown nowhere
    :param base_url: where the API is; Ollang's own if left out
    :param timeout: seconds for a complete response, 30 if left out; 10 at most to connect
    :param verify: whether to check the server's certificate, or the path of a CA bundle
    :param allow_http: whether plain http may go to other machines than this one
    :param retry_policy: how calls are repeated
    :param rate_limiter: when requests may go out; stop it to end all calls
    :raises InvalidInputError: the key or the URL is invalid, or the CA bundle or the environment's
        proxy cannot be used
    """

    def __init__(
        self,
        api_key: str,
        *,
        base_url: str = DEFAULT_BASE_URL,
        timeout: float = DEFAULT_TIMEOUT,
        verify: bool | str = True,
        allow_http: bool = False,
        retry_policy: RetryPolicy | None = None,
        rate_limiter: RateLimiter | None = None,
    ) -> None:
        self._api_key = Secret(check_api_key(api_key))
        self.base_url = check_base_url(base_url, allow_http=allow_http)
        self.retry_policy = retry_policy or RetryPolicy()
        self.rate_limiter = rate_limiter or RateLimiter()
        self._options: dict[str, Any] = {
            "timeout": (min(CONNECT_TIMEOUT, timeout), timeout),
            "stream": True,  # so that a body is read only up to a limit
            **environment_settings(self.base_url, verify),
        }
        self._local = threading.local()
        self._sessions: list[requests.Session] = []

    def __repr__(self) -> str:
        return f"{type(self).__name__}(base_url={self.base_url!r})"

    def __enter__(self) -> OllangClient:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections of all threads."""
        while self._sessions:
            self._sessions.pop().close()

    def cancel_order(
        self,
        order_id: str,
        *,
        check: Callable[[Order], None] | None = None,
        retry_state: RetryState | None = None,
    ) -> CancelReceipt:
        """Cancel an order, which cannot be undone, and return the confirmation.

        Only a 204 counts as one. Source: https://api-docs.ollang.com, "Cancel order".

        :param order_id: the order
        :param check: gets the order, read right before each request; raises to send none, such as
            a ``ConditionNotMetError``
        :param retry_state: counts along, for a caller that looks at it meanwhile
        :raises InvalidInputError: the id is invalid; nothing was sent
        :raises OrderAlreadyCancelledError: it was cancelled before. With ``response_lost``, this
            call's own lost request is the likely cause
        :raises OllangError: any other error, by its class
        """
        check_order_id(order_id)
        counted = retry_state or RetryState()
        call_with_retries(
            lambda: self._send("POST", f"/integration/orders/cancel/{order_id}", order_id=order_id),
            self.retry_policy,
            self.rate_limiter,
            check=check and (lambda: check(self._read_order(order_id))),
            retry_state=counted,
        )
        return CancelReceipt(order_id, counted.attempts, counted.response_lost)

    def create_order(self, request: OrderRequest) -> list[CreatedOrder]:
        """Create orders and return all that the request created; there may be more than languages.

        Creating is not idempotent: the request is sent again only where nothing can have been
        created (429, or no connection). Source: https://api-docs.ollang.com, "Create order".

        :param request: what to create
        :raises ProjectNotFoundError: there is no such project
        :raises OllangError: any other error, by its class. With ``response_lost``, orders may have
            been created: look with :func:`~airflow_provider_ollang.api.adoption.find_created`
        """

        def create() -> list[CreatedOrder]:
            value = self._send("POST", "/integration/orders/create", creates=request)
            if orders := parse_created(value):
                return orders
            raise UnexpectedResponseError(
                f"expected a list of created orders, got {self._shown(value)}", status=201
            )

        return call_with_retries(create, self.retry_policy, self.rate_limiter, is_repeatable=False)

    def get_order(self, order_id: str) -> Order:
        """Return one order as it is now.

        :param order_id: the order
        :raises InvalidInputError: the id is invalid; nothing was sent
        :raises OllangError: any error, by its class
        """
        check_order_id(order_id)
        return call_with_retries(
            lambda: self._read_order(order_id), self.retry_policy, self.rate_limiter
        )

    def _read_order(self, order_id: str) -> Order:
        value = self._send("GET", f"/integration/orders/{order_id}", order_id=order_id)
        if _fields(value).get("id") != order_id:
            raise UnreadableResponseError(
                f"expected one order, got {self._shown(value)}", order_id=order_id
            )
        return Order.from_json(value)

    def list_orders(
        self, query: OrderQuery | None = None, *, page: int = 1, take: int = PAGE_SIZE
    ) -> OrderPage:
        """Return one page of a listing.

        :param query: which orders, and how sorted
        :param page: the page's number, from 1
        :param take: orders on a page, 1 to 50
        :raises UnreadableResponseError: the response is not the page that was asked for
        :raises OllangError: any error, by its class
        """
        params = (query or OrderQuery()).params(page, take)
        return call_with_retries(
            lambda: self._page(self._send("GET", "/integration/orders", params=params), page),
            self.retry_policy,
            self.rate_limiter,
        )

    def iter_orders(
        self,
        query: OrderQuery | None = None,
        *,
        readers: int = 1,
        check: Callable[[OrderPage], None] | None = None,
    ) -> Iterator[Order]:
        """Yield every order of a listing, page after page, each id once.

        A listing that breaks off raises: it never ends early as if it were whole. An order that
        slips to another page meanwhile can be missed: a warning then gives the numbers.

        :param query: which orders, and how sorted
        :param readers: pages read in parallel
        :param check: gets each page as it is read, in any thread; what it raises ends the
            listing
        :raises UnexpectedResponseError: a page is invalid or has no new order, or pages never end
        :raises OllangError: any error, by its class
        """

        def read_page(number: int) -> OrderPage:
            page = self.list_orders(query, page=number)
            if check:
                check(page)
            return page

        seen: set[str] = set()
        counts: list[int] = []
        read = 0
        for page in _read_pages(read_page, readers):
            new = [order for order in page.orders if not order.id or str(order.id) not in seen]
            seen.update(str(order.id) for order in new)
            if page.has_next and not new:
                raise UnexpectedResponseError(
                    f"page {page.page} of the listing has no new orders, yet says that another "
                    "follows"
                )
            yield from new
            read += len(new)
            counts += [] if page.item_count is None else [page.item_count]
        if counts and not counts[0] == counts[-1] == read:
            log.warning(
                "The listing changed while it was read: it had %d orders at first and %d at the "
                "end, and %d were read. The next run finds the rest.",
                *(counts[0], counts[-1], read),
            )

    def _page(self, value: Any, number: int) -> OrderPage:
        """Return the page, if it is what the API documents. Nothing else may pass for a list."""
        fields = _fields(value)
        data, meta = fields.get("data"), _fields(fields.get("meta"))
        has_next, page = meta.get("hasNextPage"), meta.get("page", number)
        if not isinstance(data, list) or not isinstance(has_next, bool) or page != number:
            raise UnreadableResponseError(
                f"expected page {number} with 'data' and 'hasNextPage', got "
                f"{self._shown(meta or value)}"
            )
        count = meta.get("itemCount")
        return OrderPage(
            orders=tuple(Order.from_json(_fields(item)) for item in data),
            page=number,
            item_count=count if type(count) is int and count >= 0 else None,
            has_next=has_next,
            server_time=parse_http_date(self._local.date),
        )

    def _shown(self, value: Any) -> str:
        return one_line(value, secret=self._api_key)

    def _send(
        self,
        method: str,
        path: str,
        *,
        params: dict[str, str] | None = None,
        order_id: str | None = None,
        creates: OrderRequest | None = None,
    ) -> Any:
        """Send one request; return the response's JSON, ``None`` for a confirmed cancellation."""
        try:
            response = self._session().request(
                method,
                self.base_url + path,
                params=params,
                json=creates.to_json() if creates else None,
                **self._options,
            )
            with response:
                body = _read(response, order_id)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise error_from_exception(
                error, base_url=self.base_url, order_id=order_id, secret=self._api_key
            ) from None
        log.debug("%s %s: HTTP %d, %d bytes", method, path, response.status_code, len(body))
        self._local.date = response.headers.get("Date")  # of this thread's last response
        if response.status_code != 429:
            self.rate_limiter.note_response()
        wanted = 201 if creates else 204 if method == "POST" else 200
        content_type = response.headers.get("Content-Type", "")
        value = None if wanted == 204 else parse_json(body, content_type, secret=self._api_key)
        if response.status_code != wanted or (wanted != 204 and value is None):
            raise error_from_response(
                response.status_code,
                response.headers,
                body,
                order_id=order_id,
                project_id=creates.project_id if creates else None,
                is_read=method == "GET",
                secret=self._api_key,
            )
        return value

    def _session(self) -> requests.Session:
        """Return this thread's session: sharing one between threads is not safe in requests."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = ApiSession(self._api_key)
            self._sessions.append(session)
        return session


def _read_pages(read_page: Callable[[int], OrderPage], readers: int) -> Iterator[OrderPage]:
    page = read_page(1)
    yield page
    is_full = len(page.orders) == PAGE_SIZE
    last = min(-(-(page.item_count or 0) // PAGE_SIZE), MAX_PAGES) if is_full else 1
    ahead = _PAGES_AHEAD * readers
    with ThreadPoolExecutor(readers, thread_name_prefix="ollang-page") as pool:
        for start in range(2, last + 1, ahead):
            for page in pool.map(read_page, range(start, min(start + ahead, last + 1))):
                yield page
                if not page.has_next:
                    return
    while page.has_next:
        if page.page >= MAX_PAGES:
            raise UnexpectedResponseError(f"the listing has more than {MAX_PAGES} pages")
        page = read_page(page.page + 1)
        yield page


def _fields(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _read(response: requests.Response, order_id: str | None) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(65536):
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise UnexpectedResponseError(
                f"the response is longer than {MAX_BODY_BYTES} bytes; the rest was not read",
                status=response.status_code,
                order_id=order_id,
            )
    return bytes(body)
