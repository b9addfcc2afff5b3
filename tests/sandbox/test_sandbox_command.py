import re
import signal
import subprocess
import sys
from contextlib import contextmanager

import pytest
import requests

from airflow_provider_ollang.sandbox import Sandbox
from airflow_provider_ollang.sandbox.__main__ import main

COMMAND = [sys.executable, "-m", "airflow_provider_ollang.sandbox"]
# uvicorn brings h11 and asyncio; httptools and uvloop may or may not be there.
PLAIN_UVICORN = """
import sys
sys.modules["httptools"] = sys.modules["uvloop"] = None
from airflow_provider_ollang.sandbox.__main__ import main
sys.exit(main())
"""


@contextmanager
def running(*options, command=COMMAND):
    process = subprocess.Popen(
        [*command, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def url_in(line):
    match = re.fullmatch(r"Ollang sandbox on (http://127\.0\.0\.1:\d+)\n", line)
    assert match, line
    return match[1]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_says_where_it_is_and_ends_quietly(number, code):
    with running() as (process, line):
        assert requests.get(f"{url_in(line)}/health", timeout=10).status_code == 200
        process.send_signal(number)
        output, errors = process.communicate(timeout=30)
        assert (process.returncode, output, errors) == (code, "", "")


def test_the_options_reach_the_sandbox():
    options = ["--orders", "3", "--seed", "5", "--api-key", "mine", "--rate-limit", "0.001"]
    with running(*options) as (_, line):
        url = f"{url_in(line)}/integration/orders"
        first = requests.get(url, headers={"X-Api-Key": "mine"}, timeout=10)
        second = requests.get(url, headers={"X-Api-Key": "mine"}, timeout=10)
    ids = {order["id"] for order in Sandbox(order_count=3, seed=5).orders}
    assert {order["id"] for order in first.json()["data"]} == ids
    assert second.status_code == 429


def test_plain_uvicorn_is_enough_and_ends_even_while_a_client_hangs():
    command = [sys.executable, "-c", PLAIN_UVICORN]
    with running("--faults", "timeout-before=1", command=command) as (process, line):
        with requests.Session() as session, pytest.raises(requests.exceptions.ReadTimeout):
            session.get(f"{url_in(line)}/health", timeout=0.1)
        process.terminate()
        assert process.communicate(timeout=30) == ("", "")
        assert process.returncode == 0


def test_a_port_in_use_is_one_sentence(sandbox):
    port = sandbox.url.rpartition(":")[2]
    result = subprocess.run(
        [*COMMAND, "--port", port], capture_output=True, text=True, timeout=30, check=False
    )
    assert (result.returncode, result.stdout) == (1, "")
    start = f"ollang-sandbox: cannot listen on 127.0.0.1:{port}: "
    assert result.stderr.startswith(start)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--port=65536", "port must be from 0 to 65535, got 65536"),
        ("--orders=-1", "order_count must be 0 or more, got -1"),
        ("--latency-ms=inf", "latency_ms must be a number, 0 or more, got inf"),
        ("--rate-limit=0", "rate_limit must be a number above 0, got 0.0"),
        ("--faults=flood=1", "faults must name reset-before, "),
        ("--faults=500", "faults must be like 500=NUMBER, from 0 to 1, got '500'"),
        ("--faults=500=1.1", "got '500=1.1'"),
        ("--faults=500=0.6,503=0.6", "must not exceed 1 together"),
        ("--lifecycle=completed=1", "lifecycle must name pending, ongoing, got 'completed'"),
        ("--lifecycle=pending=soon", "must be like pending=NUMBER, from 0 to 1000000"),
        ("--callback-twice=2", "callback_twice must be from 0 to 1, got 2.0"),
        ("--api-key= ", "api_key must be ASCII text, and not blank"),
    ],
)
def test_a_bad_value_is_explained(capsys, argument, expected):
    with pytest.raises(SystemExit) as exit_:
        main([argument])
    assert exit_.value.code == 2
    assert expected in capsys.readouterr().err
