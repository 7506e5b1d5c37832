"""The story, chapter by chapter: each is a function from what is known to what it made; ``tell`` strings them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import msgspec
from botocore.exceptions import WaiterError
from msgspec import Struct

from penstock.api import deployments, images_build, models, registering, run_files, running, tracking
from penstock.api.quickstart import iris
from penstock.api.quickstart.handover import CONTENT_TYPE
from penstock.api.quickstart.report import ShownImage, TrackedRun
from penstock.api.resolve import resolve_model
from penstock.deploy.apply import Deployment
from penstock.deploy.metrics import EndpointMetrics
from penstock.deploy.options import DeployOptions
from penstock.ground.errors import EndpointFailed, Unavailable
from penstock.ground.progress import FoldedProgress, Progress
from penstock.ground.settings import Settings
from penstock.images.build import BuildOptions, BuiltImage, image_requirements, target_python
from penstock.images.target import build_target
from penstock.images.wheels.lock import Lock
from penstock.images.wheels.resolve import resolve
from penstock.models.folder import read_model_folder

EXPERIMENT = "penstock-quickstart"
MODEL = "iris"
ALIAS = "champion"
ENDPOINT = "penstock-quickstart"
_WAITER = {"Delay": 1, "MaxAttempts": 600}
_METRIC_TRIES = 50


class Question(Struct, frozen=True):
    """What the endpoint is asked, as text of pandas' split form, and what the model says in this process."""

    text: str
    expected: list[float]


def train(progress: Progress) -> iris.TrainedIris:
    """A fitted model."""
    with progress.phase("Train scikit-learn on iris") as phase:
        trained = iris.train()
        phase.detail(f"150 flowers, {len(trained.epochs)} epochs, accuracy {trained.accuracy:.2f}")
    return trained


def track(trained: iris.TrainedIris, progress: Progress) -> TrackedRun:
    """The run that the tracking store now has, and the registered model with its alias."""
    with progress.phase("Track params, metrics, a plot and the model") as phase:
        tracking.set_experiment(EXPERIMENT)
        with running.start_run(run_name="iris") as run:
            tracking.log_params({**iris.PARAMS, "epochs": iris.EPOCHS})
            for epoch in trained.epochs:
                values = msgspec.structs.asdict(epoch)
                tracking.log_metrics({key: values[key] for key in values if key != "step"}, step=epoch.step)
            run_files.log_figure(iris.learning_curve(trained), "learning_curve.png")
            rows = trained.test_rows.head(3)
            signature = models.infer_signature(rows, trained.model.predict(rows))
            info = models.log_model(trained.model, "model", signature=signature, input_example=rows)
        phase.detail(f"run {run.info.run_id}")
    with progress.phase("Register the model") as phase:
        version = registering.register_model(info.model_uri, MODEL).version
        registering.set_registered_model_alias(MODEL, ALIAS, version)
        phase.detail(f"models:/{MODEL}@{ALIAS}, version {version}")
    return TrackedRun(
        experiment=EXPERIMENT,
        run_id=run.info.run_id,
        tracking_uri=tracking.get_tracking_uri(),
        model_uri=f"models:/{MODEL}@{ALIAS}",
        registered_as=f"{MODEL} version {version}",
        accuracy=trained.accuracy,
    )


def lock(model_uri: str, settings: Settings, progress: Progress) -> Lock:
    """The exact wheels that the model and the serving program need, with hashes."""
    with progress.phase("Lock its environment") as phase:
        folder = read_model_folder(resolve_model(model_uri))
        target = build_target(target_python(folder, None), platform="linux/amd64")
        found = resolve(image_requirements(folder), target, cache_dir=settings.cache_dir)
        phase.detail(f"{len(found.wheels)} wheels for Python {target.python}, {target.platform}, hashes and all")
    return found


