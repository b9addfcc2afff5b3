"""Run one example DAG to its end in this process and write the XComs of its tasks as JSON.

Usage: ``python -m demo.run_dag DAG_ID CONF OUTPUT_FILE``, in the environment of an Airflow 3.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session

from demo.airflow_home import EXAMPLE_DAGS


def main(dag_id: str, conf: str, output_file: str) -> int:
    """Run the DAG, write its state and XComs, and return the exit code."""
    dag = DagBag(EXAMPLE_DAGS).dags[dag_id]
    run = dag.test(run_conf=json.loads(conf))
    Path(output_file).write_text(
        json.dumps({"state": run.state, "xcoms": _xcoms(dag_id, run.run_id)})
    )
    return 0 if run.state == "success" else 1


def _xcoms(dag_id: str, run_id: str) -> dict[str, Any]:
    """Return the values that the run's tasks pushed, by ``task_id.key``."""
    with create_session() as session:
        rows = session.scalars(XComModel.get_many(run_id=run_id, dag_ids=dag_id))
        return {f"{row.task_id}.{row.key}": XComModel.deserialize_value(row) for row in rows}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
