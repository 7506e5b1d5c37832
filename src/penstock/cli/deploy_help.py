"""``penstock explain`` and ``penstock doctor``."""

from __future__ import annotations

import sys

import click
from rich.console import Group
from rich.text import Text

from penstock.api.deployments_doctor import doctor as examine
from penstock.api.deployments_explain import Explanation, explain_code
from penstock.cli.command import command
from penstock.cli.deploy_options import document, where
from penstock.cli.terminal import Terminal
from penstock.deploy.doctor import Check, Subject, Verdict
from penstock.ground.settings import Settings


@command("explain")
@click.argument("code")
def explain(terminal: Terminal, *, code: str) -> None:
    """Tell what an error's or a failure's code means, and what to do."""
    found = explain_code(code)
    terminal.emit(document("explanation", found) if terminal.output == "json" else found, text=_text)


def _text(found: Explanation) -> str:
    rows = [("what", found.summary), ("cause", found.cause), ("do", found.advice), ("next", found.next_command)]
    return "\n".join([found.code, *(f"  {label:<6}{text}" for label, text in rows if text)])


@command("doctor")
@click.option("--role", help="An execution role that a deploy would use.")
@click.option("--instance-type", default="ml.m5.large", show_default=True, help="For the quota.")
@click.option("--bucket", help="A bucket that a deploy would use.")
@where
def doctor(
    terminal: Terminal, *, role: str | None, instance_type: str, bucket: str | None, to: str, settings: Settings
) -> None:
    """Check credentials, region, role, permissions, bucket, registry, quota, clock, tracking and plane."""
    subject = Subject(role=role, instance_type=instance_type, bucket=bucket)
    found = examine(subject=subject, to=to, settings=settings)
    terminal.emit(document("doctor", found) if terminal.output == "json" else found, text=_checks)
    if any(one.verdict is Verdict.FAIL for one in found):
        sys.exit(1)


def _checks(found: tuple[Check, ...]) -> Group:
    width = max(len(one.name) for one in found)
    lines = []
    for one in found:
        mark, style = _MARKS[one.verdict]
        lines.append(Text.assemble((f"{mark} ", style), (f"{one.name:<{width}}  ", "bold"), one.saw))
        if one.fix:
            lines.append(Text.assemble((f"  {'fix':>{width}}  ", "dim"), (one.fix, "cyan")))
    counts = {verdict: sum(one.verdict is verdict for one in found) for verdict in Verdict}
    told = ", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count)
    return Group(*lines, Text(told, "red" if counts[Verdict.FAIL] else "green"))


_MARKS = {
    Verdict.OK: ("✓", "green"),
    Verdict.WARN: ("!", "bold yellow"),
    Verdict.FAIL: ("✗", "bold red"),
    Verdict.SKIP: ("-", "dim"),
}
