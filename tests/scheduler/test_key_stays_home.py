"""The API key of a connection, looked for in everything that a real Airflow writes and shows."""

from __future__ import annotations

import json
import sqlite3
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import pytest
from cryptography.fernet import Fernet

from airflow_provider_ollang.cleanup.summary import escape as markdown
from airflow_provider_ollang.sandbox import Sandbox, Stub
from demo.airflow_home import airflow_home, run_airflow
from demo.airflow_version import IS_AIRFLOW_2, LOGGED_IN, REQUEST_LINE, XCOM_VALUE
from demo.standalone import standalone
from tests.scheduler.scheduler import Scheduler, wait_for

DAGS = Path(__file__).parent / "key_dags"

#: One key for each connection. Airflow itself masks none that is shorter than 5 characters.
KEYS = {
    "odd_env": r"""k3y%2F/'"\@:#?&=+$|{{o}}<env>""",
    "short_env": "q7Zk",
    "odd_db": r"""k3y%41/"'\\@:#?&=+${{d}}{%b%}""",
    "long_db": "".join(f"{number:03}k" for number in range(50)),
    "wrong_env": "n0t-the-sandb0x-k3y",
}
#: Keys that somebody typed into another field than the password.
MISPLACED = {
    f"in_{field}": f"k3y-in-{field}"
    for field in ("timeout", "attempts", "verify", "login", "host", "schema")
}
#: Goes, as an order's id and name, wherever a key must not: the search has to find it there.
PLANTED_ID = "pl4nted-order"
PLANTED_NAME = r"""pl4nted/'"\@:#?&=+$%{{n}}<name>"""

CANCEL = "/integration/orders/cancel/"
CLEAN_UP = "clean_up_with_the_key"
TROUBLE = "meet_trouble_with_the_key"
MISPLACE = "misplace_the_key"
CARELESS = "handle_the_key_carelessly"


def echoes(key: str) -> dict[str, Stub]:
    """Return responses that give the key away in each part that an response has."""
    page = f"<p title='{escape(key)}'>{key}, {quote(key)}</p>"
    html = {"Content-Type": f"text/html; of={key}", "Set-Cookie": f"key={quote(key)}"}
    broken_off = {"Content-Length": "9999", "Content-Type": key}
    return {
        "echo-message": Stub.json(401, {"message": f"no key: {key}", "code": "UNAUTHORIZED"}),
        "echo-code": Stub.json(400, {"message": [key, {key: key}], "code": key}),
        "echo-not-found": Stub.json(404, {"error": key, "code": "ORDER_NOT_FOUND"}),
        "echo-page": Stub(403, html, page.encode()),
        "echo-json-page": Stub.json(200, {key: [key, json.dumps(key)]}),
        "echo-redirect": Stub(
            307, {"Location": f"https://elsewhere.invalid/?{quote(key)}&k={key}"}
        ),
        "echo-trouble": Stub.json(503, {"message": key}, {"Retry-After": key}),
        "echo-gateway": Stub(502, html, page.encode()),
        "echo-broken-off": Stub(200, broken_off, key.encode()),
        "too-slow": Stub(fault="timeout-before"),
    }


def fill(sandbox: Sandbox, key: str) -> list[str]:
    """Give a sandbox orders and responses that tell the key; return the orders' ids."""
    sandbox.orders.clear()
    week = {"age": timedelta(days=9)}
    sandbox.orders.add(id="good", name=PLANTED_NAME, **week)
    sandbox.orders.add(id="named", name=f"by {key}", type=key, projectId=key, **week)
    sandbox.orders.add(id="cancelled", status="cancelled", **week)
    sandbox.orders.add(id="completed", status="completed", **week)
    sandbox.orders.add(id="foreign", foreign=True, **week)
    sandbox.orders.add(id="in-odd-state", status=key, **week)
    sandbox.orders.add(id="undated", name=key, createdAt=key, **week)
    for _ in range(20):  # a listing in which most orders are invalid would fail
        sandbox.orders.add(**week)
    responses = echoes(key)
    for order_id, response in responses.items():
        sandbox.orders.add(id=order_id, name=key, without=["createdAt"])
        sandbox.respond_always(response, path=f"{CANCEL}{order_id}")
    listed = ["good", "named", "cancelled", "completed", "foreign", "in-odd-state", PLANTED_ID]
    return [*listed, *responses]


def ways_to_write(text: str) -> set[bytes]:
    """Return the text as it reads when it is escaped, by anything, once or twice."""
    escapes: list[Callable[[str], str]] = [
        str,
        quote,
        quote_plus,
        escape,
        lambda text: quote(text, safe=""),
        lambda text: escape(text, quote=False),
        lambda text: escape(text).replace("&#x27;", "&#39;"),
        lambda text: json.dumps(text)[1:-1],
        lambda text: repr(text)[1:-1],
        lambda text: repr('"' + text)[2:-1],
        lambda text: markdown(text, longest=10_000),
        lambda text: b64encode(text.encode()).decode().rstrip("="),
        lambda text: b64encode(f":{text}".encode()).decode().rstrip("="),
    ]
    once = {way(text) for way in escapes}
    return {way(written).encode() for written in once for way in escapes}


