from __future__ import annotations

import random

from tests.chaos.experiment import observe
from tests.faults import KINDS

#: Kinds that only a listing meets, or that come seldom: 500 orders may not see them.
SELDOM = {"page-without-end", "429-hour"}


def test_nothing_is_lost_and_no_record_is_untrue() -> None:
    seed = random.randrange(2**31)
    print("seed", seed)  # pytest shows it with a failure

    seen = observe(orders=500, chunk_size=100, seed=seed)

    assert seen.is_good, seen
    assert seen.verdict.cancelled > 400, seen
    assert len(seen.faults.keys() & (KINDS.keys() - SELDOM)) > 15, seen
