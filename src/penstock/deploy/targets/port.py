"""The port of a target: a place that runs deployments. Built-ins and strangers come in by the same table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from penstock.deploy.apply import Deployment, Probe
from penstock.deploy.delete import DeletionReport
from penstock.deploy.invoke import Answer
from penstock.deploy.kinds import Materials
from penstock.deploy.logs import LogLine
from penstock.deploy.metrics import EndpointMetrics
from penstock.deploy.request import DeployRequest
from penstock.deploy.status import EndpointStatus
from penstock.deploy.steps import Plan
from penstock.ground.progress import SILENT, Progress


class Target(Protocol):
    """Where a deployment runs."""

    def plan(self, request: DeployRequest) -> Plan:
        """What applying ``request`` would do; changes nothing."""

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
        """Does it, and gives what answers in the end."""

    def delete(self, name: str, *, force: bool = False, progress: Progress = SILENT) -> DeletionReport:
        """Removes it all and proves it."""

    def status(self, name: str) -> EndpointStatus:
        """How it stands. Raises NotFound."""

    def list(self, *, ours_only: bool = True) -> tuple[EndpointStatus, ...]:
        """All there are, newest first."""

    def settle(self, name: str, *, progress: Progress = SILENT, timeout_s: float = 3600.0) -> str | None:
        """Its status once nothing is in progress; None when it is gone.

        Raises DeploymentFailed when a deploy that nobody waited for has failed or was rolled back.
        """

    def invoke(
        self,
        name: str,
        body: bytes,
        *,
        content_type: str = "application/json",
        accept: str | None = None,
        variant: str | None = None,
    ) -> Answer:
        """Its answer to one body."""

    def logs(self, name: str, *, limit: int = 50) -> tuple[LogLine, ...]:
        """The end of its log."""

    def follow_logs(self, name: str, *, since_ms: int) -> Iterator[LogLine]:
        """Its log as it grows."""

    def metrics(self, name: str, *, minutes: int = 60) -> EndpointMetrics:
        """Its figures."""


class TargetSettings(Protocol):
    """What a target is opened with; ground.settings.Settings has it all."""

    @property
    def state_dir(self) -> Path: ...
    @property
    def region(self) -> str | None: ...
    @property
    def profile(self) -> str | None: ...
    @property
    def endpoint_url(self) -> str | None: ...
    @property
    def origins(self) -> dict[str, str]: ...
