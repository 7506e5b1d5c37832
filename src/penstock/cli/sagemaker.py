"""``penstock sagemaker``: the commands of ``mlflow sagemaker`` that scripts call, with their options."""

from __future__ import annotations

from typing import Any

import click

from penstock.api import images_container as api
from penstock.cli.command import command
from penstock.cli.terminal import Terminal


@command("build-and-push-container")
@click.option("--build/--no-build", default=True, help="Build the image.")
@click.option("--push/--no-push", default=True, help="Push it to ECR.")
@click.option("-c", "--container", default="mlflow-pyfunc", show_default=True, help="The image's name.")
@click.option("-m", "--model-uri", help="The model to build for; without one, only the repository is made.")
@click.option("--network", hidden=True)
@click.option("--install-java", is_flag=False, flag_value="true", hidden=True)
@click.option("--env-manager", hidden=True)
@click.option("--mlflow-home", hidden=True)
def build_and_push_container(
    terminal: Terminal, build: bool, push: bool, container: str, model_uri: str | None, **ignored: Any
) -> None:
    """Build the image that serves a model and push it to ECR, as `mlflow sagemaker build-and-push-container` does.

    An image is made of a model's own packages, so that nothing is installed when it starts: name the model.
    --network, --install-java, --env-manager and --mlflow-home are taken and have no meaning without Docker.
    """
    if not (build or push):
        terminal.note("Skipping both build and push: there is nothing to do.")
    elif build and model_uri is None:
        terminal.note("[yellow]note[/] No --model-uri: an image is made for each model, by the deploy that needs it.")
    for name in (name for name, value in ignored.items() if value is not None):
        terminal.note(f"[yellow]note[/] --{name.replace('_', '-')} has no meaning here: no engine builds the image.")
    made = api.build_and_push_container(
        container, model_uri=model_uri, build=build, push=push, progress=terminal.progress
    )
    terminal.emit(made, text=lambda done: done.reference or done.image or "")


sagemaker = click.Group("sagemaker", commands=[build_and_push_container], help="Commands of mlflow sagemaker.")
