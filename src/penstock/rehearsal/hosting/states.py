"""The endpoint's state machine, pure: a state and an event give the next state, the time is handed in.

    CreateEndpoint -> Creating -> InService | Failed
    UpdateEndpoint (needs InService) -> Updating -> InService (new config)
          \\-> failure or alarm -> RollingBack -> InService (OLD config) | UpdateRollbackFailed
    UpdateEndpointWeightsAndCapacities -> Updating -> InService
    DeleteEndpoint (InService, Failed, OutOfService, UpdateRollbackFailed) -> Deleting -> gone
    start of the plane: InService -> SystemUpdating -> InService (the fleet is launched again)

Creating, Updating, RollingBack and SystemUpdating refuse update and delete.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from penstock.rehearsal.fleet.plan import FleetPlan
from penstock.rehearsal.hosting.endpoint import Endpoint, Pending, Status, Variant
from penstock.rehearsal.wire.exceptions import in_progress, invalid

BUSY = frozenset({Status.CREATING, Status.UPDATING, Status.ROLLING_BACK, Status.SYSTEM_UPDATING, Status.DELETING})
_MAX_REASON = 1024


def created(name: str, *, arn: str, region: str, plan: FleetPlan, tags: dict[str, str], now_ms: int) -> Endpoint:
    """An endpoint as CreateEndpoint leaves it: Creating, no instance yet."""
    return Endpoint(
        name=name, arn=arn, region=region, config_name=plan.config_name, plan=plan, status=Status.CREATING,
        created_ms=now_ms, modified_ms=now_ms, tags=tags,
        variants=tuple(replace(variant, phase="Creating", phase_since_ms=now_ms) for variant in initial_variants(plan)),
    )  # fmt: skip


def require_idle(endpoint: Endpoint) -> None:
    """Raises AwsError while something is in progress on the endpoint."""
    if endpoint.status in BUSY:
        raise in_progress(endpoint.arn)


def update_requested(endpoint: Endpoint, pending: Pending, *, now_ms: int) -> Endpoint:
    """Updating towards ``pending``. Raises AwsError unless the endpoint is InService."""
    require_idle(endpoint)
    if endpoint.status is not Status.IN_SERVICE:
        raise invalid(
            f'Cannot update endpoint "{endpoint.arn}" in status {endpoint.status}; delete it and create anew.'
        )
    phase = "Updating" if pending.in_place else "Creating"
    variants = tuple(replace(variant, phase=phase, phase_since_ms=now_ms) for variant in pending.variants)
    return replace(
        endpoint, status=Status.UPDATING, pending=replace(pending, variants=variants), modified_ms=now_ms,
        failure_reason=None,
    )  # fmt: skip


def delete_requested(endpoint: Endpoint, *, now_ms: int) -> Endpoint:
    require_idle(endpoint)
    return replace(endpoint, status=Status.DELETING, modified_ms=now_ms, failure_reason=None)


def relaunching(endpoint: Endpoint, *, now_ms: int) -> Endpoint:
    """The endpoint as a starting plane takes it up: what served launches again, what was under way goes on."""
    if endpoint.status is Status.IN_SERVICE:
        return replace(endpoint, status=Status.SYSTEM_UPDATING, modified_ms=now_ms)
    return endpoint


def served(
    endpoint: Endpoint, variants: Iterable[Variant], *, now_ms: int, shadows: Iterable[Variant] = ()
) -> Endpoint:
    """InService with ``variants`` and ``shadows``; a pending deployment's config becomes the endpoint's own."""
    pending = endpoint.pending if endpoint.status is Status.UPDATING else None
    return replace(
        endpoint,
        status=Status.IN_SERVICE,
        config_name=pending.config_name if pending else endpoint.config_name,
        plan=pending.plan if pending else endpoint.plan,
        last_deployment=pending.deployment if pending and not pending.in_place else endpoint.last_deployment,
        variants=settled(variants),
        shadows=settled(shadows),
        pending=None,
        modified_ms=now_ms,
    )


def failed(endpoint: Endpoint, reason: str, *, now_ms: int) -> Endpoint:
    """Failed for good (a create), or RollingBack (an update)."""
    reason = clipped(reason)
    if endpoint.status is Status.UPDATING:
        return replace(endpoint, status=Status.ROLLING_BACK, failure_reason=reason, modified_ms=now_ms)
    status = Status.UPDATE_ROLLBACK_FAILED if endpoint.status is Status.ROLLING_BACK else Status.FAILED
    return replace(
        endpoint, status=status, failure_reason=reason, modified_ms=now_ms, pending=None,
        variants=tuple(replace(variant, phase=None, instances=0) for variant in endpoint.variants),
    )  # fmt: skip


def rolled_back(endpoint: Endpoint, variants: Iterable[Variant], *, now_ms: int) -> Endpoint:
    """InService on the OLD config after a failed update; the reason stays for whoever looks."""
    return replace(endpoint, status=Status.IN_SERVICE, pending=None, variants=settled(variants), modified_ms=now_ms)


def phased(endpoint: Endpoint, phase: str, *, now_ms: int) -> Endpoint:
    """The same endpoint, its incoming variants in ``phase`` (ActivatingTraffic, Baking, ...)."""
    if endpoint.pending is None:
        return endpoint
    variants = tuple(replace(variant, phase=phase, phase_since_ms=now_ms) for variant in endpoint.pending.variants)
    return replace(endpoint, pending=replace(endpoint.pending, variants=variants), modified_ms=now_ms)


def settled(variants: Iterable[Variant]) -> tuple[Variant, ...]:
    """``variants`` at rest: what was desired is what is."""
    return tuple(
        replace(variant, phase=None, weight=variant.desired_weight, instances=variant.desired_instances)
        for variant in variants
    )


def clipped(reason: str) -> str:
    """A failure reason within the wire's 1,024 characters; the end, where the cause is, is kept."""
    return reason if len(reason) <= _MAX_REASON else f"{reason[:500]} ... {reason[-519:]}"


def initial_variants(plan: FleetPlan) -> tuple[Variant, ...]:
    """The variants that an endpoint config asks for, none of them running yet."""
    return tuple(_initial(variant) for variant in plan.config["ProductionVariants"])


def shadow_variants(plan: FleetPlan) -> tuple[Variant, ...]:
    """The shadow variants that an endpoint config asks for."""
    return tuple(_initial(variant) for variant in plan.config.get("ShadowProductionVariants", []))


def _initial(variant: dict[str, Any]) -> Variant:
    serverless = variant.get("ServerlessConfig")
    return Variant(
        name=variant["VariantName"],
        weight=variant.get("InitialVariantWeight", 1.0),
        desired_weight=variant.get("InitialVariantWeight", 1.0),
        desired_instances=variant.get("InitialInstanceCount", 1),
        serverless=serverless,
    )
