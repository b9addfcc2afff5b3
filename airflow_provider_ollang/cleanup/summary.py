"""The stale orders as a Markdown table, for the person who approves their cancellation."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from airflow_provider_ollang.cleanup.stale import StaleOrder

#: Rows of the table: an approval's body must stay readable.
SHOWN_ORDERS = 100
#: Airflow keeps an approval's body in a TEXT column; MySQL's holds 65,535 bytes.
MAX_BYTES = 60_000

#: Where GitHub's Markdown turns bare text, even entities, into a link: a gap prevents it.
_AUTOLINK = re.compile(r"(?<=www)(?=\.)|(?=:/)|(?=@)", re.IGNORECASE)
_ZERO_WIDTH_SPACE = "\u200b"

#: A long word gets gaps to break it at, or it would push the columns behind it out of sight. An id,
#: of 24 characters, gets none: people copy it.
_LONG_WORD = re.compile(r"(\S{30})(?=\S)")

#: In the order in which a person decides.
_COLUMNS = ("age in days", "name", "languages", "type", "project", "status", "id")


def summarize(orders: Sequence[StaleOrder], *, left_out: int = 0, invalid: int = 0) -> str:
    """Return the orders as a Markdown table of at most 100 rows and 60,000 bytes, with totals.

    People write the names, so no text in it can break the table, look like another row, or become a
    link or HTML.

    :param orders: the stale orders, oldest first
    :param left_out: the number of stale orders that ``limit`` leaves for later runs
    :param invalid: the number of invalid orders
    """
    lines = [_total(len(orders), left_out, invalid)]
    rows = [_row(_cells(order)) for order in orders[:SHOWN_ORDERS]]
    sizes = accumulate(len(row.encode()) + 1 for row in rows)
    rows = [row for row, size in zip(rows, sizes, strict=True) if size <= MAX_BYTES]
    if rows:
        lines += ["", _row(_COLUMNS), _row(["---"] * len(_COLUMNS)), *rows]
    if len(orders) > len(rows):
        lines += ["", f"… and {len(orders) - len(rows)} more."]
    return "\n".join(lines)


def escape(value: object, longest: int = 80) -> str:
    """Return text as one Markdown table cell that shows it and nothing else. Cuts a longer one."""
    text = "" if value is None else str(value)
    if len(text) > longest:
        text = text[: longest - 1] + "…"
    text = "".join(char if char.isprintable() else " " for char in text)
    text = _LONG_WORD.sub(rf"\1{_ZERO_WIDTH_SPACE}", _AUTOLINK.sub(_ZERO_WIDTH_SPACE, text))
    return "".join(map(_escape_char, text))


def _escape_char(char: str) -> str:
    # Entities, not backslashes: no dialect of Markdown takes them for syntax, nor for HTML.
    is_plain = char.isalnum() or char in " -.,…→"
    return char if is_plain else f"&#{ord(char)};"


def _total(stale: int, left_out: int, invalid: int) -> str:
    parts = [f"**{stale} stale order{'' if stale == 1 else 's'}**"]
    if left_out:
        parts.append(f"{left_out} more left for later runs")
    if invalid:
        parts.append(f"{invalid} skipped as invalid")
    return "; ".join(parts) + "."


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(order: StaleOrder) -> list[str]:
    # Up to 600 bytes a row let 100 of them into MAX_BYTES: what is approved is what is shown.
    languages = (order.sourceLanguage, order.targetLanguage)
    pair = " → ".join(it or "?" for it in languages) if any(languages) else None
    between = (pair, order.type, order.projectId, order.status)
    return [
        str(order.age),
        escape(order.name),
        *(escape(value, longest=40) for value in between),
        order.id.replace("_", "&#95;"),
    ]
