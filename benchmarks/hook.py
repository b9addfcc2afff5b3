"""One cancel through the hook's client, against one POST of a bare requests session."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from statistics import median

import requests

from benchmarks.figures import Figure, Result, Target, conclude
from benchmarks.ours import CANCEL
from benchmarks.server import order_id
from benchmarks.servers import Server, canned_server
from benchmarks.sockets import seconds_to_send


def run(*, calls: int = 1000, runs: int = 5) -> Result:
    """Measure.

    :param calls: calls of each kind in a run, one of ours and one of the peer in turn
    """
    from airflow_provider_ollang.hooks.ollang import OllangHook

    with canned_server() as server:
        os.environ["AIRFLOW_CONN_OLLANG_BENCHMARK"] = json.dumps(
            {"conn_type": "ollang", "host": server.url, "password": server.api_key}
        )
        with OllangHook("ollang_benchmark").get_conn() as client, _session(server) as session:
            url = server.url + CANCEL
            found = [
                _in_turn(calls, client.cancel_order, lambda it: session.post(url + it, timeout=30))
                for _ in range(runs + 1)
            ][1:]
        lines = [f"POST {CANCEL}{order_id(number)}" for number in range(calls)]
        bare = [seconds_to_send(server, lines, 1) / calls for _ in range(runs)]
    ours, peer = ([1e6 * median(times) for times in kind] for kind in zip(*found, strict=True))
    figures = [
        Figure("ours", "a cancel through the hook's client", ours, "µs"),
        Figure("peer", "a POST of requests.Session", peer, "µs"),
        Figure("limit", "a POST on a bare socket", [1e6 * seconds for seconds in bare], "µs"),
    ]
    ratio = median(mine / its for mine, its in zip(ours, peer, strict=True))
    return Result("hook", figures, [Target("ours / requests.Session", ratio, most=1.15)])


def _session(server: Server) -> requests.Session:
    session = requests.Session()
    session.headers["X-Api-Key"] = server.api_key
    return session


def _in_turn(calls: int, *kinds: Callable[[str], object]) -> list[list[float]]:
    """Return the seconds of each call, by kind."""
    times: list[list[float]] = [[] for _ in kinds]
    for number in range(calls):
        for kind, found in zip(kinds, times, strict=True):
            start = time.perf_counter()
            kind(order_id(number))
            found.append(time.perf_counter() - start)
    return times


if __name__ == "__main__":
    sys.exit(conclude(run()))