def found(texts: dict[str, bytes], secret: str) -> set[str]:
    """Return the places where a secret stands, however it is written."""
    ways = ways_to_write(secret) | ways_to_write(secret[:39])  # longer texts may be cut off
    return {place for place, text in texts.items() if any(way in text for way in ways)}


@dataclass
class Used:
    """An Airflow in which every connection was used, and all that it holds then."""

    scheduler: Scheduler
    runs: dict[tuple[str, str], str]

    def __post_init__(self) -> None:
        self.responses = {path: self.response(path) for path in self._paths()}
        self.rows = dict(self._rows())
        home = self.scheduler.home
        files = (path for path in home.rglob("*") if path.is_file())
        self.files = {str(path.relative_to(home)): path.read_bytes() for path in files}

    def response(self, path: str) -> bytes:
        response = self.scheduler.send("GET", path)
        assert response.ok, response.text
        return response.content

    def query(self, sql: str) -> sqlite3.Cursor:
        with sqlite3.connect(f"file:{self.scheduler.home / 'airflow.db'}?mode=ro", uri=True) as db:
            return db.execute(sql)

    def _rows(self) -> Iterator[tuple[str, bytes]]:
        """Yield each table's name and rows, without what Airflow encrypts of a connection."""
        for (table,) in self.query("SELECT name FROM sqlite_master WHERE type = 'table'"):
            rows = self.query(f'SELECT * FROM "{table}"')  # noqa: S608 - the database's own name
            encrypted = {"password", "extra"} if table == "connection" else set()
            shown = [i for i, (name, *_) in enumerate(rows.description) if name not in encrypted]
            yield table, b"\n".join(_as_bytes(row[i]) for row in rows for i in shown)

    def _paths(self) -> Iterator[str]:
        """Yield what the REST API can be asked for."""
        yield from ("/connections", "/importErrors", "/variables", "/dags", "/config")
        yield "/eventLogs?limit=1000"
        for dag_id in {dag_id for dag_id, _ in self.runs}:
            dag = self.scheduler.call("GET", f"/dags/{dag_id}")
            source = dag["file_token"] if IS_AIRFLOW_2 else dag_id
            yield from (f"/dagSources/{source}", f"/dags/{dag_id}/details")
        for (dag_id, _), run_id in self.runs.items():
            run = f"/dags/{dag_id}/dagRuns/{run_id}"
            yield from (run, f"{run}/taskInstances")
            for ti in self.scheduler.call("GET", f"{run}/taskInstances")["task_instances"]:
                yield from self._paths_of_task(f"{run}/taskInstances/{ti['task_id']}", ti)

    def _paths_of_task(self, path: str, ti: dict[str, Any]) -> Iterator[str]:
        index = ti["map_index"]
        yield f"{path}/{index}" if index >= 0 else path
        if ti["try_number"]:
            yield f"{path}/logs/1?map_index={index}&full_content=true"
        pushed = self.scheduler.call("GET", f"{path}/xcomEntries?map_index={index}")
        for entry in pushed["xcom_entries"]:
            yield f"{path}/xcomEntries/{entry['key']}?map_index={index}&{urlencode(XCOM_VALUE)}"


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def connection(url: str, key: str) -> dict[str, Any]:
    return {"conn_type": "ollang", "host": url, "password": key, "extra": {"max_attempts": 2}}


def uri(url: str, key: str) -> str:
    return f"ollang://:{quote(key, safe='')}@{quote(url, safe='')}/?max_attempts=2"


def misplaced(url: str) -> dict[str, dict[str, Any]]:
    """Return connections with a key where it does not belong, by their ids."""
    base = {"conn_type": "ollang", "host": url}
    extras = {"in_timeout": "timeout", "in_attempts": "max_attempts", "in_verify": "verify"}
    fields = {"in_login": "login", "in_host": "host", "in_schema": "schema"}
    return {
        **{name: {**base, "extra": {extra: MISPLACED[name]}} for name, extra in extras.items()},
        **{name: {**base, field: MISPLACED[name]} for name, field in fields.items()},
    }


def variables(urls: dict[str, str]) -> dict[str, str]:
    """Return the environment's connections."""
    written = {
        "odd_env": json.dumps(connection(urls["odd_env"], KEYS["odd_env"])),
        "short_env": uri(urls["short_env"], KEYS["short_env"]),
        "wrong_env": uri(urls["wrong_env"], KEYS["wrong_env"]),
    }
    for conn_id, fields in misplaced(urls["odd_env"]).items():
        written[conn_id] = json.dumps(fields)
    return {f"AIRFLOW_CONN_{conn_id.upper()}": text for conn_id, text in written.items()}


