"""Carrying out a plan, step by step: written down before it is made, taken back when it fails, resumable in between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from penstock.deploy.hosting import update_endpoint
from penstock.deploy.kinds import Making, Materials
from penstock.deploy.ledger import Event, Ledger
from penstock.deploy.removal import remove, undo
from penstock.deploy.resources import Kind, Resource, log_group
from penstock.deploy.session import AwsSession
from penstock.deploy.steps import Action, Plan, Step
from penstock.deploy.table import KINDS
from penstock.deploy.wait import wait_in_service
from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import PenstockError, Unauthenticated
from penstock.ground.progress import SILENT, Progress

Probe = Callable[[AwsSession, str], None]
"""Checks that the endpoint of that name gives a real answer; raises if it does not."""


class Deployment(Struct, frozen=True, kw_only=True):
    """What answers now. ``status`` is SageMaker's; ``changed`` says whether anything was done."""

    name: str
    status: str
    config_name: str
    endpoint_arn: str = ""
    images: dict[str, str] = {}
    account: str = ""
    region: str = ""
    endpoint_url: str = ""
    changed: bool = True


def apply(
    plan: Plan,
    *,
    session: AwsSession,
    ledger: Ledger,
    materials: Materials | None = None,
    progress: Progress = SILENT,
    clock: Clock = SYSTEM_CLOCK,
    wait: bool = True,
    timeout_s: float = 3600.0,
    probe: Probe | None = None,
) -> Deployment:
    """Does what the plan says and gives what answers in the end.

    With ``wait`` it returns once the endpoint serves the plan's config and ``probe`` is content. A failure that is
    final takes back all that was made since the deployment last served; one that may pass (throttling, expired
    credentials, a timeout, a kill) leaves the work for the same plan to go on with.
    """
    making = Making(
        aws=session,
        deployment=plan.name,
        tags=plan.tags,
        materials=materials or Materials(),
        fresh_role=plan.creates(Kind.ROLE),
        progress=progress,
        clock=clock,
    )
    with ledger.locked(plan.name):
        try:
            for step in plan.steps:
                if not _comes_last(step):
                    carry_out(step, making, ledger)
            found = _settle(plan, making, wait, timeout_s, probe)
            for step in plan.steps:
                if _comes_last(step) and wait:
                    carry_out(step, making, ledger)
        except PenstockError as error:
            ledger.record(plan.name, Event.FAILED, error=error.code, message=error.message[:500])
            if _is_final(error):
                undo(error, plan, making, ledger)
            raise
        if wait and plan.changes:
            ledger.record(plan.name, Event.SERVED, **_served(plan, making))
        return _deployment(plan, found, session)


def carry_out(step: Step, making: Making, ledger: Ledger) -> None:
    """Does one step; what it makes is in the ledger before and after."""
    if step.action is Action.REUSE:
        return
    kind, name = step.resource.kind, step.resource.name
    with making.progress.phase(f"{step.action.value.capitalize()} {kind.value}") as phase:
        phase.detail(name)
        if kind is Kind.ENDPOINT and "EndpointConfigName" in step.spec:
            ledger.record(making.deployment, Event.AWAITING, config=step.spec["EndpointConfigName"])
        if step.action is Action.CREATE:
            _create(step, making, ledger)
        elif step.action is Action.DELETE:
            remove(step.resource, making, ledger)
        elif kind is Kind.TAGS:
            making.aws.call("sagemaker", "add_tags", **step.spec)
        elif kind is Kind.ENDPOINT:
            update_endpoint(making, name, step.spec)
        else:
            KINDS[kind].make(making, name, step.spec)


def _create(step: Step, making: Making, ledger: Ledger) -> None:
    if step.resource.kind is Kind.ENDPOINT:
        # SageMaker makes it by itself as soon as a container prints something.
        ledger.record(making.deployment, Event.MAKING, Resource(Kind.LOGS, log_group(step.resource.name)))
    ledger.record(making.deployment, Event.MAKING, step.resource)
    KINDS[step.resource.kind].make(making, step.resource.name, step.spec)
    ledger.record(making.deployment, Event.MADE, step.resource)


def _settle(plan: Plan, making: Making, wait: bool, timeout_s: float, probe: Probe | None) -> dict[str, Any]:
    if not wait:
        return making.aws.call("sagemaker", "describe_endpoint", EndpointName=plan.name)
    alarms = _watching(plan)
    found = wait_in_service(making, plan.name, config_name=plan.config_name, timeout_s=timeout_s, alarms=alarms)
    if probe is not None and plan.changes:
        with making.progress.phase("Asking for a prediction"):
            probe(making.aws, plan.name)
    return found


def _comes_last(step: Step) -> bool:
    """Only an endpoint in service can be scaled."""
    return step.resource.kind is Kind.SCALING and step.action is not Action.DELETE


def _watching(plan: Plan) -> tuple[str, ...]:
    """Names of the alarms that may roll the plan's update back."""
    specs = (step.spec.get("DeploymentConfig", {}) for step in plan.steps if step.resource.kind is Kind.ENDPOINT)
    alarms = (one for spec in specs for one in spec.get("AutoRollbackConfiguration", {}).get("Alarms", []))
    return tuple(str(one["AlarmName"]) for one in alarms)


def _is_final(error: PenstockError) -> bool:
    return not error.retryable and not isinstance(error, Unauthenticated)


def _served(plan: Plan, making: Making) -> dict[str, Any]:
    return {"config": plan.config_name, "images": plan.images, "by": making.aws.identity["Arn"], "tags": plan.tags}


def _deployment(plan: Plan, found: dict[str, Any], session: AwsSession) -> Deployment:
    return Deployment(
        name=plan.name,
        status=found["EndpointStatus"],
        config_name=found["EndpointConfigName"],
        endpoint_arn=found["EndpointArn"],
        images=plan.images,
        account=plan.account,
        region=plan.region,
        endpoint_url=session.endpoint_url,
        changed=plan.changes,
    )
