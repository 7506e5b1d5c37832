"""``penstock plan`` and ``penstock deploy``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Group
from rich.text import Text

from penstock.api.deployments import deploy as deploy_model
from penstock.api.deployments import invocation_hints
from penstock.api.deployments import plan as plan_model
from penstock.api.deployments_settings import DeploymentSettings, deployment_settings
from penstock.api.deployments_target import SAGEMAKER
from penstock.cli.command import command
from penstock.cli.deploy_options import deployment, document, where
from penstock.cli.deploy_plan import show_plan
from penstock.cli.terminal import Terminal
from penstock.deploy.apply import Deployment
from penstock.deploy.permissions import needed_actions
from penstock.deploy.steps import Plan
from penstock.ground.errors import InvalidInput
from penstock.ground.settings import Settings

CHANGES = 3


@command("plan")
@deployment
@where
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 3 when there is something to do.")
def plan(
    terminal: Terminal,
    *,
    name: str | None,
    file: str | None,
    flags: dict[str, Any],
    to: str,
    settings: Settings,
    detailed_exitcode: bool,
) -> None:
    """Show what `deploy` with the same arguments would do, what it costs and which permissions it needs."""
    found = wanted(name, file, flags)
    made = plan_model(
        found.model or None,
        name=found.name,
        options=found.options,
        to=destination(found, to),
        settings=settings,
        progress=terminal.progress,
    )
    shown = {**document("plan", made), "changes": made.changes, "permissions": needed_actions(made)}
    terminal.emit(shown if terminal.output == "json" else made, text=show_plan)
    if detailed_exitcode and made.changes:
        sys.exit(CHANGES)


@command("deploy")
@deployment
@where
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--wait/--no-wait", default=None, help="Wait until it answers; on by default.")
@click.option("--timeout", "timeout_s", type=float, help="How many seconds to wait.")
def deploy(
    terminal: Terminal,
    *,
    name: str | None,
    file: str | None,
    flags: dict[str, Any],
    to: str,
    settings: Settings,
    yes: bool,
    wait: bool | None,
    timeout_s: float | None,
) -> None:
    """Build, push and serve MODEL: a folder, models:/name@alias, name@alias or runs:/id/path."""
    found = wanted(name, file, {**flags, "wait": wait, "timeout_s": timeout_s})

    def approve(made: Plan) -> None:
        terminal.note(show_plan(made))
        if made.changes and not yes:
            _ask(found.name)

    try:
        made = deploy_model(
            found.model or None,
            name=found.name,
            options=found.options,
            to=destination(found, to),
            settings=settings,
            progress=terminal.progress,
            approve=approve,
        )
    except KeyboardInterrupt:
        terminal.note(f"Stopped. Nothing is lost: the same command goes on; `penstock delete {found.name}` removes it.")
        raise
    where_to = destination(found, to)
    shown = document("deployment", made) if terminal.output == "json" else made
    terminal.emit(shown, text=lambda one: _deployment_text(one, where_to))


def destination(found: DeploymentSettings, to: str) -> str:
    """The target: the flag's if it was given, else the file's, else the flag's default."""
    source = click.get_current_context().get_parameter_source("to")
    return to if source is not ParameterSource.DEFAULT else found.to or to


def wanted(name: str | None, file: str | None, flags: dict[str, Any]) -> DeploymentSettings:
    """The settings of the deployment that the command line and the project file name, with a model."""
    found = deployment_settings(name, flags, file=Path(file) if file else None)
    own = [one.model for one in found.options.variants.values()]
    if not found.model and not (own and all(own)):
        raise InvalidInput("No model is named.", fix="Give MODEL, or `model = ...` in the project file.")
    return found


def _ask(name: str) -> None:
    if not sys.stdin.isatty():
        raise InvalidInput("Nobody is there to say yes.", fix="Add --yes.")
    if not click.confirm(f"Apply to {name}?", default=False, err=True):
        raise InvalidInput("Not applied.", fix="Run it again and answer y, or add --yes.")


def _deployment_text(made: Deployment, to: str) -> Group:
    if made.status != "InService":
        head = Text.assemble(("… ", "yellow"), (made.name, "bold"), f" is {made.status}")
        return Group(head, Text(f"  penstock status {made.name} --wait" + (f" --to {to}" if to != SAGEMAKER else "")))
    nothing = " (nothing to do)" if not made.changed else ""
    head = Text.assemble(("✓ ", "green"), (made.name, "bold"), f" serves {made.config_name}{nothing}")
    return Group(head, *(Text(hint) for hint in invocation_hints(made, to=to)))
