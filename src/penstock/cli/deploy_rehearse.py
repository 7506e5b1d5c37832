"""``penstock rehearse``."""

from __future__ import annotations

from typing import Any

import click

from penstock.api.deployments_rehearse import Rehearsal
from penstock.api.deployments_rehearse import rehearse as rehearse_model
from penstock.cli.command import command
from penstock.cli.deploy import wanted
from penstock.cli.deploy_options import deployment, document
from penstock.cli.terminal import Terminal


@command("rehearse")
@deployment
@click.option("--soak", "soak_s", default=5.0, show_default=True, help="For how many seconds to call it.")
def rehearse(terminal: Terminal, *, name: str | None, file: str | None, flags: dict[str, Any], soak_s: float) -> None:
    """Run the same plan on the embedded plane: start, example, soak, malformed input, and what AWS would refuse."""
    found = wanted(name or "rehearsal", file, flags)
    result = rehearse_model(found.model, options=found.options, soak_s=soak_s, progress=terminal.progress)
    terminal.emit(document("rehearsal", result) if terminal.output == "json" else result, text=_text)


def _text(result: Rehearsal) -> str:
    lines = [f"{result.model_uri} passed its rehearsal", f"  in service after {result.start_s:.1f} s"]
    if result.calls:
        lines.append(f"  {result.calls} calls one after another: p50 {result.p50_ms} ms, p99 {result.p99_ms} ms")
    lines += [f"  refused {one.what}: {one.answer}" for one in result.malformed]
    return "\n".join([*lines, "  SageMaker would refuse nothing of it, as far as can be told here."])
