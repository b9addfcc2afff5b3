from __future__ import annotations

import threading
import time

import pytest

from airflow_provider_ollang.api.errors import StoppedError
from airflow_provider_ollang.api.pace import Pace, no_waiting


def test_turns_are_spaced_by_the_rate() -> None:
    pace = Pace(20)
    begin = time.monotonic()
    for _ in range(6):
        pace.wait_turn()
    assert time.monotonic() - begin >= 0.25


def test_threads_share_one_rate() -> None:
    pace = Pace(20)
    begin = time.monotonic()
    threads = [threading.Thread(target=pace.wait_turn) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - begin >= 0.25


def test_a_hold_delays_the_next_turn() -> None:
    pace = Pace()
    begin = time.monotonic()
    pace.hold(0.3)
    pace.wait_turn()
    assert time.monotonic() - begin >= 0.3


def test_a_shorter_hold_does_not_end_a_longer_one() -> None:
    pace = Pace()
    begin = time.monotonic()
    pace.hold(0.3)
    pace.hold(0.01)
    pace.wait_turn()
    assert time.monotonic() - begin >= 0.3


def seconds_for(turns: int, pace: Pace) -> float:
    begin = time.monotonic()
    for _ in range(turns):
        pace.wait_turn()
    return time.monotonic() - begin


def test_without_a_refusal_nothing_is_slowed_down() -> None:
    pace = Pace()
    for _ in range(20):
        pace.note_answer()
    assert seconds_for(1000, pace) < seconds_for(10, Pace(10))


def test_a_refusal_slows_down_to_what_was_answered() -> None:
    pace = Pace()
    for _ in range(40):
        pace.note_answer()
    pace.hold(0.01)  # 40 answers in what counts as a second

    pace.wait_turn()
    assert seconds_for(21, pace) >= 0.45


def test_refusals_of_requests_that_were_under_way_together_are_one() -> None:
    pace = Pace()
    for _ in range(40):
        pace.note_answer()
    for _ in range(16):
        pace.hold(0.01)

    assert seconds_for(21, pace) < seconds_for(11, Pace(5))


def test_a_first_refusal_after_few_answers_only_holds() -> None:
    pace = Pace()
    for _ in range(5):
        pace.note_answer()
    pace.hold(0.01)

    assert seconds_for(1000, pace) < seconds_for(10, Pace(10))


def test_a_second_refusal_right_after_it_slows_down() -> None:
    pace = Pace()
    pace.hold(0.01)
    time.sleep(1.1)
    for _ in range(20):
        pace.note_answer()
    pace.hold(0.01)

    pace.wait_turn()
    assert seconds_for(11, pace) >= 0.45


def test_a_refusal_without_any_answer_halves_the_pace_at_most() -> None:
    pace = Pace()
    for _ in range(40):
        pace.note_answer()
    pace.hold(0.01)
    time.sleep(1.1)
    pace.hold(0.01)

    pace.wait_turn()
    assert 0.45 <= seconds_for(11, pace) < seconds_for(21, Pace(10))


def test_an_own_limit_holds_whatever_the_api_allows() -> None:
    pace = Pace(20)
    for _ in range(1000):
        pace.note_answer()
    pace.hold(0.01)

    pace.wait_turn()
    assert seconds_for(10, pace) >= 0.45


@pytest.mark.parametrize("kind", ["held", "slow", "asleep"])
def test_a_stop_ends_every_wait(kind: str) -> None:
    pace = Pace(0.01 if kind == "slow" else None)
    if kind == "slow":
        pace.wait_turn()
    if kind == "held":
        pace.hold(60)
    threading.Timer(0.1, pace.stop).start()
    begin = time.monotonic()
    if kind == "asleep":
        pace.sleep(60)
    else:
        with pytest.raises(StoppedError):
            pace.wait_turn()
    assert time.monotonic() - begin < 30
    assert pace.stopped


def test_a_stop_is_for_good() -> None:
    pace = Pace()
    assert not pace.stopped
    pace.stop()
    pace.stop()
    for _ in range(2):
        with pytest.raises(StoppedError):
            pace.wait_turn()


def test_without_waiting_no_pause_costs_time_and_a_stop_still_counts() -> None:
    pace = Pace(0.001)
    begin = time.monotonic()
    with no_waiting():
        pace.hold(1000)
        pace.sleep(1000)
        for _ in range(5):
            pace.wait_turn()
        pace.stop()
        with pytest.raises(StoppedError):
            pace.wait_turn()
    assert time.monotonic() - begin < 30


def test_waiting_is_back_afterwards_even_if_nested() -> None:
    with no_waiting():
        with no_waiting():
            pass
        Pace().sleep(1000)
    begin = time.monotonic()
    Pace().sleep(0.2)
    assert time.monotonic() - begin >= 0.2


def test_a_hold_holds_those_that_wait_for_a_turn_and_lets_them_go_one_by_one() -> None:
    pace = Pace(20)
    gone: list[float] = []

    def go() -> None:
        pace.wait_turn()
        gone.append(time.monotonic())

    threads = [threading.Thread(target=go) for _ in range(6)]
    pace.wait_turn()
    for thread in threads:
        thread.start()
    held_at = time.monotonic()
    pace.hold(0.5)
    for thread in threads:
        thread.join()

    late = sorted(gone)[1:]  # one may have gone before the hold
    assert late[0] >= held_at + 0.5
    assert late[-1] - late[0] >= 0.9 * (len(late) - 1) / 20
