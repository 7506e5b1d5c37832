"""Waiting for an endpoint: named phases, and the truth about how it ended."""

from __future__ import annotations

from typing import Any

from penstock.deploy.failure import explain_failure
from penstock.deploy.kinds import Making
from penstock.deploy.logs import LogLine, tail
from penstock.ground.errors import PenstockError, TimedOut
from penstock.ground.progress import Phase

IN_SERVICE = "InService"
_BUSY = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}
_ENDED_BADLY = {"Failed", "OutOfService", "UpdateRollbackFailed"}
# A quarter of a second at first, for planes that are quick; ten seconds at last, for fleets that take minutes.
_FIRST_PAUSE_S, _LAST_PAUSE_S, _GROWTH = 0.25, 10.0, 1.3


def wait_in_service(
    making: Making, name: str, *, config_name: str | None = None, timeout_s: float = 3600.0,
    alarms: tuple[str, ...] = (),
) -> dict[str, Any]:  # fmt: skip
    """The endpoint's description once it serves ``config_name`` (None: whatever it has). ``alarms`` watch the update.

    Raises DeploymentFailed when it failed or rolled back, NotFound when it is gone, TimedOut when it is still busy.
    """
    deadline_ms = making.clock.now_ms() + int(timeout_s * 1000)
    pause_s = _FIRST_PAUSE_S
    with making.progress.phase(f"Waiting for {name}") as phase:
        while True:
            found = making.aws.call("sagemaker", "describe_endpoint", EndpointName=name)
            status = found["EndpointStatus"]
            if status == IN_SERVICE:
                return _serving(making, name, found, config_name, alarms)
            if status in _ENDED_BADLY:
                what = f"The endpoint {name!r} is {status}"
                raise explain_failure(making.aws, name, what, reason=str(found.get("FailureReason", "")))
            if making.clock.now_ms() > deadline_ms:
                fix = f"It goes on; resume with `penstock status {name} --wait`."
                raise TimedOut(f"The endpoint {name!r} is still {status} after {timeout_s:.0f} s.", fix=fix)
            _show(making, name, found, phase)
            making.clock.sleep(pause_s)
            pause_s = min(pause_s * _GROWTH, _LAST_PAUSE_S)


def wait_gone(making: Making, name: str, *, timeout_s: float = 1800.0) -> None:
    """Returns once the endpoint is gone. Raises TimedOut, and DeploymentFailed when the deletion failed."""
    deadline_ms = making.clock.now_ms() + int(timeout_s * 1000)
    pause_s = _FIRST_PAUSE_S
    while True:
        found = making.aws.find("sagemaker", "describe_endpoint", EndpointName=name)
        if found is None:
            return
        if found["EndpointStatus"] != "Deleting" and making.clock.now_ms() > deadline_ms:
            raise explain_failure(making.aws, name, "The deletion failed", reason=str(found.get("FailureReason", "")))
        if making.clock.now_ms() > deadline_ms:
            raise TimedOut(f"The endpoint {name!r} is still Deleting.", fix=f"Run `penstock delete {name}` again.")
        making.clock.sleep(pause_s)
        pause_s = min(pause_s * _GROWTH, _LAST_PAUSE_S)


def wait_settled(making: Making, name: str, *, timeout_s: float = 3600.0) -> str | None:
    """The endpoint's status once nothing is in progress; None when it is gone. Raises TimedOut."""
    deadline_ms = making.clock.now_ms() + int(timeout_s * 1000)
    pause_s = _FIRST_PAUSE_S
    with making.progress.phase(f"Waiting until {name} has settled") as phase:
        while True:
            found = making.aws.find("sagemaker", "describe_endpoint", EndpointName=name)
            if found is None or found["EndpointStatus"] not in _BUSY:
                return str(found["EndpointStatus"]) if found else None
            if making.clock.now_ms() > deadline_ms:
                fix = f"It goes on; resume with `penstock status {name} --wait`."
                raise TimedOut(f"The endpoint {name!r} is still {found['EndpointStatus']}.", fix=fix)
            _show(making, name, found, phase)
            making.clock.sleep(pause_s)
            pause_s = min(pause_s * _GROWTH, _LAST_PAUSE_S)


def _serving(
    making: Making, name: str, found: dict[str, Any], config_name: str | None, alarms: tuple[str, ...]
) -> dict[str, Any]:
    """The description, unless the endpoint went back to another config: InService alone is not success."""
    if config_name is None or found["EndpointConfigName"] == config_name:
        return found
    said = str(found.get("FailureReason", "")).rstrip(".") or "the update was rolled back"
    reason = "; ".join([said, *_rung(making, alarms)])
    what = f"The endpoint {name!r} serves its former config {found['EndpointConfigName']!r} again"
    raise explain_failure(making.aws, name, what, reason=reason, rolled_back=True)


def _rung(making: Making, alarms: tuple[str, ...]) -> list[str]:
    """Which of the alarms ring, and why; SageMaker itself often names none."""
    if not alarms:
        return []
    try:
        found = making.aws.call("cloudwatch", "describe_alarms", AlarmNames=[*alarms], StateValue="ALARM")
    except PenstockError:
        return []  # That it rolled back is told all the same.
    return [f"the alarm {one['AlarmName']!r} is in ALARM: {one['StateReason']}" for one in found["MetricAlarms"]]


def _show(making: Making, name: str, found: dict[str, Any], phase: Phase) -> None:
    """Status, each variant's own status, and the last thing the container said."""
    fleets = found.get("PendingDeploymentSummary", {}).get("ProductionVariants") or found.get("ProductionVariants", [])
    states = {state["Status"] for fleet in fleets for state in fleet.get("VariantStatus", [])}
    last = _last_lines(making, name)
    parts = [found["EndpointStatus"], *sorted(states - {found["EndpointStatus"]}), *(line.text for line in last)]
    phase.detail(" · ".join(parts))


def _last_lines(making: Making, name: str) -> tuple[LogLine, ...]:
    """The last thing that the container said; who may not read logs waits without."""
    try:
        return tail(making.aws, name, 1)
    except PenstockError:
        return ()
