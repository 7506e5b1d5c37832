"""``penstock plan`` and ``penstock deploy``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from penstock.api.deployments import deploy as deploy_model
from penstock.api.deployments import invocation_hints
from penstock.api.deployments import plan as plan_model
from penstock.api.deployments_settings import DeploymentSettings, deployment_settings
from penstock.cli.command import command
from penstock.cli.deploy_options import deployment, document, where
from penstock.cli.terminal import Terminal
from penstock.deploy.apply import Deployment
from penstock.deploy.permissions import needed_actions
from penstock.deploy.steps import Plan, render
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
    terminal.emit(shown if terminal.output == "json" else made, text=_plan_text)
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
        terminal.note(_plan_text(made))
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
    terminal.emit(document("deployment", made) if terminal.output == "json" else made, text=_deployment_text)


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


def _plan_text(made: Plan) -> str:
    """The plan, and the permissions that it needs, a line for each service."""
    if not made.changes:
        return render(made)
    services: dict[str, list[str]] = {}
    for action in needed_actions(made):
        service, _, name = action.partition(":")
        services.setdefault(service, []).append(name)
    needs = [f"    {service}: {', '.join(names)}" for service, names in services.items()]
    return "\n".join([render(made), "  It needs these permissions:", *needs])


def _deployment_text(made: Deployment) -> str:
    state = "serves" if made.status == "InService" else f"is {made.status}"
    lines = [f"{made.name} {state} {made.config_name}" + ("" if made.changed else " (nothing to do)")]
    return "\n".join([*lines, *invocation_hints(made)])
