"""The cleanup itself: which orders are stale, cancelling many, the report. No Airflow here."""
