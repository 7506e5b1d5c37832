"""``penstock batch``."""

from __future__ import annotations

from typing import Any

import click

from penstock.api.deployments_batch import BatchReport, finish_batch
from penstock.api.deployments_batch import batch as batch_model
from penstock.cli.command import command
from penstock.cli.deploy_options import document, pairs, where
from penstock.cli.terminal import Terminal
from penstock.deploy.batch import read_batch_options
from penstock.deploy.options import DeployOptions
from penstock.ground.errors import InvalidInput
from penstock.ground.settings import Settings

_OPTIONS = (
    click.argument("model", required=False),
    click.option("--endpoint", help="Use the model that this endpoint serves, instead of MODEL."),
    click.option("--job", help="Go on with a job that was begun before."),
    click.option("--input", "source", metavar="PLACE", help="A file, a folder or s3://bucket/prefix."),
    click.option("--results", "target", metavar="PLACE", help="A file, a folder or s3://bucket/prefix."),
    click.option("-n", "--name", help="What the job's own resources are called."),
    click.option("--instance-type", help="For example ml.m5.large."),
    click.option("--instance-count", type=int, help="How many instances share the files."),
    click.option("--content-type", help="By default by the input's ending."),
    click.option("--accept", help="The form of the results; by default the input's."),
    click.option("--split", type=click.Choice(["None", "Line", "RecordIO", "TFRecord"]), help="Where files are cut."),
    click.option("--strategy", type=click.Choice(["MultiRecord", "SingleRecord"]), help="Records in one request."),
    click.option("--assemble", type=click.Choice(["None", "Line"]), help="How results are put together."),
    click.option("--compression", type=click.Choice(["None", "Gzip"]), help="Of the input."),
    click.option("--max-payload-mb", type=int, help="Of one request; 6 unless the container says another."),
    click.option("--max-concurrent", type=int, help="Requests at once to one instance."),
    click.option("--timeout", "timeout_s", type=int, help="Seconds that one request may take."),
    click.option("--retries", type=int, help="Of one request, 0 to 3."),
    click.option("--input-filter", metavar="JSONPATH", help="What of the input is sent, e.g. '$[1:]'."),
    click.option("--output-filter", metavar="JSONPATH", help="What of the result is kept."),
    click.option("--join", is_flag=True, default=None, help="Put each input beside its prediction."),
    click.option("--env", multiple=True, metavar="KEY=VALUE", help="An environment variable of the container."),
    click.option("--kms-key", help="The key for the results and the instances' volumes."),
    click.option("--wait/--no-wait", default=True, help="Wait, fetch the results and clean up; on by default."),
)


def _options(function: Any) -> Any:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@command("batch")
@_options
@where
def batch(
    terminal: Terminal,
    *,
    model: str | None,
    endpoint: str | None,
    job: str | None,
    source: str | None,
    target: str | None,
    name: str | None,
    env: tuple[str, ...],
    wait: bool,
    to: str,
    settings: Settings,
    **given: Any,
) -> None:
    """Run a file, a folder or an S3 prefix through MODEL as a transform job, fetch the results, and clean up."""
    common: dict[str, Any] = {"output": target, "to": to, "settings": settings, "progress": terminal.progress}
    try:
        if job is not None:
            found = finish_batch(job, **common)
        elif source is None:
            raise InvalidInput("There is no input.", fix="Give --input: a file, a folder or s3://bucket/prefix.")
        else:
            table = {key: value for key, value in given.items() if value is not None}
            options = read_batch_options({**table, "env": pairs("--env", env) or {}})
            hosting = DeployOptions(instance_type=options.instance_type)  # The image's architecture follows it.
            found = batch_model(
                model,
                source=source,
                endpoint=endpoint,
                name=name,
                options=options,
                deployment=hosting,
                wait=wait,
                **common,
            )
    except KeyboardInterrupt:
        terminal.note("Stopped watching. A job that was begun goes on: `penstock batch --job JOB --results PLACE`.")
        raise
    terminal.emit(document("batch", found) if terminal.output == "json" else found, text=_text)


def _text(found: BatchReport) -> str:
    job = found.job
    if job.status == "InProgress":
        return f"{job.job} works; fetch its results with `penstock batch --job {job.job} --results PLACE`"
    worked = f"{job.seconds:.0f} s on {job.instance_count} {job.instance_type}"
    lines = [f"{job.job} is {job.status}: {len(found.outputs) or job.done} files, {worked}"]
    lines += [f"  {path}" for path in found.outputs] or [f"  results are under {job.output_uri}"]
    return "\n".join([*lines, *(["  what was made for it is gone"] if found.removed else [])])
