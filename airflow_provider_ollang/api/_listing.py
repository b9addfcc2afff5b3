"""Reading a listing to its end: pages in parallel, each order once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from airflow_provider_ollang.api.errors import UnexpectedResponseError
from airflow_provider_ollang.api.models import Order, OrderPage

log = logging.getLogger(__name__)

#: A longer listing is taken for one without end: 50 times 20,000 is a million orders.
MAX_PAGES = 20_000
#: Pages that each reader reads before their orders are handed on: this bounds the memory.
_PAGES_AHEAD = 16

ReadPage = Callable[[int], OrderPage]


def read_listing(read_page: ReadPage, *, page_size: int, readers: int) -> Iterator[Order]:
    """Yield every order of a listing, each id once, in the listing's order.

    An order that slips to another page while the listing is read can be missed: a warning then
    gives the numbers.

    :param readers: pages read in parallel, once the first one tells how many there are
    :raises UnexpectedResponseError: a page repeats what was read, or pages never end
    """
    seen: set[str] = set()
    counts: list[int] = []
    read = 0
    for page in _pages(read_page, page_size, readers):
        new = [order for order in page.orders if not order.id or str(order.id) not in seen]
        seen.update(str(order.id) for order in new)
        if page.has_next and not new:
            raise UnexpectedResponseError(
                f"page {page.page} of the listing has no new orders, yet says that another follows"
            )
        yield from new
        read += len(new)
        counts += [] if page.item_count is None else [page.item_count]
    if counts and not counts[0] == counts[-1] == read:
        log.warning(
            "The listing changed while it was read: it had %d orders at first and %d at the end, "
            "and %d were read. The next run finds the rest.",
            *(counts[0], counts[-1], read),
        )


def _pages(read_page: ReadPage, page_size: int, readers: int) -> Iterator[OrderPage]:
    page = read_page(1)
    yield page
    is_full = len(page.orders) == page_size
    last = min(-(-(page.item_count or 0) // page_size), MAX_PAGES) if is_full else 1
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
