"""A plan on a terminal: what changes in colour, what stays dimmed, then price, expiry and the permissions it needs."""

from __future__ import annotations

from rich.console import Group
from rich.text import Text

from penstock.cli.deploy_table import facts
from penstock.deploy.permissions import needed_actions
from penstock.deploy.steps import SIGNS, Action, Plan, Step, expiry_of

_STYLES = {Action.CREATE: "green", Action.CHANGE: "yellow", Action.DELETE: "red", Action.REUSE: "dim"}
_WIDTH = 11


def show_plan(plan: Plan) -> Group:
    """The plan as lines; without colours they say the same."""
    head = Text.assemble("Plan for ", (plan.name, "bold"), f" in {plan.account}, {plan.region}")
    lines = [head, *(line for step in plan.steps for line in _step(step))]
    lines += [Text.assemble(("  ! ", "bold yellow"), warning) for warning in plan.warnings]
    return Group(*lines, Text(""), facts(_terms(plan)), Text(""), _totals(plan))


def _step(step: Step) -> list[Text]:
    style = _STYLES[step.action]
    line = Text.assemble((f"  {SIGNS[step.action]} {step.resource.kind.value:<{_WIDTH}}", style))
    line.append(step.resource.name, "dim" if step.action is Action.REUSE else "")
    line.append(_size(step), "dim")
    line.append(f"  ({step.note})" if step.note else "", "dim")
    changes = [
        Text.assemble((f"      {change.setting}: ", "dim"), (change.before, "red"), " -> ", (change.after, "green"))
        for change in step.changes
    ]
    return [line, *changes]


def _size(step: Step) -> str:
    size = step.spec.get("size_bytes", 0)
    return f"  {size / 1e6:.1f} MB" if size and step.action is Action.CREATE else ""


def _terms(plan: Plan) -> list[tuple[str, str | Text]]:
    """The price, the expiry, and the permissions by service."""
    cost = plan.cost
    price = Text.assemble((f"${cost.per_hour:.3f} an hour, ${cost.per_month:.0f} a month", "bold"),
                          (f"  {'; '.join(cost.origins)}", "dim"))  # fmt: skip
    unknown = f"no price is known for {', '.join(cost.unknown)}"
    lines: list[tuple[str, str | Text]] = [
        ("costs", price if cost.per_hour else ""),
        ("costs", unknown if cost.unknown else ""),
        ("expires", expiry_of(plan)),
    ]
    return [*lines, *_permissions(plan)] if plan.changes else lines


def _permissions(plan: Plan) -> list[tuple[str, str | Text]]:
    services: dict[str, list[str]] = {}
    for action in needed_actions(plan):
        service, _, name = action.partition(":")
        services.setdefault(service, []).append(name)
    return [
        ("needs" if index == 0 else " ", Text.assemble(f"{service}: ", (", ".join(names), "dim")))
        for index, (service, names) in enumerate(services.items())
    ]


def _totals(plan: Plan) -> Text:
    if not plan.changes:
        return Text("Nothing to do: what is asked for is there.", "green")
    parts = [(f"{plan.count(action)} to {action.value}", _STYLES[action]) for action in Action if plan.count(action)]
    return Text(", ").join(Text(words, style) for words, style in parts)
