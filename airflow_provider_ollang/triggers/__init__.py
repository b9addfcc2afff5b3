"""The trigger that waits for orders without a worker."""

from airflow_provider_ollang.airflow_version import require_airflow

require_airflow()
