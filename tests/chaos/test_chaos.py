import random

import pytest

from tests.chaos.experiment import observe
from tests.faults import KINDS

#: Kinds that only a listing meets, or that are rare: 500 orders may not see them.
RARE = {"page-without-end", "429-hour"}


@pytest.mark.slow("a whole Airflow cleans up while its workers are killed")
def test_nothing_is_lost_and_no_report_is_untrue():
    seed = random.randrange(2**31)
    print("seed", seed)  # pytest shows it with a failure
    seen = observe(orders=500, chunk_size=100, seed=seed)
    assert seen.is_good, seen
    assert seen.verdict.cancelled > 400, seen
    assert len(seen.faults.keys() & (KINDS.keys() - RARE)) > 15, seen
