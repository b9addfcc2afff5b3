"""Reading a listing to its end: each order once, and none missed because pages shifted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from airflow_provider_ollang.api.errors import UnexpectedAnswerError, UnreadableAnswerError
from airflow_provider_ollang.api.models import Order, OrderPage

log = logging.getLogger(__name__)

#: A listing longer than this is taken for one without end. 50 times 20,000 is a million orders.
MAX_PAGES = 20_000
#: How often a listing is read at most that changes while it is read.
MAX_READINGS = 3

PageCheck = Callable[[OrderPage], None]
ReadPage = Callable[[int, PageCheck], OrderPage]
"""Returns the page with a number. One that its check refuses is read again."""


def read_listing(read_page: ReadPage) -> Iterator[Order]:
    """Yield every order of a listing, each id once.

    The listing is read again where it says that it has more orders than came, or fewer than it
    had at first: then pages have shifted, and an order may have slipped to one that was read.

    :raises UnexpectedAnswerError: pages never end
    :raises OllangError: a page could not be read
    """
    seen: set[str] = set()
    for number in range(MAX_READINGS):
        reading = _Reading()
        for page in reading.pages(read_page):
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

    def __init__(self) -> None:
        #: What each page said of the number of all orders.
        self.counts: list[int] = []
        self._ids: set[str] = set()
        self._without_id = 0

    def pages(self, read_page: ReadPage) -> Iterator[OrderPage]:
        for number in range(1, MAX_PAGES + 1):
            page = read_page(number, self._check)
            yield page
            self._ids |= _ids(page)
            self._without_id += sum(not order.id for order in page.orders)
            if page.item_count is not None:
                self.counts.append(page.item_count)
            if not page.has_next:
                return
        raise UnexpectedAnswerError(f"the listing has more than {MAX_PAGES} pages")

    def is_whole(self, seen: int) -> bool:
        """Return whether nothing is missing, with so many ids seen in this reading and before."""
        if not self.counts:
            return True
        return self.counts[0] <= self.counts[-1] <= seen + self._without_id

    def _check(self, page: OrderPage) -> None:
        if page.has_next and _ids(page) <= self._ids:
            raise UnreadableAnswerError(
                f"page {page.page} of the listing brought no new order, yet another is to follow"
            )


def _ids(page: OrderPage) -> set[str]:
    return {str(order.id) for order in page.orders if order.id}
