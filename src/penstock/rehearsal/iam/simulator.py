"""IAM's policy simulator, which moto lacks: SimulatePrincipalPolicy and SimulateCustomPolicy in IAM's query protocol.

Resource policies, session policies and service control policies are not looked at.
"""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from penstock.rehearsal.iam.conditions import Context
from penstock.rehearsal.iam.policies import Decision, Outcome, Policy, decide, parse_policy
from penstock.rehearsal.iam.principals import Principal, find_principal
from penstock.rehearsal.neighbours import Neighbours
from penstock.rehearsal.wire.exceptions import AwsError
from penstock.rehearsal.wsgi import WsgiApp

OPERATIONS = frozenset({"SimulatePrincipalPolicy", "SimulateCustomPolicy"})
_NAMESPACE = "https://iam.amazonaws.com/doc/2010-05-08/"
_ACTION = re.compile(r"[a-zA-Z0-9-]+:[a-zA-Z0-9*?]+|\*")
_PAGE = 100


def with_simulator(app: WsgiApp, neighbours: Neighbours) -> WsgiApp:
    """moto's IAM, and the two operations before it."""

    def simulated(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        body = environ["wsgi.input"].read()
        environ["wsgi.input"] = io.BytesIO(body)
        form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        operation = form.get("Action", "")
        if operation not in OPERATIONS:
            return app(environ, start_response)
        status, text = _answer(operation, form, neighbours)
        content = text.encode()
        start_response(status, [("Content-Type", "text/xml"), ("Content-Length", str(len(content)))])
        return [content]

    return simulated


def _answer(operation: str, form: dict[str, str], neighbours: Neighbours) -> tuple[str, str]:
    request_id = f"<RequestId>{uuid.uuid4()}</RequestId>"
    try:
        result = _result(_principal(operation, form, neighbours), form)
    except AwsError as error:
        told = f"<Code>{error.code}</Code><Message>{escape(error.message)}</Message>"
        inner = f"<Error><Type>Sender</Type>{told}</Error>{request_id}"
        text = f"<ErrorResponse xmlns='{_NAMESPACE}'>{inner}</ErrorResponse>"
        return f"{error.status} Refused", text
    metadata = f"<ResponseMetadata>{request_id}</ResponseMetadata>"
    inner = f"<{operation}Result>{result}</{operation}Result>{metadata}"
    return "200 OK", f"<{operation}Response xmlns='{_NAMESPACE}'>{inner}</{operation}Response>"


def _principal(operation: str, form: dict[str, str], neighbours: Neighbours) -> Principal:
    given = tuple(_given_policies(form))
    if operation == "SimulateCustomPolicy":
        if not given:
            raise AwsError("InvalidInput", "PolicyInputList must not be empty.")
        return Principal(arn="", policies=given)
    arn = form.get("PolicySourceArn", "")
    found = find_principal(neighbours, arn)
    if found is None:
        raise AwsError("NoSuchEntity", f"The entity {arn} cannot be found.", status=404)
    return Principal(arn=found.arn, policies=found.policies + given, boundary=found.boundary)


def _given_policies(form: dict[str, str]) -> Iterator[Policy]:
    for number, document in enumerate(members(form, "PolicyInputList"), 1):
        try:
            yield parse_policy(document, id=f"PolicyInputList.{number}", kind="user")
        except ValueError as error:
            raise AwsError("InvalidInput", f"The policy {number} of PolicyInputList is malformed: {error}.") from error


def _result(principal: Principal, form: dict[str, str]) -> str:
    actions = members(form, "ActionNames")
    wrong = [action for action in actions if not _ACTION.fullmatch(action)]
    if wrong or not actions:
        raise AwsError("InvalidInput", f"Invalid action name: {wrong[0] if wrong else 'none is given'}.")
    context, resources = _context(form), members(form, "ResourceArns") or ["*"]
    asked = [(action, resource) for action in actions for resource in resources]
    start, size = form.get("Marker") or "0", form.get("MaxItems") or str(_PAGE)
    if not (start.isdecimal() and size.isdecimal() and int(size)):
        raise AwsError("ValidationError", "Marker or MaxItems is not one of this operation's.")
    rest = asked[int(start) :]
    rows = "".join(_evaluated(principal, *each, context) for each in rest[: int(size)])
    more = len(rest) > int(size)
    marker = f"<Marker>{int(start) + int(size)}</Marker>" if more else ""
    return f"<EvaluationResults>{rows}</EvaluationResults><IsTruncated>{str(more).lower()}</IsTruncated>{marker}"


def _evaluated(principal: Principal, action: str, resource: str, context: Context) -> str:
    outcome = allowed(principal, action, resource, context)
    boundary = ""
    if principal.boundary is not None:
        inside = decide([principal.boundary], action, resource, context).decision is Decision.ALLOWED
        boundary = (
            f"<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>{str(inside).lower()}"
            "</AllowedByPermissionsBoundary></PermissionsBoundaryDecisionDetail>"
        )
    matched = "".join(_statement(policy) for policy in outcome.matched)
    missing = "".join(f"<member>{escape(key)}</member>" for key in outcome.missing)
    return (
        f"<member><EvalActionName>{escape(action)}</EvalActionName><EvalResourceName>{escape(resource)}"
        f"</EvalResourceName><EvalDecision>{outcome.decision}</EvalDecision><MatchedStatements>{matched}"
        f"</MatchedStatements><MissingContextValues>{missing}</MissingContextValues>{boundary}</member>"
    )


def allowed(principal: Principal, action: str, resource: str, context: Context) -> Outcome:
    """What the principal's policies, within its boundary, say of a request."""
    outcome = decide(principal.policies, action, resource, context)
    if outcome.decision is Decision.ALLOWED and principal.boundary is not None:
        limit = decide([principal.boundary], action, resource, context)
        if limit.decision is not Decision.ALLOWED:
            return Outcome(decision=limit.decision, matched=limit.matched, missing=limit.missing)
    return outcome


def _statement(policy: Policy) -> str:
    kind = policy.kind if policy.kind in ("user", "group", "role") else "none"
    return (
        f"<member><SourcePolicyId>{escape(policy.id)}</SourcePolicyId>"
        f"<SourcePolicyType>{kind}</SourcePolicyType></member>"
    )


def _context(form: dict[str, str]) -> Context:
    context: dict[str, list[str]] = {}
    for number in range(1, 1000):
        name = form.get(f"ContextEntries.member.{number}.ContextKeyName")
        if name is None:
            break
        context[name.lower()] = members(form, f"ContextEntries.member.{number}.ContextKeyValues")
    return context


def members(form: dict[str, str], name: str) -> list[str]:
    """A flattened list of the query protocol: ``Name.member.1``, ``Name.member.2`` and so on."""
    found: list[str] = []
    while (value := form.get(f"{name}.member.{len(found) + 1}")) is not None:
        found.append(value)
    return found
