"""The provider's description for Airflow: the one source of the connection form's metadata.

Airflow 3.2 and newer read ``conn-fields`` and ``ui-field-behaviour`` from here without importing
the hook; older ones ask :class:`~airflow_provider_ollang.hooks.ollang.OllangHook`, which derives
its answers from here.
"""

from __future__ import annotations

from typing import Any

DOCS_URL = "https://api-docs.ollang.com"

CONNECTION_TYPE: dict[str, Any] = {
    "connection-type": "ollang",
    "hook-class-name": "airflow_provider_ollang.hooks.ollang.OllangHook",
    "hook-name": "Ollang",
    "ui-field-behaviour": {
        "hidden-fields": ["login", "port", "schema"],
        "relabeling": {"host": "Base URL", "password": "API key"},
        "placeholders": {
            "host": "https://api-integration.ollang.com (the default)",
            "password": "from the Ollang dashboard: project settings, API keys",
        },
    },
    "conn-fields": {
        "timeout": {
            "label": "Time-out (seconds)",
            "description": "How long to wait for an answer to one request. Default: 30.",
            "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 600},
        },
        "max_attempts": {
            "label": "Attempts",
            "description": "How often one request is sent at most, when the API is busy or "
            "cannot be reached. Default: 4.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 10},
        },
        "verify": {
            "label": "CA bundle",
            "description": "Path of a file with the certificates to trust, on the workers. "
            'Empty: the usual ones. "false" switches the check off: never in production.',
            "schema": {"type": ["string", "null"]},
        },
    },
}

PROVIDER_INFO: dict[str, Any] = {
    "package-name": "airflow-provider-ollang",
    "name": "Ollang",
    "description": "`Ollang <https://ollang.com/>`__ orders: find stale ones, cancel them safely.",
    "integrations": [
        {
            "integration-name": "Ollang",
            "external-doc-url": DOCS_URL,
            "how-to-guide": ["/docs/reference/operators.md"],
            "tags": ["service"],
        }
    ],
    "hooks": [
        {
            "integration-name": "Ollang",
            "python-modules": ["airflow_provider_ollang.hooks.ollang"],
        }
    ],
    "operators": [
        {
            "integration-name": "Ollang",
            "python-modules": [
                "airflow_provider_ollang.operators.ollang",
                # Airflow 3.1 and newer; on an older one importing it says so.
                "airflow_provider_ollang.operators.approval",
            ],
        }
    ],
    "sensors": [
        {
            "integration-name": "Ollang",
            "python-modules": ["airflow_provider_ollang.sensors.ollang"],
        }
    ],
    "triggers": [
        {
            "integration-name": "Ollang",
            "python-modules": ["airflow_provider_ollang.triggers.ollang"],
        }
    ],
    "connection-types": [CONNECTION_TYPE],
}