@pytest.fixture(scope="module")
def used() -> Iterator[Used]:
    with ExitStack() as stack:
        urls = {}
        for conn_id, key in KEYS.items():
            accepted = "an0ther-k3y" if conn_id == "wrong_env" else key
            sandbox = stack.enter_context(Sandbox(api_key=accepted))
            order_ids = fill(sandbox, key)
            urls[conn_id] = sandbox.url
        environment = stack.enter_context(airflow_home(sandbox, DAGS))
        environment |= variables(urls) | {
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW__CORE__FERNET_KEY": Fernet.generate_key().decode(),
            "AIRFLOW__API__EXPOSE_CONFIG": "True",
            "AIRFLOW__WEBSERVER__EXPOSE_CONFIG": "True",  # its name in Airflow 2
            # More of them side by side would keep the API server from responding in time.
            "AIRFLOW__CORE__PARALLELISM": "4",
        }
        added = json.dumps(connection(urls["long_db"], KEYS["long_db"]))
        run_airflow(environment, "connections", "add", "long_db", "--conn-json", added)
        url, _ = stack.enter_context(standalone(environment))
        scheduler = Scheduler(url, Path(environment["AIRFLOW_HOME"]))
        fields = connection(urls["odd_db"], KEYS["odd_db"])
        fields |= {"connection_id": "odd_db", "extra": json.dumps(fields["extra"])}
        scheduler.call("POST", "/connections", json=fields)
        wait_for(lambda: scheduler.call("GET", "/dags")["total_entries"] == 4)
        runs = run_all(scheduler, order_ids)
        yield Used(scheduler, runs)


def run_all(scheduler: Scheduler, order_ids: list[str]) -> dict[tuple[str, str], str]:
    """Run the DAGs to their ends; return the runs' ids by DAG and connection."""
    # A rejected key would end a batch at once, and no batch is to wait for an response.
    batched = [order_id for order_id in order_ids if order_id not in ("echo-message", "too-slow")]
    clean_ups = ("odd_env", "short_env", "long_db")
    wanted = [
        (TROUBLE, "odd_db", {"order_ids": order_ids}),
        (MISPLACE, "all", {"conn_ids": ["wrong_env", *MISPLACED]}),
        *((CLEAN_UP, conn_id, {"order_ids": batched}) for conn_id in clean_ups),
        *((CARELESS, conn_id, {}) for conn_id in ("short_env", "odd_db")),
    ]
    runs = {
        (dag_id, conn_id): scheduler.trigger(dag_id, {"conn_id": conn_id, **conf})
        for dag_id, conn_id, conf in wanted
    }
    for (dag_id, _), run_id in runs.items():
        scheduler.wait_for_run(dag_id, run_id)
    return runs


@pytest.mark.parametrize("name", [*KEYS, *MISPLACED])
def test_a_key_stands_nowhere(used, name):
    key = (KEYS | MISPLACED)[name]
    assert found(used.files, key) == set()
    assert found(used.rows, key) == set()
    assert found(used.responses, key) == set()


def test_everything_was_tried(used):
    scheduler = used.scheduler

    def states(dag_id: str, conn_id: str) -> Counter[str]:
        path = f"/dags/{dag_id}/dagRuns/{used.runs[dag_id, conn_id]}/taskInstances"
        found = scheduler.call("GET", path)["task_instances"]
        return Counter(f"{ti['task_id']} {ti['state']}" for ti in found)

    assert states(MISPLACE, "all") == {"list success": 1, "cancel failed": 7}
    cancels = {"cancel success": 2, "cancel skipped": 1, "cancel failed": 14}
    assert states(TROUBLE, "odd_db") == {"list success": 1, **cancels}
    clean_up = ["find success", "preview success", "cancel failed"]
    assert states(CLEAN_UP, "long_db") == dict.fromkeys(clean_up, 1)
    careless = ["log_all success", "crash failed", "log_an_error failed", "die failed"]
    assert states(CARELESS, "short_env") == dict.fromkeys(careless, 1)


def test_the_search_sees_every_place(used):
    def assert_in_each(places: set[str], *parts: str) -> None:
        assert [part for part in parts if not any(part in place for place in places)] == []

    files, logs = found(used.files, PLANTED_ID), "/attempt=1.log"
    assert_in_each(files, *LOGGED_IN, "airflow.db", ".preview.jsonl", ".cancel.jsonl")
    assert_in_each(files, f"task_id=preview{logs}", f"/map_index=6{logs}")
    tables = {"dag_run", "log", "rendered_task_instance_fields", "xcom"}
    assert tables <= found(used.rows, PLANTED_ID)
    responses = found(used.responses, PLANTED_ID)
    assert_in_each(responses, "/eventLogs", "/cancel/logs/1", "/cancel/6", "/taskInstances/preview")
    assert_in_each(responses, "/xcomEntries/return_value", "/xcomEntries/not_cancelled")
    # With quotation marks and the like it stands there escaped.
    assert "xcom" in found(used.rows, PLANTED_NAME)
    assert_in_each(found(used.files, PLANTED_NAME), *LOGGED_IN, f"task_id=find{logs}")
    responses = found(used.responses, PLANTED_NAME)
    assert_in_each(responses, "/find/logs/1", "/xcomEntries/orders", "/xcomEntries/summary")


def test_the_log_is_at_its_most_talkative(used):
    logs = b"".join(text for path, text in used.files.items() if path.endswith("attempt=1.log"))
    for said in (*REQUEST_LINE, b"Starting new HTTP connection"):
        assert said in logs
