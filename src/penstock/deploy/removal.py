"""Taking things back: one resource, or all that a failed deploy made."""

from __future__ import annotations

from collections.abc import Iterable

from penstock.deploy.hosting import update_endpoint
from penstock.deploy.kinds import Making
from penstock.deploy.ledger import Event, Ledger
from penstock.deploy.resources import KIND_ORDER, Kind, Resource
from penstock.deploy.steps import Action, Plan
from penstock.deploy.table import KINDS, SHARED
from penstock.deploy.wait import wait_gone, wait_in_service
from penstock.ground.errors import PenstockError


def remove(resource: Resource, making: Making, ledger: Ledger) -> None:
    """Removes one resource and returns once it is gone; the ledger says so before and after."""
    ledger.record(making.deployment, Event.REMOVING, resource)
    KINDS[resource.kind].remove(making, resource.name)
    if resource.kind is Kind.ENDPOINT:
        wait_gone(making, resource.name)
    ledger.record(making.deployment, Event.GONE, resource)


def remove_all(resources: Iterable[Resource], making: Making, ledger: Ledger) -> dict[Resource, PenstockError]:
    """Removes them in the reverse order of making and gives those that could not be removed, each with why."""
    failed: dict[Resource, PenstockError] = {}
    for resource in removal_order(resources):
        with making.progress.phase(f"Remove {resource.kind.value}") as phase:
            phase.detail(resource.name)
            try:
                remove(resource, making, ledger)
            except PenstockError as error:
                failed[resource] = error
    return failed


def removal_order(resources: Iterable[Resource]) -> list[Resource]:
    """Users before what they use: an endpoint before its config, a config before its models, shared things last."""
    return sorted(set(resources), key=lambda one: (one.kind in SHARED, -KIND_ORDER.index(one.kind), one.name))


def undo(error: PenstockError, plan: Plan, making: Making, ledger: Ledger) -> None:
    """Takes back what the failed plan made, and adds to ``error``'s message a sentence on what is left.

    An endpoint that was there before goes back to its former config and stays; one that this plan began goes.
    """
    was_there = any(step.action is Action.CHANGE and step.resource.kind is Kind.ENDPOINT for step in plan.steps)
    made = {step.resource for step in plan.steps if step.action is Action.CREATE}
    present = {resource for resource in ledger.unproven(plan.name) if resource.kind is not Kind.LOGS}
    try:
        if was_there:
            _go_back(plan, making)
    except PenstockError as second:
        _tell(error, f"Going back to {plan.previous_config} failed too: {second.message}")
        return
    keeps_serving = was_there or plan.previous_config == plan.config_name
    failed = remove_all(made & present if keeps_serving else present, making, ledger)
    if failed:
        left = ", ".join(str(resource) for resource in failed)
        _tell(error, f"Left behind: {left}; `penstock delete {plan.name}` removes it.")
        return
    _tell(error, "The former config serves." if was_there else _UNDONE)


def _go_back(plan: Plan, making: Making) -> None:
    """Moves the endpoint back to the config it had, if it has left it."""
    found = making.aws.call("sagemaker", "describe_endpoint", EndpointName=plan.name)
    if plan.previous_config is None or found["EndpointConfigName"] == plan.previous_config:
        return
    with making.progress.phase("Going back to the former config"):
        update_endpoint(
            making, plan.name, {"EndpointConfigName": plan.previous_config, "RetainAllVariantProperties": True}
        )
        wait_in_service(making, plan.name, config_name=plan.previous_config)


_UNDONE = "All that was made has been removed again; what the container logged stays until `penstock delete`."


def _tell(error: PenstockError, sentence: str) -> None:
    error.message = f"{error.message.rstrip()} {sentence}"
