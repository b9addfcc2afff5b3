"""What the reports say, held against what the sandbox knows."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_provider_ollang.sandbox import RecordedRequest

SAYS_CANCELLED = frozenset({"cancelled", "already_cancelled"})
SAYS_MOVED_ON = frozenset({"status_changed", "not_cancellable"})
SAYS_UNFINISHED = frozenset({"failed", "not_tried"})


@dataclass(frozen=True)
class Verdict:
    """What became of the orders. Each set must be empty.

    :param cancelled: stale orders that the sandbox has cancelled
    :param left: the other stale orders, by the outcome that their last report names
    :param unaccounted: stale orders that are not cancelled and stand in no report
    :param wrongly_cancelled: orders that are cancelled and were not stale
    :param contradicted: orders of which a report says what is not so
    """

    cancelled: int
    left: Mapping[str, int]
    unaccounted: frozenset[str]
    wrongly_cancelled: frozenset[str]
    contradicted: frozenset[str]

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, and nothing untrue was said."""
        return not (self.unaccounted or self.wrongly_cancelled or self.contradicted)


def judge(
    stale: frozenset[str],
    status_of: Mapping[str, str],
    cancelled_at: Mapping[str, float],
    lines: Iterable[Mapping[str, Any]],
) -> Verdict:
    """Return the verdict.

    :param stale: the orders that were to be cancelled
    :param status_of: the status that each order of the sandbox has at the end
    :param cancelled_at: when each cancelled order was cancelled, in seconds since the epoch
    :param lines: the lines of all reports, those of one order in the order of their time
    """
    said: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        said.setdefault(line["id"], []).append(line)
    cancelled = {order_id for order_id, status in status_of.items() if status == "cancelled"}
    left = stale - cancelled
    return Verdict(
        cancelled=len(stale & cancelled),
        left=Counter(said[order_id][-1]["outcome"] for order_id in left & said.keys()),
        unaccounted=frozenset(left - said.keys()),
        wrongly_cancelled=frozenset(cancelled - stale),
        contradicted=frozenset(
            order_id
            for order_id in said.keys() | cancelled
            if not _is_true(
                said.get(order_id, []), status_of.get(order_id), cancelled_at.get(order_id, 0)
            )
        ),
    )


def cancelled_at(received: Iterable[RecordedRequest]) -> dict[str, float]:
    """Return when each order was cancelled, in seconds since the epoch."""
    acts = [(it.order_id, it.acted) for it in received if it.is_cancel and it.acted]
    return {str(order_id): acted for order_id, acted in reversed(acts)}


def lines_of(reports: Path) -> list[dict[str, Any]]:
    """Return the lines of all reports in a folder, the earlier ones first."""
    lines = [json.loads(it) for path in reports.iterdir() for it in path.read_text().splitlines()]
    return sorted(lines, key=lambda line: str(line["time"]))


def _is_true(lines: list[Mapping[str, Any]], status: str | None, cancelled_at: float) -> bool:
    """Return whether an order's lines agree with what became of it, and leave no cancel out."""
    if status == "cancelled":
        said = [line for line in lines if line["outcome"] in SAYS_CANCELLED]
        return (
            (bool(said) or any(line["response_lost"] for line in lines))
            and all(_time_of(line) >= cancelled_at for line in said)
            and not any(line["outcome"] in SAYS_MOVED_ON for line in lines)
        )
    possible = SAYS_UNFINISHED if status == "pending" else SAYS_UNFINISHED | SAYS_MOVED_ON
    return all(line["outcome"] in possible for line in lines)


def _time_of(line: Mapping[str, Any]) -> float:
    # A report tells milliseconds: what comes after them is cut off.
    return datetime.fromisoformat(line["time"]).timestamp() + 0.001
