"""A GraphQL document -> data and error messages. graphql-core is loaded by the first question, not by the server."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.ground.errors import InvalidInput, NotImplementedHere
from penstock.server.context import Context
from penstock.server.fields import read_fields
from penstock.server.graphql.answers import accompany, resolve
from penstock.server.graphql.limits import MAX_TOKENS, check_size
from penstock.server.handlers import artifacts, experiments, metrics, model_versions, runs
from penstock.server.routes import Route

if TYPE_CHECKING:
    from graphql import DocumentNode, GraphQLResolveInfo, GraphQLSchema

_ROUTES: dict[tuple[str, str], Route] = {
    (route.method, route.path): route
    for room in (artifacts, experiments, metrics, model_versions, runs)
    for route in room.ROUTES
}
# Each root field of the schema is one REST operation: the same fields, limits and errors.
OPERATIONS: dict[str, Route] = {
    "mlflowGetExperiment": _ROUTES["GET", "2.0/mlflow/experiments/get"],
    "mlflowGetMetricHistoryBulkInterval": _ROUTES["GET", "2.0/mlflow/metrics/get-history-bulk-interval"],
    "mlflowGetRun": _ROUTES["GET", "2.0/mlflow/runs/get"],
    "mlflowListArtifacts": _ROUTES["GET", "2.0/mlflow/artifacts/list"],
    "mlflowSearchModelVersions": _ROUTES["GET", "2.0/mlflow/model-versions/search"],
    "mlflowSearchRuns": _ROUTES["POST", "2.0/mlflow/runs/search"],
    "mlflowSearchDatasets": _ROUTES["POST", "2.0/mlflow/experiments/search-datasets"],
}


def execute(context: Context, query: str, variables: Mapping[str, Any], operation: str | None) -> dict[str, Any]:
    """``{"data": ..., "errors": [message, ...] or None}``, as MLflow's server answers.

    Raises InvalidInput for a document that is malformed or asks for too much, NotImplementedHere without graphql-core.
    """
    schema, document = _schema(), _parsed(query)
    check_size(document)
    from graphql import execute_sync, validate  # the rest of graphql-core, 0.2 s of loading

    wrong = validate(schema, document, max_errors=5)
    if wrong:
        return {"data": None, "errors": [error.message for error in wrong]}
    result = execute_sync(
        schema,
        document,
        context_value=context,
        variable_values=dict(variables),
        operation_name=operation,
        field_resolver=_field,
    )
    return {"data": result.data, "errors": [error.message for error in result.errors] if result.errors else None}


def _parsed(query: str) -> DocumentNode:
    from graphql import GraphQLError, parse

    try:
        return parse(query, no_location=True, max_tokens=MAX_TOKENS)
    except (GraphQLError, RecursionError) as error:
        raise InvalidInput(f"The GraphQL query cannot be read: {error}.", fix="Correct it.") from None


def _field(source: Any, info: GraphQLResolveInfo, **given: Any) -> Any:
    if source is not None:
        return resolve(source, info)
    route = OPERATIONS.get(info.field_name)
    if route is None:  # 'test' and 'testMutation'
        return {"output": given.get("inputString")}
    answer = route.handler(info.context, **read_fields(route.fields, given.get("input") or {}))
    return accompany(info.context, msgspec.to_builtins(answer))


@cache
def _schema() -> GraphQLSchema:
    """The schema of MLflow's server, read once."""
    try:
        from graphql import build_schema
    except ImportError:
        raise NotImplementedHere(
            "GraphQL needs the package graphql-core, which is not installed here.",
            fix="Install penstock[server], then start the server again.",
        ) from None
    return build_schema(files(__package__).joinpath("schema.graphql").read_text(encoding="utf-8"))
