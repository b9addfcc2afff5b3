"""The Ollang API: client, typed errors, models and retry policy. Knows nothing of Airflow."""
