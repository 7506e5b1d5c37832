"""Deployments, as anybody may use them: plan, deploy, look, call, delete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from penstock.api.deployments_model import ModelSource, open_model
from penstock.api.deployments_package import Packed, pack_all
from penstock.api.deployments_probe import variants_probe
from penstock.api.deployments_rehearse import was_rehearsed
from penstock.api.deployments_target import LOCAL, SAGEMAKER, target_of
from penstock.deploy.apply import Deployment
from penstock.deploy.delete import DeletionReport
from penstock.deploy.invoke import Answer
from penstock.deploy.logs import LogLine
from penstock.deploy.metrics import EndpointMetrics
from penstock.deploy.options import DeployOptions, build_request, check_cost
from penstock.deploy.status import EndpointStatus
from penstock.deploy.steps import Plan
from penstock.deploy.targets.port import Target
from penstock.ground.clock import SYSTEM_CLOCK
from penstock.ground.errors import InvalidInput, NotFound
from penstock.ground.progress import SILENT, Progress
from penstock.ground.settings import Settings, load_settings
from penstock.images.build import BuiltImage

_UNREHEARSED = "This image and model were never rehearsed here: `penstock rehearse MODEL` tries them for nothing."


class Prepared(Struct, frozen=True, kw_only=True):
    """A plan with all that applying it needs."""

    plan: Plan
    packed: Packed
    options: DeployOptions


def plan(
    model: str | Path | ModelSource | None,
    *,
    name: str,
    options: DeployOptions | None = None,
    image: BuiltImage | str | None = None,
    to: str = SAGEMAKER,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> Plan:
    """What ``deploy`` with the same arguments would do; nothing outside this machine changes."""
    known = settings or load_settings()
    target = target_of(to, known)
    return prepare(
        model, name=name, options=options, image=image, target=target, settings=known, progress=progress
    ).plan


def deploy(
    model: str | Path | ModelSource | None,
    *,
    name: str,
    options: DeployOptions | None = None,
    image: BuiltImage | str | None = None,
    to: str = SAGEMAKER,
    settings: Settings | None = None,
    progress: Progress = SILENT,
    approve: Callable[[Plan], None] | None = None,
) -> Deployment:
    """Makes the endpoint ``name`` serve ``model`` and gives it once it answers; the same call again changes nothing.

    ``model`` is a folder, ``models:/name@alias``, ``name@alias`` or ``runs:/id/path``; None when the options' variants
    each name their own. ``image`` is one that is built
    already, or the reference of one in a registry; by default it is built from the model. ``approve`` sees the plan
    before anything is done, and raises to stop it.
    Raises DeploymentFailed with the cause; a failed create has then removed all that it made.
    """
    known = settings or load_settings()
    target = target_of(to, known)
    prepared = prepare(model, name=name, options=options, image=image, target=target, settings=known, progress=progress)
    if approve is not None:
        approve(prepared.plan)
    return apply_prepared(prepared, target=target, progress=progress)


def prepare(
    model: str | Path | ModelSource | None,
    *,
    name: str,
    options: DeployOptions | None,
    image: BuiltImage | str | None,
    target: Target,
    settings: Settings,
    progress: Progress = SILENT,
) -> Prepared:
    """The plan together with its materials: the image is built and the archive packed on this machine."""
    how = options or DeployOptions()
    standing = standing_types(target, name)
    packed = pack_all(model, options=how, image=image, standing=standing, settings=settings, progress=progress)
    request = build_request(name, packed.package, how, now_ms=SYSTEM_CLOCK.now_ms(), packages=packed.packages)
    with progress.phase("Plan"):
        made = target.plan(request)
    check_cost(how, made.cost.per_hour)
    if made.changes and not was_rehearsed(packed, settings):
        made = replace(made, warnings=(*made.warnings, _UNREHEARSED))
    return Prepared(plan=made, packed=packed, options=how)


def standing_types(target: Target, name: str) -> dict[str, str]:
    """The instance type of each variant that is there, which an update keeps unless it says otherwise."""
    try:
        return {one.name: one.instance_type for one in target.status(name).variants}
    except NotFound:
        return {}


def apply_prepared(prepared: Prepared, *, target: Target, progress: Progress = SILENT) -> Deployment:
    """Carries out a plan that ``prepare`` made."""
    return target.apply(
        prepared.plan,
        materials=prepared.packed.materials,
        progress=progress,
        wait=prepared.options.wait,
        timeout_s=prepared.options.timeout_s,
        probe=variants_probe(prepared.packed.models),
    )


def delete(
    name: str,
    *,
    force: bool = False,
    to: str = SAGEMAKER,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> DeletionReport:
    """Removes the deployment with all that belongs to it, and says whether anything is left."""
    return target_of(to, settings or load_settings()).delete(name, force=force, progress=progress)


def status(
    name: str,
    *,
    wait: bool = False,
    to: str = SAGEMAKER,
    settings: Settings | None = None,
    progress: Progress = SILENT,
) -> EndpointStatus:
    """How the deployment stands; with ``wait``, once nothing is in progress. Raises NotFound."""
    target = target_of(to, settings or load_settings())
    if wait:
        target.settle(name, progress=progress)
    return target.status(name)


def list_deployments(*, to: str = SAGEMAKER, settings: Settings | None = None) -> tuple[EndpointStatus, ...]:
    """Every deployment of ours in the account and region, newest first."""
    return target_of(to, settings or load_settings()).list()


def invoke(
    name: str,
    data: bytes | str | list[object] | dict[str, object],
    *,
    content_type: str = "application/json",
    variant: str | None = None,
    to: str = SAGEMAKER,
    settings: Settings | None = None,
) -> Answer:
    """The endpoint's answer. Bytes and text go as they are; a dict or a list goes as JSON."""
    if isinstance(data, str):
        body = data.encode()
    elif isinstance(data, bytes):
        body = data
    elif content_type.startswith("application/json"):
        body = msgspec.json.encode(data)
    else:
        raise InvalidInput(
            f"A {type(data).__name__} cannot be sent as {content_type}.", fix="Encode it to bytes yourself."
        )
    return target_of(to, settings or load_settings()).invoke(name, body, content_type=content_type, variant=variant)


