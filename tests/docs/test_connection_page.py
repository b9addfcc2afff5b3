"""The ways to give a connection that the pages show give a client."""

from __future__ import annotations

import json
import shlex

import certifi
import pytest
from airflow.providers.common.compat.sdk import Connection
from airflow.secrets.local_filesystem import LocalFilesystemBackend

from airflow_provider_ollang.api.errors import InvalidInputError
from airflow_provider_ollang.hooks.ollang import OllangHook, client_from_connection

from .pages import PAGES, commands, run, text

PAGE = PAGES["docs/guides/connect.md"]
PUBLIC = "https://api-integration.ollang.com"
SANDBOX = "http://127.0.0.1:8484"
#: What stands for a file that only the reader has.
BUNDLE = "/etc/ssl/certs/company.pem"


@pytest.mark.parametrize("export", commands("export AIRFLOW_CONN_"))
def test_a_connection_in_the_environment_gives_a_client(export, monkeypatch):
    name, _, value = shlex.split(export)[1].partition("=")
    monkeypatch.setenv(name, value.replace(BUNDLE, certifi.where()))
    client = OllangHook(name.removeprefix("AIRFLOW_CONN_").lower()).get_conn()
    assert client.base_url in (PUBLIC, SANDBOX, "https://ollang.example")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = str(tmp_path_factory.mktemp("airflow"))
    run("airflow", "db", "migrate", AIRFLOW_HOME=folder)
    return folder


@pytest.mark.slow("runs Airflow's commands")
@pytest.mark.parametrize("command", commands("airflow connections add "))
def test_a_connection_from_the_command_line_gives_a_client(command, home):
    words = shlex.split(command)
    run(*words, AIRFLOW_HOME=home)
    listed = run("airflow", "connections", "get", words[3], "--output", "json", AIRFLOW_HOME=home)
    [fields] = json.loads(listed[listed.index("[") :])
    connection = Connection(
        conn_id=words[3],
        extra=json.dumps(fields["extra_dejson"]),
        **{name: fields[name] for name in ("conn_type", "host", "password")},
    )
    assert connection.password == "your-api-key"
    client = client_from_connection(connection)
    assert client.base_url in (PUBLIC, "https://ollang.example")
    assert client.retry_policy.max_attempts == (2 if "max_attempts" in command else 4)


def test_a_file_as_secrets_backend_gives_each_of_its_connections(tmp_path):
    [block] = [block for block in PAGE.blocks if block.language == "json"]
    file = tmp_path / "connections.json"
    file.write_text(block.code)
    backend = LocalFilesystemBackend(connections_file_path=str(file))
    for name in json.loads(block.code):
        connection = backend.get_connection(name)
        assert connection is not None
        assert client_from_connection(connection).base_url == PUBLIC


def test_host_port_and_schema_give_the_base_url_of_the_table():
    rows = PAGE.table("The base URL", "host").rows
    assert len(rows) > 4
    for host, port, schema, url in rows:
        connection = Connection(
            conn_id="of_the_table",
            conn_type="ollang",
            password="your-api-key",
            host=text(host) or None,
            port=int(text(port) or 0) or None,
            schema=text(schema) or None,
        )
        if text(url).startswith("an error"):
            with pytest.raises(InvalidInputError):
                client_from_connection(connection)
        else:
            assert client_from_connection(connection).base_url == text(url)
