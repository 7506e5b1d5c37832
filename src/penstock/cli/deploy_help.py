"""``penstock explain``."""

from __future__ import annotations

import click

from penstock.api.deployments_explain import Explanation, explain_code
from penstock.cli.command import command
from penstock.cli.deploy_options import document
from penstock.cli.terminal import Terminal


@command("explain")
@click.argument("code")
def explain(terminal: Terminal, *, code: str) -> None:
    """Tell what an error's or a failure's code means, and what to do."""
    found = explain_code(code)
    terminal.emit(document("explanation", found) if terminal.output == "json" else found, text=_text)


def _text(found: Explanation) -> str:
    rows = [("what", found.summary), ("cause", found.cause), ("do", found.advice), ("next", found.next_command)]
    return "\n".join([found.code, *(f"  {label:<6}{text}" for label, text in rows if text)])
