"""The GraphQL route of MLflow's own pages."""

from __future__ import annotations

from typing import Any

from penstock.server.context import Context
from penstock.server.fields import mapping, text
from penstock.server.graphql.execute import execute
from penstock.server.handlers.experiments import Answer
from penstock.server.routes import Route

MAX_QUESTION_BYTES = 256 << 10


def ask(context: Context, *, query: str, variables: dict[str, Any], operation: str | None) -> Answer:
    return execute(context, query, variables, operation)


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/graphql",
        handler=ask,
        fields=(text("query", required=True), mapping("variables"), text("operationName", name="operation")),
        bare=True,
        max_body_bytes=MAX_QUESTION_BYTES,
    ),
)