def build(model_uri: str, locked: Lock, settings: Settings, progress: Progress) -> BuiltImage:
    """The image that serves the model; no container engine takes part."""
    with progress.phase("Build the image") as phase:
        options = BuildOptions(base=settings.base_image, apt_sources=settings.apt_sources, lock=locked)
        built = images_build.build(model_uri, options=options, settings=settings, progress=FoldedProgress(phase))
        size = sum(layer.size_bytes for layer in built.image.layers)
        phase.detail(f"{len(built.image.layers)} layers, {size / 1e6:.1f} MB, {built.image.digest('docker')[:19]}")
    return built


def deploy(model_uri: str, built: BuiltImage, settings: Settings, progress: Progress) -> Deployment:
    """The deployment under way: image pushed, and model, endpoint config and endpoint created through boto3."""
    return deployments.deploy(
        model_uri,
        name=ENDPOINT,
        image=built,
        options=DeployOptions(wait=False, expires="24h"),
        settings=settings,
        progress=progress,
    )


def wait(session: Any, progress: Progress) -> str:
    """The endpoint's status once boto3's own waiter is content. Raises EndpointFailed with the reason."""
    client = session.client("sagemaker")
    with progress.phase("Wait with boto3's own waiter") as phase:
        before = client.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"]
        try:
            client.get_waiter("endpoint_in_service").wait(EndpointName=ENDPOINT, WaiterConfig=_WAITER)
        except WaiterError as error:
            found = client.describe_endpoint(EndpointName=ENDPOINT)
            raise EndpointFailed(
                f"The endpoint is {found['EndpointStatus']}: {found.get('FailureReason', 'no reason given')}.",
                fix="Everything it made is removed again; correct the cause and run the quickstart anew.",
            ) from error
        status = str(client.describe_endpoint(EndpointName=ENDPOINT)["EndpointStatus"])
        phase.detail(f"{before} -> {status}")
    return status


def question(trained: iris.TrainedIris) -> Question:
    """One real row that the model has not seen."""
    row = iris.virginica(trained)
    return Question(row.to_json(orient="split"), [float(value) for value in trained.model.predict(row)])


def ask(asked: Question, session: Any, progress: Progress) -> list[float]:
    """What the endpoint answers an unmodified boto3. Raises EndpointFailed when it is not what the model says."""
    with progress.phase("Invoke it with boto3") as phase:
        answer = session.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=ENDPOINT, Body=asked.text, ContentType=CONTENT_TYPE
        )
        response = msgspec.json.decode(answer["Body"].read(), type=list[float])
        phase.detail(f"variant {answer['InvokedProductionVariant']}")
    if response != asked.expected:
        raise EndpointFailed(
            f"The endpoint answered {response}, and the model in this process says {asked.expected}.",
            fix="The image does not hold the model that was logged: build it again with --refresh.",
        )
    return response


def watch(calls: int, settings: Settings, progress: Progress) -> EndpointMetrics:
    """The endpoint's figures from CloudWatch once they count ``calls`` calls. Raises Unavailable if they never do."""
    with progress.phase("Read its metrics from CloudWatch") as phase:
        for _ in range(_METRIC_TRIES):
            found = deployments.metrics(ENDPOINT, minutes=5, settings=settings)
            if found.invocations >= calls:
                latency = found.variants[0].model_latency_avg_ms or 0.0
                phase.detail(f"invocations: {found.invocations}, model latency: {latency:.1f} ms")
                return found
    raise Unavailable("CloudWatch does not count the invocation.", fix="See the plane's log.")


def shown_image(built: BuiltImage, deployment: Deployment) -> ShownImage:
    """The image as the report tells it."""
    layers = built.image.layers
    return ShownImage(
        reference=next(iter(deployment.images.values())),
        digest=built.image.digest("docker"),
        layers=len(layers),
        wheels=len(built.lock.wheels),
        size_bytes=sum(layer.size_bytes for layer in layers),
        base=built.base.name,
    )


def boto_session(environment: dict[str, str]) -> Any:
    """An ordinary boto3 session; nothing but the environment says where AWS is."""
    return boto3.Session(region_name=environment["AWS_REGION"])


def quickstart_dir(settings: Settings) -> Path:
    """Where the quickstart's own plane lives."""
    return settings.state_dir / "planes" / "quickstart"
