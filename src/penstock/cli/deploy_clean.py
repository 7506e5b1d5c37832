"""``penstock delete``, ``orphans`` and ``expire``."""

from __future__ import annotations

import sys

import click

from penstock.api import deployments, deployments_operate
from penstock.cli.command import command
from penstock.cli.deploy_options import document, where
from penstock.cli.terminal import Terminal
from penstock.deploy.delete import DeletionReport
from penstock.ground.errors import InvalidInput
from penstock.ground.settings import Settings

LEFTOVERS = 1


@command("delete")
@click.argument("name")
@click.option("--force", is_flag=True, help="Also an endpoint that Penstock did not make.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@where
def delete(terminal: Terminal, *, name: str, force: bool, yes: bool, to: str, settings: Settings) -> None:
    """Remove a deployment with all that belongs to it, then look again and say whether anything is left."""
    _confirm(f"Delete {name} and all that belongs to it?", yes)
    report = deployments.delete(name, force=force, to=to, settings=settings, progress=terminal.progress)
    terminal.emit(document("deletion", report) if terminal.output == "json" else report, text=_report)
    if not report.nothing_left:
        sys.exit(LEFTOVERS)


@command("orphans")
@click.option("--delete", "remove", is_flag=True, help="Remove them.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@where
def orphans(terminal: Terminal, *, remove: bool, yes: bool, to: str, settings: Settings) -> None:
    """List what was left without an endpoint, by us or by mlflow's deployment client."""
    if remove:
        _confirm("Remove every stray that `penstock orphans` lists?", yes)
    found = deployments_operate.orphans(remove=remove, to=to, settings=settings, progress=terminal.progress)
    lines = [f"{one.resource} of {one.deployment} ({one.made_by}): {one.why}" for one in found.orphans]
    lines += [f"could not be removed: {resource}: {why}" for resource, why in found.failed.items()]
    text = "\n".join(lines) or "No strays."
    terminal.emit(document("orphans", found) if terminal.output == "json" else text)


@command("expire")
@click.option("--delete", "remove", is_flag=True, help="Delete them.")
@click.option("--idle", "idle_minutes", type=int, metavar="MINUTES", help="Also those that nobody called for so long.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@where
def expire(
    terminal: Terminal, *, remove: bool, idle_minutes: int | None, yes: bool, to: str, settings: Settings
) -> None:
    """List deployments whose time is over; production never expires."""
    if remove:
        _confirm("Delete every deployment that `penstock expire` lists?", yes)
    found = deployments_operate.expire(
        remove=remove, idle_minutes=idle_minutes, to=to, settings=settings, progress=terminal.progress
    )
    due = [f"{one.name}: {one.reason} (expires {one.expires or 'never'})" for one in found.endpoints if one.reason]
    lines = due + [f"{name}: left behind: {what}" for name, what in found.left.items()]
    text = "\n".join(lines) or "Nothing is over."
    terminal.emit(document("expiry", found) if terminal.output == "json" else text)


def _confirm(question: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput("Nobody is there to say yes.", fix="Add --yes.")
    if not click.confirm(question, default=False, err=True):
        raise InvalidInput("Nothing was deleted.", fix="Run it again and answer y, or add --yes.")


def _report(report: DeletionReport) -> str:
    lines = [f"- {resource}" for resource in report.removed]
    lines += [f"! left: {resource} {report.reasons.get(str(resource), '')}".rstrip() for resource in report.leftovers]
    lines += [f"! not checked: {what}" for what in report.unchecked]
    return "\n".join([*lines, "Nothing left." if report.nothing_left else "Something may be left; see above."])
