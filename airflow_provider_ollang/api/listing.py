"""Reading a listing to its end: each order once, and none missed because pages shifted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from airflow_provider_ollang.api.errors import UnexpectedAnswerError, UnreadableAnswerError
from airflow_provider_ollang.api.models import Order, OrderPage

log = logging.getLogger(__name__)

#: A listing longer than this is taken for one without end. 50 times 20,000 is a million orders.
MAX_PAGES = 20_000
#: How often a listing is read at most that changes while it is read.
MAX_READINGS = 3

PageCheck = Callable[[OrderPage], None]
ReadPage = Callable[[int, PageCheck | None], OrderPage]
"""Returns the page with a number. One that its check refuses is read again."""


def read_listing(read_page: ReadPage, *, page_size: int, readers: int) -> Iterator[Order]:
    """Yield every order of a listing, each id once, in the listing's order.

    The listing is read again where it says that it has more orders than came, or fewer than it
    had at first: then pages have shifted, and an order may have slipped to one that was read.

    :param read_page: reads a page; called from several threads
    :param page_size: orders on a full page
    :param readers: pages read side by side, once the first one tells how many there are
    :raises UnexpectedAnswerError: pages never end
    :raises OllangError: a page could not be read
    """
    seen: set[str] = set()
    for number in range(MAX_READINGS):
        reading = _Reading(read_page, page_size, readers)
        for page in reading.pages():
            for order in page.orders:
                if str(order.id) not in seen if order.id else number == 0:
                    yield order
                if order.id:
                    seen.add(str(order.id))
        if reading.is_whole(len(seen)):
            return
    log.warning(
        "The listing did not come whole in %d readings: it says that it has %d orders, and %d "
        "different ones were read. What was missed comes up in the next run.",
        MAX_READINGS,
        reading.counts[-1],
        len(seen),
    )


class _Reading:
    """One reading of a listing, from its first page to its last."""

    def __init__(self, read_page: ReadPage, page_size: int, readers: int) -> None:
        self._read_page = read_page
        self._page_size = page_size
        self._readers = readers
        #: What each page said of the number of all orders.
        self.counts: list[int] = []
        self._ids: set[str] = set()
        self._without_id = 0

    def pages(self) -> Iterator[OrderPage]:
        with _ReadAhead(self._read_page, self._readers) as ahead:
            for number in range(1, MAX_PAGES + 1):
                page = ahead.page(number)
                if page is None or not self._brings_more(page):
                    page = self._read_page(number, self._check)
                if number == 1:
                    ahead.begin(self._last_page(page))
                yield page
                self._note(page)
                if not page.has_next:
                    return
        raise UnexpectedAnswerError(f"the listing has more than {MAX_PAGES} pages")

    def _note(self, page: OrderPage) -> None:
        self._ids |= _ids(page)
        self._without_id += sum(not order.id for order in page.orders)
        if page.item_count is not None:
            self.counts.append(page.item_count)

    def _last_page(self, first: OrderPage) -> int:
        """Return the number of the last page, as far as the first one tells; never too high."""
        pages = -(-(first.item_count or 0) // self._page_size)
        return min(pages, MAX_PAGES) if len(first.orders) == self._page_size else 1

    def is_whole(self, seen: int) -> bool:
        """Return whether nothing is missing, with so many ids seen in this reading and before."""
        if not self.counts:
            return True
        return self.counts[0] <= self.counts[-1] <= seen + self._without_id

    def _brings_more(self, page: OrderPage) -> bool:
        return not page.has_next or not _ids(page) <= self._ids

    def _check(self, page: OrderPage) -> None:
        if not self._brings_more(page):
            raise UnreadableAnswerError(
                f"page {page.page} of the listing brought no new order, yet another is to follow"
            )


class _ReadAhead:
    """Reads pages side by side before they are asked for, a few of them at a time."""

    def __init__(self, read_page: ReadPage, readers: int) -> None:
        self._read_page = read_page
        self._under_way: dict[int, Future[OrderPage]] = {}
        self._waiting = iter(range(0))
        # Some more than there are readers, so that none waits for the slowest page.
        self._most = 2 * readers
        self._pool = ThreadPoolExecutor(readers, thread_name_prefix="ollang-page")

    def __enter__(self) -> _ReadAhead:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def begin(self, last: int) -> None:
        """Read the pages after the first one, up to the last."""
        self._waiting = iter(range(2, last + 1))
        self._fill()

    def page(self, number: int) -> OrderPage | None:
        """Return a page, ``None`` for one that is not read here.

        :raises OllangError: it could not be read
        """
        future = self._under_way.pop(number, None)
        page = future.result() if future else None
        self._fill()
        return page

    def _fill(self) -> None:
        while len(self._under_way) < self._most and (number := next(self._waiting, None)):
            self._under_way[number] = self._pool.submit(self._read_page, number, None)


def _ids(page: OrderPage) -> set[str]:
    return {str(order.id) for order in page.orders if order.id}