def invoke_example(
    name: str, *, variant: str | None = None, to: str = SAGEMAKER, settings: Settings | None = None
) -> Answer:
    """The endpoint's answer to the input example of the model it serves. Raises NotFound for a model without one."""
    target = target_of(to, settings or load_settings())
    found = target.status(name)
    uri = next((one.model_uri for one in found.variants if one.name == variant), "") or found.model_uri
    example = open_model(uri).folder.input_example() if uri else None
    if example is None:
        raise NotFound(f"The model of {name!r} has no input example at hand.", fix="Send --data, or stdin.")
    return target.invoke(name, msgspec.json.encode(example.payload()), variant=variant)


def invocation_hints(made: Deployment, *, to: str = SAGEMAKER) -> tuple[str, ...]:
    """Lines to paste: how to call what was deployed, by our program, the AWS CLI and boto3."""
    local = to == LOCAL
    place = f"--endpoint-url {made.endpoint_url}" if local else f"--region {made.region}"
    client = f'endpoint_url="{made.endpoint_url}"' if local else f'region_name="{made.region}"'
    return (
        f"  penstock invoke {made.name} --example" + (f" --to {LOCAL}" if local else ""),
        f"  aws sagemaker-runtime invoke-endpoint --endpoint-name {made.name} {place} "
        "--content-type text/csv --body fileb://rows.csv /dev/stdout",
        f'  boto3.client("sagemaker-runtime", {client}).invoke_endpoint('
        f'EndpointName="{made.name}", ContentType="text/csv", Body=rows)',
        *(('  (first: eval "$(penstock plane env)")',) if local else ()),
    )


def logs(name: str, *, limit: int = 50, to: str = SAGEMAKER, settings: Settings | None = None) -> tuple[LogLine, ...]:
    """The last lines of the deployment's containers, oldest first."""
    return target_of(to, settings or load_settings()).logs(name, limit=limit)


def follow_logs(name: str, *, to: str = SAGEMAKER, settings: Settings | None = None) -> Iterator[LogLine]:
    """The deployment's log lines from ten minutes ago on, as they come, for ever."""
    target = target_of(to, settings or load_settings())
    return target.follow_logs(name, since_ms=SYSTEM_CLOCK.now_ms() - 600_000)


def metrics(name: str, *, minutes: int = 60, to: str = SAGEMAKER, settings: Settings | None = None) -> EndpointMetrics:
    """Calls, errors and latencies of the last ``minutes``, by variant."""
    return target_of(to, settings or load_settings()).metrics(name, minutes=minutes)
