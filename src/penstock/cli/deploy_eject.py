"""``penstock eject``."""

from __future__ import annotations

from typing import Any

import click

from penstock.api.deployments import plan as plan_model
from penstock.cli.command import command
from penstock.cli.deploy import destination, wanted
from penstock.cli.deploy_options import deployment, where
from penstock.cli.terminal import Terminal
from penstock.deploy.eject import FORMS, eject
from penstock.ground.settings import Settings


@command("eject")
@deployment
@where
@click.option("--as", "form", type=click.Choice(list(FORMS)), default="boto3", show_default=True, help="Whose words.")
def eject_plan(
    terminal: Terminal,
    *,
    name: str | None,
    file: str | None,
    flags: dict[str, Any],
    to: str,
    settings: Settings,
    form: str,
) -> None:
    """Print the plan as boto3, CloudFormation, Terraform JSON, or a GitHub workflow."""
    found = wanted(name, file, flags)
    made = plan_model(
        found.model or None,
        name=found.name,
        options=found.options,
        to=destination(found, to),
        settings=settings,
        progress=terminal.progress,
    )
    text = eject(made, form)
    terminal.emit({"schema": "penstock.eject/1", "form": form, "text": text} if terminal.output == "json" else text)
