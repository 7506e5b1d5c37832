"""The proof that an endpoint gives real answers: the model's own input example goes in, predictions must come out."""

from __future__ import annotations

import msgspec

from penstock.api.deployments_model import ModelSource
from penstock.deploy.apply import Probe
from penstock.deploy.failure import explain_failure
from penstock.deploy.invoke import invoke
from penstock.deploy.session import AwsSession
from penstock.ground.errors import PenstockError


def example_probe(model: ModelSource) -> Probe | None:
    """A check that sends the input example; None for a model that has none."""
    example = model.folder.input_example()
    if example is None:
        return None
    body = msgspec.json.encode(example.payload())

    def probe(aws: AwsSession, name: str) -> None:
        try:
            invoke(aws, name, body, content_type="application/json")
        except PenstockError as error:
            what = f"The endpoint {name!r} is InService but does not answer the model's input example"
            raise explain_failure(aws, name, what, reason=error.message) from error

    return probe
