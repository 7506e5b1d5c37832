"""The proof that an endpoint gives real answers: the input example goes in, the model's own predictions come out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from penstock.api.deployments_model import ModelSource
from penstock.deploy.apply import Probe
from penstock.deploy.failure import explain_failure
from penstock.deploy.invoke import invoke, invoke_async
from penstock.deploy.session import AwsSession
from penstock.ground.errors import EndpointFailed, PenstockError
from penstock.models.load import load_model
from penstock.models.trust import trust_from

_RELATIVE, _ABSOLUTE = 1e-4, 1e-6


def variants_probe(models: Mapping[str, ModelSource]) -> Probe | None:
    """A check of every variant with its own model's example; a single one is asked without saying which."""
    if len(models) == 1:
        return example_probe(next(iter(models.values())))
    probes = [made for name, model in models.items() if (made := example_probe(model, variant=name)) is not None]

    def probe(aws: AwsSession, name: str) -> None:
        for one in probes:
            one(aws, name)

    return probe if probes else None


def example_probe(model: ModelSource, *, variant: str | None = None) -> Probe | None:
    """A check that sends the input example and compares the answer with the model here; None without an example."""
    example = model.folder.input_example()
    if example is None:
        return None
    body = msgspec.json.encode(example.payload())

    def probe(aws: AwsSession, name: str) -> None:
        try:
            found = aws.call("sagemaker", "describe_endpoint", EndpointName=name)
            if "AsyncInferenceConfig" in found:
                answer = invoke_async(aws, name, body)
            else:
                answer = invoke(aws, name, body, content_type="application/json", variant=variant)
        except PenstockError as error:
            what = f"The endpoint {name!r} is InService but does not answer the model's input example"
            raise explain_failure(aws, name, what, reason=error.message) from error
        expected = expected_answer(model)
        if expected is not None and differs(expected, answer.body):
            fix = "The image and the model disagree: look at the packages' versions, then build the image again."
            raise EndpointFailed(f"The endpoint {name!r} answers otherwise than the model does here.", fix=fix)

    return probe


def expected_answer(model: ModelSource) -> Any | None:
    """What the model in this process says to its input example; None where it cannot be loaded or asked here."""
    example = model.folder.input_example()
    if example is None:
        return None
    try:
        loaded = load_model(model.folder.path, trust=trust_from())
        if example.kind == "dataframe" and "columns" in example.content:
            return loaded.predict_rows(example.rows(), example.content["columns"], example.params)
        return loaded.predict(example.data(), example.params)
    except PenstockError:
        return None  # Its libraries are in the image, and need not be here; that it answers is proof enough then.


def differs(expected: Any, body: bytes) -> bool:
    """Whether an answer's predictions are other values than ``expected``; what cannot be compared does not differ."""
    try:
        decoded = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return False
    answered = decoded.get("predictions", decoded) if isinstance(decoded, dict) else decoded
    here, there = _values(expected), _values(answered)
    if here is None or there is None:
        return False
    if here.shape != there.shape:
        return here.size != there.size
    if here.dtype.kind in "iufb" and there.dtype.kind in "iufb":
        return not np.allclose(here.astype(float), there.astype(float), rtol=_RELATIVE, atol=_ABSOLUTE, equal_nan=True)
    return bool((here.astype(str) != there.astype(str)).any())


def _values(data: Any) -> np.ndarray[Any, np.dtype[Any]] | None:
    """The values as an array; None for records and other shapes that have no one reading."""
    found = np.asarray(data)
    return None if found.dtype.kind not in "iufbUS" else found
