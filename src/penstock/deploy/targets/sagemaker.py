"""SageMaker as a target: the rooms of deploy/ put together behind the target's port."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from penstock.deploy.apply import Deployment, Probe, apply
from penstock.deploy.delete import DeletionReport, delete
from penstock.deploy.failure import DeploymentFailed
from penstock.deploy.invoke import Answer, invoke
from penstock.deploy.kinds import Making, Materials
from penstock.deploy.ledger import Event, Ledger, ledger_path
from penstock.deploy.logs import LogLine, follow, tail
from penstock.deploy.metrics import EndpointMetrics, metrics
from penstock.deploy.observe import observe
from penstock.deploy.operate import record_served
from penstock.deploy.plan import build_plan
from penstock.deploy.request import DeployRequest
from penstock.deploy.session import AwsSession
from penstock.deploy.status import EndpointStatus, list_endpoints, status
from penstock.deploy.steps import Plan
from penstock.deploy.wait import wait_in_service, wait_settled
from penstock.ground.progress import SILENT, Progress


class SageMakerTarget:
    """Endpoints of one account and region, wherever botocore's settings say that those are."""

    def __init__(self, aws: AwsSession, state_dir: Path) -> None:
        self.aws = aws
        self.ledger = Ledger(ledger_path(state_dir, account=aws.account, region=aws.region, place=aws.place))

    def plan(self, request: DeployRequest) -> Plan:
        return build_plan(request, observe(request, self.aws))

    def apply(
        self,
        plan: Plan,
        *,
        materials: Materials | None = None,
        progress: Progress = SILENT,
        wait: bool = True,
        timeout_s: float = 3600.0,
        probe: Probe | None = None,
    ) -> Deployment:
        return apply(
            plan,
            session=self.aws,
            ledger=self.ledger,
            materials=materials,
            progress=progress,
            wait=wait,
            timeout_s=timeout_s,
            probe=probe,
        )

    def delete(self, name: str, *, force: bool = False, progress: Progress = SILENT) -> DeletionReport:
        return delete(name, session=self.aws, ledger=self.ledger, force=force, progress=progress)

    def status(self, name: str) -> EndpointStatus:
        return status(self.aws, name)

    def list(self, *, ours_only: bool = True) -> tuple[EndpointStatus, ...]:
        return list_endpoints(self.aws, ours_only=ours_only)

    def settle(self, name: str, *, progress: Progress = SILENT, timeout_s: float = 3600.0) -> str | None:
        making = Making(aws=self.aws, deployment=name, progress=progress)
        settled, awaited = wait_settled(making, name, timeout_s=timeout_s), self.ledger.awaited(name)
        if awaited is None or settled is None:
            return settled
        try:
            wait_in_service(making, name, config_name=awaited)
        except DeploymentFailed as error:
            self.ledger.record(name, Event.FAILED, error=error.code, message=error.message[:500])
            raise
        record_served(making, name, self.ledger)
        return settled

    def invoke(
        self,
        name: str,
        body: bytes,
        *,
        content_type: str = "application/json",
        accept: str | None = None,
        variant: str | None = None,
    ) -> Answer:
        return invoke(self.aws, name, body, content_type=content_type, accept=accept, variant=variant)

    def logs(self, name: str, *, limit: int = 50) -> tuple[LogLine, ...]:
        return tail(self.aws, name, limit)

    def follow_logs(self, name: str, *, since_ms: int) -> Iterator[LogLine]:
        return follow(self.aws, name, since_ms=since_ms)

    def metrics(self, name: str, *, minutes: int = 60) -> EndpointMetrics:
        return metrics(self.aws, name, minutes=minutes)
