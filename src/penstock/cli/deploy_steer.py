"""``penstock invoke``, ``traffic``, ``promote`` and ``rollback``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from penstock.api import deployments, deployments_operate
from penstock.cli.command import command
from penstock.cli.deploy_options import pairs, where
from penstock.cli.terminal import Terminal
from penstock.ground.errors import InvalidInput
from penstock.ground.settings import Settings

_CONTENT_TYPES = {".csv": "text/csv", ".json": "application/json", ".jsonl": "application/jsonlines"}


@command("invoke")
@click.argument("name")
@click.option("--data", help="The body, or @FILE; by default stdin.")
@click.option("--example", is_flag=True, help="Send the deployed model's own input example.")
@click.option("--content-type", help="By default by the file's ending, else application/json.")
@click.option("--variant", help="Ask this variant.")
@where
def invoke(
    terminal: Terminal,
    *,
    name: str,
    data: str | None,
    example: bool,
    content_type: str | None,
    variant: str | None,
    to: str,
    settings: Settings,
) -> None:
    """Send a body to the deployment and print its answer."""
    if example:
        answer = deployments.invoke_example(name, variant=variant, to=to, settings=settings)
    else:
        body, kind = _body(data)
        answer = deployments.invoke(
            name, body, content_type=content_type or kind, variant=variant, to=to, settings=settings
        )
    text = answer.body.decode("utf-8", "replace")
    shown = {"schema": "penstock.answer/1", "body": text, "content_type": answer.content_type,
             "variant": answer.variant, "latency_ms": answer.latency_ms}  # fmt: skip
    terminal.emit(shown if terminal.output == "json" else text)


@command("traffic")
@click.argument("name")
@click.argument("weights", nargs=-1, required=True, metavar="VARIANT=WEIGHT...")
@where
def traffic(terminal: Terminal, *, name: str, weights: tuple[str, ...], to: str, settings: Settings) -> None:
    """Share the traffic out among variants, with no new deployment."""
    try:
        wanted = {variant: float(weight) for variant, weight in (pairs("traffic", weights) or {}).items()}
    except ValueError as error:
        raise InvalidInput(f"A weight is no number: {error}.", fix="Write VARIANT=0.5.") from error
    found = deployments_operate.set_traffic(name, wanted, to=to, settings=settings, progress=terminal.progress)
    _emit_weights(terminal, found)


@command("promote")
@click.argument("name")
@click.argument("variant")
@where
def promote(terminal: Terminal, *, name: str, variant: str, to: str, settings: Settings) -> None:
    """Give all traffic to one variant."""
    _emit_weights(
        terminal,
        deployments_operate.promote_variant(name, variant, to=to, settings=settings, progress=terminal.progress),
    )


@command("rollback")
@click.argument("name")
@click.option("--config", help="Which former endpoint config; by default the last that served.")
@where
def rollback(terminal: Terminal, *, name: str, config: str | None, to: str, settings: Settings) -> None:
    """Go back to what served before."""
    found = deployments_operate.rollback(name, config=config, to=to, settings=settings, progress=terminal.progress)
    shown = {"schema": "penstock.rollback/1", "name": name, "config_name": found}
    terminal.emit(shown if terminal.output == "json" else f"{name} serves {found} again")


def _body(data: str | None) -> tuple[bytes, str]:
    """The bytes to send and what they are, by the file's ending."""
    if data is None:
        return sys.stdin.buffer.read(), "application/json"
    if not data.startswith("@"):
        return data.encode(), "application/json"
    path = Path(data[1:])
    if not path.is_file():
        raise InvalidInput(f"There is no file {path}.", fix="Correct --data @FILE.")
    return path.read_bytes(), _CONTENT_TYPES.get(path.suffix.lower(), "application/json")


def _emit_weights(terminal: Terminal, weights: dict[str, float]) -> None:
    text = "\n".join(f"{variant} {weight:g}" for variant, weight in weights.items())
    shown = {"schema": "penstock.traffic/1", "weights": weights}
    terminal.emit(shown if terminal.output == "json" else text)
