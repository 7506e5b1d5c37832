"""A plan as a value: steps with their signs, to print, store and compare."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct

from penstock.deploy.prices import Cost
from penstock.deploy.resources import EXPIRES_TAG, Kind, Resource


class Action(StrEnum):
    CREATE = "create"
    CHANGE = "change"
    REUSE = "reuse"
    DELETE = "delete"


SIGNS = {Action.CREATE: "+", Action.CHANGE: "~", Action.REUSE: "=", Action.DELETE: "-"}


class Change(Struct, frozen=True):
    """One setting that moves, ``before`` and ``after`` as shown to people."""

    setting: str
    before: str
    after: str


class Step(Struct, frozen=True, kw_only=True):
    """One thing to do with one resource. ``spec`` is the body of the request that does it."""

    action: Action
    resource: Resource
    spec: dict[str, Any] = {}
    changes: tuple[Change, ...] = ()
    note: str = ""


class Plan(Struct, frozen=True, kw_only=True):
    """What a deploy would do, in order. The endpoint must serve ``config_name`` in the end."""

    name: str
    account: str
    region: str
    steps: tuple[Step, ...]
    config_name: str
    config: dict[str, Any]
    previous_config: str | None = None
    images: dict[str, str] = {}
    tags: dict[str, str] = {}
    warnings: tuple[str, ...] = ()
    cost: Cost = Cost()

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return any(step.action is not Action.REUSE for step in self.steps)

    def creates(self, kind: Kind) -> bool:
        return any(step.action is Action.CREATE and step.resource.kind is kind for step in self.steps)

    def count(self, action: Action) -> int:
        return sum(step.action is action for step in self.steps)


def step(kind: Kind, name: str, present: bool, **spec: Any) -> Step:
    """The step that reuses the resource if it is ``present`` and creates it otherwise."""
    return Step(action=Action.REUSE if present else Action.CREATE, resource=Resource(kind, name), spec=spec)


def render(plan: Plan) -> str:
    """The plan for people: one line a step, changed settings below it, totals last."""
    lines = [f"Plan for {plan.name} in {plan.account}, {plan.region}"]
    for item in plan.steps:
        note = f"  ({item.note})" if item.note else ""
        lines.append(f"  {SIGNS[item.action]} {item.resource.kind.value:<10} {item.resource.name}{note}")
        lines.extend(f"      ~ {change.setting}: {change.before} -> {change.after}" for change in item.changes)
    lines.extend(f"  ! {warning}" for warning in plan.warnings)
    lines.extend(_terms(plan))
    totals = ", ".join(f"{plan.count(action)} to {action.value}" for action in Action)
    lines.append(f"{totals}." if plan.changes else "Nothing to do: what is asked for is there.")
    return "\n".join(lines)


def _terms(plan: Plan) -> list[str]:
    """The price and the expiry, a line each."""
    cost, lines = plan.cost, []
    if cost.per_hour:
        lines.append(f"  $ {cost.per_hour:.3f} an hour, {cost.per_month:.0f} a month ({'; '.join(cost.origins)})")
    lines.extend(f"  $ no price is known for {kind}" for kind in cost.unknown)
    return [*lines, f"  expires {expiry_of(plan)}"]


def expiry_of(plan: Plan) -> str:
    """When ``expire`` may delete it, for people."""
    expires = plan.tags.get(EXPIRES_TAG, "")
    return datetime.fromtimestamp(int(expires) / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M UTC") if expires else "never"


def difference(before: dict[str, Any], after: dict[str, Any]) -> tuple[Change, ...]:
    """The leaves in which two bodies differ, each under its dotted path; absent is shown as '(none)'. Pure."""
    old, new = _leaves(before), _leaves(after)
    return tuple(
        Change(path, old.get(path, _ABSENT), new.get(path, _ABSENT))
        for path in sorted(old.keys() | new.keys())
        if old.get(path, _ABSENT) != new.get(path, _ABSENT)
    )


_ABSENT = "(none)"


def _leaves(value: Any, path: str = "") -> dict[str, str]:
    """``{"a": [{"VariantName": "x", "b": 1}]}`` gives ``{"a.x.b": "1", ...}``."""
    if isinstance(value, dict) and value:
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and value:
        items = [(_label(item, index), item) for index, item in enumerate(value)]
    else:
        return {path: str(value)}
    found: dict[str, str] = {}
    for key, item in items:
        found.update(_leaves(item, f"{path}.{key}" if path else key))
    return found


def _label(item: Any, index: int) -> str:
    return str(item.get("VariantName", index)) if isinstance(item, dict) else str(index)
