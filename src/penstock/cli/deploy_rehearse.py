"""``penstock rehearse``."""

from __future__ import annotations

import re
from typing import Any

import click
from rich.console import Group
from rich.text import Text

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
    result = rehearse_model(found.model or None, options=found.options, soak_s=soak_s, progress=terminal.progress)
    terminal.emit(document("rehearsal", result) if terminal.output == "json" else result, text=_text)


def _text(result: Rehearsal) -> Group:
    facts = {
        "started": f"{result.start_s:.1f} s from CreateEndpoint until it was in service",
        "calls": _calls(result),
        "memory": _memory(result),
        "large body": _large(result),
    }
    lines = [
        Text.assemble(("✓ ", "green"), (result.model_uri, "bold"), f" passed its rehearsal on {result.instance_type}")
    ]
    lines += [Text.assemble((f"  {label:<11} ", "dim"), text) for label, text in facts.items() if text]
    refused = ", ".join(f"{one.what} ({_status(one.answer)})" for one in result.malformed)
    lines.append(Text.assemble(("  refused     ", "dim"), refused))
    lines += [Text.assemble(("  note        ", "yellow"), remark) for remark in result.remarks]
    return Group(*lines, Text("  SageMaker would refuse nothing of it, as far as can be told here.", "dim"))


def _calls(result: Rehearsal) -> str:
    if not result.calls:
        return ""
    return f"{result.calls} one after another: p50 {result.p50_ms:.1f} ms, p99 {result.p99_ms:.1f} ms"


def _memory(result: Rehearsal) -> str:
    """The peak beside what there is, as a bar of twenty cells."""
    if result.memory_bytes is None:
        return ""
    share = result.memory_bytes / result.memory_limit_bytes
    bar = "█" * max(round(share * 20), 1)
    return (
        f"{bar:░<20} {result.memory_bytes / 2**20:.0f} MiB at most of {result.memory_limit_bytes / 2**30:g} GiB"
        f" ({share:.1%})"
    )


def _large(result: Rehearsal) -> str:
    large = result.large
    if large is None:
        return ""
    size = f"{large.rows:,} rows, {large.size_bytes / 1e6:.1f} MB: "
    return size + (f"not taken: {large.answer}" if large.answer else f"answered in {large.latency_ms:.0f} ms")


def _status(answer: str) -> str:
    """The HTTP status in "The model answered 400: ...", or the answer's first words."""
    found = re.search(r"answered (\d{3})", answer)
    return found[1] if found else answer[:40]
