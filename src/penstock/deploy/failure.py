"""A deployment that failed, told whole: AWS's reason, the container's last lines, the diagnosis and what to do."""

from __future__ import annotations

from penstock.deploy.diagnose import Diagnosis, diagnose
from penstock.deploy.logs import LogLine, tail
from penstock.deploy.session import AwsSession
from penstock.ground.errors import EndpointFailed, PenstockError

_LINES = 50
_SHOWN = 5


class DeploymentFailed(EndpointFailed):
    """The endpoint is not serving what was asked for."""

    code = "PENSTOCK-E0731"

    def __init__(
        self,
        message: str,
        *,
        fix: str | None = None,
        reason: str = "",
        lines: tuple[LogLine, ...] = (),
        diagnosis: Diagnosis | None = None,
        rolled_back: bool = False,
    ) -> None:
        super().__init__(message, fix=fix)
        self.reason = reason
        self.lines = lines
        self.diagnosis = diagnosis
        self.rolled_back = rolled_back


def explain_failure(
    aws: AwsSession, deployment: str, what: str, *, reason: str, rolled_back: bool = False
) -> DeploymentFailed:
    """The error for ``deployment``, with its log's end and the row of the table that fits."""
    lines = _lines(aws, deployment)
    found = diagnose(reason, [line.text for line in lines])
    shown = "".join(f"\n    {line.text}" for line in lines[-_SHOWN:])
    cause = f" Cause: {found.cause}" if found else ""
    log = f"\n  The container's last lines:{shown}\n" if shown else ""
    return DeploymentFailed(
        f"{what}: {reason or 'SageMaker gives no reason'}.{log}{cause}",
        fix=found.fix() if found else f"Read the whole log. Next: `penstock logs {deployment}`.",
        reason=reason,
        lines=lines,
        diagnosis=found,
        rolled_back=rolled_back,
    )


def _lines(aws: AwsSession, deployment: str) -> tuple[LogLine, ...]:
    """The log's end; a log that cannot be read must not hide the failure itself."""
    try:
        return tail(aws, deployment, _LINES)
    except PenstockError as error:
        return (LogLine(0, "penstock", f"(the log cannot be read: {error.message})"),)
