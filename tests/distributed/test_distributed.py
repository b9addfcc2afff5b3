"""A cleanup on several workers, of which one dies: what must hold anyway."""

from __future__ import annotations

from collections import Counter

from airflow_provider_ollang.api.client import PAGE_SIZE
from tests.chaos.verdict import judge
from tests.distributed.airflow import SLOTS, TASKS_A_WORKER, WORKERS
from tests.distributed.experiment import KILLED
from tests.distributed.observation import Try


def test_the_run_ends_in_success_though_a_worker_died(seen):
    assert seen.killed > 1 + TASKS_A_WORKER  # itself, what waits for tasks, and a task
    assert seen.state == "success"


def test_every_stale_order_is_cancelled_and_no_other_has_changed(seen):
    assert {it for it in seen.stale if seen.status_of[it] != "cancelled"} == set()
    assert {it: seen.status_of[it] for it in seen.others} == seen.others


def test_the_listing_is_read_once(seen):
    queries = [it.query for it in seen.requests]
    pages = [int(it["pageOptions[page]"]) for it in queries if "pageOptions[page]" in it]
    assert sorted(pages) == list(range(1, -(-seen.listed // PAGE_SIZE) + 1))


def test_each_stale_order_is_in_one_chunk(seen):
    chunked = Counter(order_id for chunk in seen.chunks for order_id in chunk)
    assert chunked == dict.fromkeys(seen.stale, 1)


def test_both_workers_finish_chunks(seen):
    finished = Counter(it.worker for it in seen.tries if it.state == "success")
    assert set(finished) == set(WORKERS)
    assert finished.total() == len(seen.chunks)


def test_the_pool_bounds_how_many_tasks_run_at_once(seen):
    assert TASKS_A_WORKER * len(WORKERS) > SLOTS  # nothing else does
    assert seen.most_at_once() == SLOTS
    assert seen.most_sending_at_once() <= SLOTS


def test_what_died_with_its_worker_is_tried_again_and_nothing_else(seen):
    assert 1 <= len(seen.lost) <= SLOTS
    for chunk in range(len(seen.chunks)):
        tries = [it for it in seen.tries if it.chunk == chunk]
        assert tries[-1].state == "success"
        if chunk in seen.lost:
            assert [it.worker for it in tries[:-1]] == [KILLED]
            assert tries[-1].worker != KILLED
        else:
            assert len(tries) == 1


def test_no_order_gets_a_second_cancel_and_only_those_of_lost_chunks_a_second_read(seen):
    cancels = Counter(it.order_id for it in seen.requests if it.is_cancel)
    reads = Counter(it.order_id for it in seen.requests if it.order_id and not it.is_cancel)
    assert cancels == dict.fromkeys(seen.stale, 1)
    assert set(reads) == seen.stale
    assert seen.done_by_lost_tries <= {it for it in reads if reads[it] == 2} <= seen.lost_orders
    assert max(reads.values()) == 2


def test_the_counts_of_all_tasks_add_up_to_what_was_done(seen):
    before = len(seen.done_by_lost_tries)
    assert before > 0
    assert sum(map(Counter, seen.counts), Counter()) == {
        "total": len(seen.stale),
        "cancelled": len(seen.stale) - before,
        "already_cancelled": before,
    }


def test_the_reports_of_all_tries_name_every_order_and_are_true(seen):
    possible = {_report(it) for it in seen.tries}
    # A try that died before it had sent anything may have left none.
    sent = {chunk for chunk, again in seen.spans() if not again}
    needed = {_report(it) for it in seen.tries if it.state == "success" or it.chunk in sent}
    assert needed <= seen.reports <= possible
    assert {line["id"] for line in seen.lines} == seen.stale
    found = judge(seen.stale, seen.status_of, seen.cancelled_at, seen.lines)
    assert found.is_good, found


def _report(it: Try) -> str:
    return f"batch.map{it.chunk}{f'.try{it.number}' if it.number > 1 else ''}.jsonl"
