"""The sensor that waits for orders."""

from airflow_provider_ollang.airflow_version import require_airflow

require_airflow()
