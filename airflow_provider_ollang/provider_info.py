"""The provider's description for Airflow: the one source of the connection form's metadata.

Airflow 3.2 and newer read ``conn-fields`` and ``ui-field-behaviour`` from here without importing
the hook; older ones call :class:`~airflow_provider_ollang.hooks.ollang.OllangHook`, which takes
them from here.
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
            "host": "https://api-integration.ollang.com (default)",
            "password": "from Ollang: Project settings > API keys",
        },
    },
    "conn-fields": {
        "timeout": {
            "label": "Timeout (seconds)",
            "description": "Time limit for a complete response. Default: 30.",
            "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 600},
        },
        "max_attempts": {
            "label": "Max attempts",
            "description": "Tries per request when the API is busy or unreachable. Default: 4.",
            "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 10},
        },
        "verify": {
            "label": "CA bundle",
            "description": "Path of a file on the workers with the CA certificates to trust. "
            'Empty for the default ones. "false" turns the check off: never in production.',
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
                # Airflow 3.1 and newer; on an older one, importing it raises.
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
