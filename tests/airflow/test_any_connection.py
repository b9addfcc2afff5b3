"""Whatever a connection holds: a client of what it says, or an error that says what is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_ollang.hooks.ollang import OllangHook
from airflow_provider_ollang.operators.ollang import CancelOrderOperator
from airflow_provider_ollang.sandbox import Sandbox
from tests.anything import any_json, numbers, texts

from .always import KEY, end_of, examples, standing_sandbox

VARIABLE = "AIRFLOW_CONN_OLLANG_DEFAULT"
#: Stands for the sandbox's address, which has another port in each run.
SANDBOX, PORT = "<sandbox>", "<port>"

EXTRA = {
    "timeout": st.sampled_from([5, "5", 0.5, 600]) | numbers,
    "max_attempts": st.sampled_from([1, 2, "2", 10, 2.0]) | numbers,
    "verify": st.sampled_from([True, False, "false", "no", __file__, "/", "/nowhere"]),
    "allow_http": st.sampled_from([True, False, "true", "no"]),
}
extras = st.fixed_dictionaries(
    {}, optional={name: values | any_json for name, values in EXTRA.items()}
)
hosts = st.sampled_from([SANDBOX, f"{SANDBOX}/", f" {SANDBOX}", f"{SANDBOX}/.", f"{SANDBOX}//"])
#: Airflow masks whatever was a password in all logs of this process: no word that logs need.
passwords = st.sampled_from(["", " ", *(KEY + end for end in ["", " ", "\n", "\0", "é", "\u200b"])])
FIELDS = {
    "conn_type": st.just("ollang") | any_json,
    "password": passwords | st.none() | st.lists(passwords, max_size=1),
    "host": hosts | hosts | any_json,
    "port": st.sampled_from([PORT, 0, None, "0", 70000, -1]) | any_json,
    "schema": st.sampled_from(["http", "https", "HTTP", ""]) | any_json,
    "login": any_json,
    "extra": extras | extras.map(json.dumps) | any_json | texts,
}
#: Mostly right, so that more than the first wrong field is met.
good = st.fixed_dictionaries(
    {"conn_type": st.just("ollang"), "password": st.just(KEY), "host": hosts}
)
connections = st.builds(
    lambda right, odd: right | odd,
    good,
    st.lists(st.sampled_from(sorted(FIELDS)), max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: FIELDS[name] for name in names})
    ),
)
as_json = connections.map(json.dumps)
quoted = texts.map(lambda text: quote(text, errors="replace"))
as_uri = st.builds(
    "ollang://:{}@{}/{}?{}".format,
    passwords.map(quote),
    st.sampled_from([quote(SANDBOX, safe=""), "[::1", "h:99999"]) | quoted,
    quoted,
    st.sampled_from(["timeout=5", "max_attempts=2", "verify=%00", "timeout=", "__extra__={"])
    | texts,
)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with standing_sandbox() as running:
        yield running


def lead_to(sandbox: Sandbox, connection: str) -> None:
    """Set the connection; the environment takes neither NUL nor half a surrogate pair."""
    port = sandbox.url.rpartition(":")[2]
    text = connection.replace(json.dumps(PORT), port)
    for place, value in ((SANDBOX, sandbox.url), (quote(SANDBOX, safe=""), quote(sandbox.url))):
        text = text.replace(place, value)
    os.environ[VARIABLE] = text.replace("\0", "%00").encode("utf-8", "replace").decode()


def leads_to(sandbox: Sandbox) -> bool:
    """Return whether a client of the connection would talk to the sandbox, and to nobody else."""
    try:
        with OllangHook().get_conn() as client:
            assert KEY not in repr(client)
            return client.base_url.startswith(sandbox.url)
    except Exception:  # the task below meets it too, and has to say it in its own terms
        return True


@examples(250)
@given(connection=as_json | as_json | as_uri | texts)
def test_any_connection_lets_a_task_end_as_documented(sandbox, connection):
    sandbox.reset()
    sandbox.orders.add(id="o-1")
    lead_to(sandbox, connection)
    if not leads_to(sandbox):
        return
    ending = end_of(sandbox, CancelOrderOperator(task_id="task", order_id="o-1"))
    assert ending.result == ("o-1" if ending.error is None else None)
    assert [order["id"] for order in sandbox.orders.where(status="cancelled")] == ending.cancelled
