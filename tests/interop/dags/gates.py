"""One DAG for each of Airflow's human-in-the-loop operators; read by the real Airflow."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.hitl import (
    ApprovalOperator,
    HITLBranchOperator,
    HITLEntryOperator,
    HITLOperator,
)
from airflow.sdk import DAG, Param

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
WHO = {"approver": Param("", type="string"), "reason": Param("", type="string")}
AMOUNT = {"amount": Param(0, type="integer")}

with DAG("approval", schedule=None, start_date=BEGIN, catchup=False):
    ApprovalOperator(task_id="ask", subject="Refund?", params={**WHO, **AMOUNT})

with DAG("refusal", schedule=None, start_date=BEGIN, catchup=False):
    ApprovalOperator(task_id="ask", subject="Refund?", params=WHO) >> EmptyOperator(task_id="refund")

with DAG("entry", schedule=None, start_date=BEGIN, catchup=False):
    HITLEntryOperator(task_id="ask", subject="Enter", params=AMOUNT)

with DAG("several", schedule=None, start_date=BEGIN, catchup=False):
    HITLOperator(task_id="ask", subject="Where?", options=["Europe", "America"], multiple=True)

with DAG("branch", schedule=None, start_date=BEGIN, catchup=False):
    ask = HITLBranchOperator(task_id="ask", subject="Where?", options=["eu", "us"])
    ask >> [EmptyOperator(task_id="eu"), EmptyOperator(task_id="us")]
