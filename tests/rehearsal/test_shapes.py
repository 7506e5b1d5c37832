"""Validation from the service models: what botocore's client lets through is refused in AWS's words."""

from __future__ import annotations

from typing import Any

import pytest

from penstock.rehearsal.wire.exceptions import AwsError
from penstock.rehearsal.wire.shapes import java_pattern, service_model, validate

ROLE = "arn:aws:iam::123456789012:role/service"


def refused(operation: str, parameters: Any, *, service: str = "sagemaker") -> AwsError:
    with pytest.raises(AwsError) as caught:
        validate(service, operation, parameters)
    return caught.value


def test_a_good_request_comes_back_without_what_aws_does_not_know() -> None:
    given = {"EndpointName": "e", "EndpointConfigName": "c", "Invented": 1, "Tags": None}
    assert validate("sagemaker", "CreateEndpoint", given) == {"EndpointName": "e", "EndpointConfigName": "c"}


@pytest.mark.parametrize("name", ["under_score", "dot.ted", "-first", "last-", "ü", ""])
def test_patterns_are_checked(name: str) -> None:
    error = refused("CreateEndpoint", {"EndpointName": name, "EndpointConfigName": "c"})
    assert error.code == "ValidationException"
    assert error.message.startswith("1 validation error detected: Value '")
    assert "at 'endpointName' failed to satisfy constraint: Member must satisfy regular expression" in error.message


def test_a_length_is_told_before_a_pattern_is_tried() -> None:
    error = refused("CreateEndpoint", {"EndpointName": "a" * 100_000, "EndpointConfigName": "c"})
    assert "Member must have length less than or equal to 63" in error.message


def test_enums_lists_and_ranges_are_checked_all_at_once() -> None:
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.t3.huge", "InitialInstanceCount": 0}
    error = refused("CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": [variant]})
    assert error.message.startswith("2 validation errors detected: ")
    assert "Value 'ml.t3.huge' at 'productionVariants.1.member.instanceType'" in error.message
    assert "Member must satisfy enum value set: [" in error.message
    assert "at 'productionVariants.1.member.initialInstanceCount'" in error.message
    too_many = refused("CreateEndpointConfig", {"EndpointConfigName": "c", "ProductionVariants": [variant] * 11})
    assert "Member must have length less than or equal to 10" in too_many.message


def test_a_missing_member_is_null() -> None:
    assert "Value null at 'endpointConfigName'" in refused("CreateEndpoint", {"EndpointName": "e"}).message


@pytest.mark.parametrize(
    "parameters",
    [[], "text", {"EndpointName": 1, "EndpointConfigName": "c"}, {"EndpointName": "e", "EndpointConfigName": ["c"]}],
)
def test_wrong_types_do_not_serialize(parameters: Any) -> None:
    assert refused("CreateEndpoint", parameters).code == "SerializationException"


def test_a_boolean_is_no_number() -> None:
    assert refused("ListEndpoints", {"MaxResults": True}).code == "SerializationException"


def test_an_operation_that_does_not_exist_is_unknown() -> None:
    assert refused("MakeCoffee", {}).code == "UnknownOperationException"


def test_tag_values_take_what_aws_takes() -> None:
    tags = [{"Key": "Prüfung", "Value": "a/b:c=d+e-f@g 1"}]
    validate("sagemaker", "AddTags", {"ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:model/m", "Tags": tags})


@pytest.mark.parametrize("service", ["sagemaker", "ecr"])
def test_nearly_every_pattern_of_the_models_has_an_equivalent(service: str) -> None:
    model = service_model(service)
    patterns = {model.shape_for(name).metadata.get("pattern") for name in model.shape_names} - {None}
    without = [pattern for pattern in patterns if java_pattern(str(pattern)) is None]
    assert len(without) <= 2, without
