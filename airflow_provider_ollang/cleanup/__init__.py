"""The clean-up itself: which orders are stale, cancelling many, the record. No Airflow here."""
