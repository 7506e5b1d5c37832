"""Policies evaluated: a request is allowed if some statement allows it and none denies it.

Source: IAM user guide, "Policy evaluation logic". Pure: documents in, a decision out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

import msgspec

from penstock.rehearsal.iam.conditions import Context, as_texts, holds, like, missing_keys

_VARIABLE = re.compile(r"\$\{([^}]+)\}")


class Decision(StrEnum):
    ALLOWED = "allowed"
    EXPLICIT_DENY = "explicitDeny"
    IMPLICIT_DENY = "implicitDeny"


class Policy(msgspec.Struct, frozen=True):
    """A policy's statements under the name that answers give it, and its kind: "user", "role" or "group"."""

    id: str
    kind: str
    statements: tuple[dict[str, Any], ...]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a request; ``matched`` are the policies whose statements decided, ``missing`` untold keys."""

    decision: Decision
    matched: tuple[Policy, ...] = ()
    missing: tuple[str, ...] = ()


def parse_policy(document: str | dict[str, Any], *, id: str, kind: str) -> Policy:
    """A policy of its JSON text or of what the text says. Raises ValueError if it is no policy."""
    content = msgspec.json.decode(document) if isinstance(document, str) else document
    if not isinstance(content, dict):
        raise ValueError("a policy is an object")
    statements = content.get("Statement", [])
    rows = statements if isinstance(statements, list) else [statements]
    if not all(isinstance(row, dict) and row.get("Effect") in ("Allow", "Deny") for row in rows):
        raise ValueError("every statement has the Effect Allow or Deny")
    return Policy(id, kind, tuple(rows))


def decide(policies: Iterable[Policy], action: str, resource: str, context: Context) -> Outcome:
    """Whether ``action``, e.g. "s3:GetObject", on ``resource`` is allowed."""
    allowing: list[Policy] = []
    denying: list[Policy] = []
    missing: list[str] = []
    for policy in policies:
        for statement in policy.statements:
            if not _concerns(statement, action, resource, context):
                continue
            conditions = statement.get("Condition") or {}
            missing += missing_keys(conditions, context)
            if holds(conditions, context):
                (allowing if statement["Effect"] == "Allow" else denying).append(policy)
    untold = tuple(dict.fromkeys(missing))
    if denying:
        return Outcome(decision=Decision.EXPLICIT_DENY, matched=tuple(denying), missing=untold)
    decision = Decision.ALLOWED if allowing else Decision.IMPLICIT_DENY
    return Outcome(decision=decision, matched=tuple(allowing), missing=untold)


def _concerns(statement: dict[str, Any], action: str, resource: str, context: Context) -> bool:
    """Whether the statement speaks of the action and of the resource; actions are of any case."""
    actions = _element(statement, "Action", lambda text: like(action.lower(), text.lower()))
    return actions and _element(statement, "Resource", lambda text: like(resource, _filled(text, context)))


def _element(statement: dict[str, Any], name: str, fits: Callable[[str], bool]) -> bool:
    if f"Not{name}" in statement:
        return not any(fits(text) for text in as_texts(statement[f"Not{name}"]))
    return any(fits(text) for text in as_texts(statement.get(name, [])))


def _filled(text: str, context: Context) -> str:
    """The text with its variables, e.g. ``${aws:username}``, replaced; an unknown one fits nothing."""

    def value(found: re.Match[str]) -> str:
        told = context.get(found[1].lower())
        return told[0] if told else "\0"

    return _VARIABLE.sub(value, text)
