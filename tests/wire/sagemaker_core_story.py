"""Run by the SageMaker SDK's own Python (3.x): its resource classes, from a model to an endpoint that is gone."""

# ruff: noqa: T201
import json
import sys

from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant


def main():
    story = json.loads(sys.argv[1])
    container = ContainerDefinition(image=story["image"], environment={"GREETING": "hello"})
    model = Model.create(model_name="core", primary_container=container, execution_role_arn=story["role"])
    variant = ProductionVariant(
        variant_name="AllTraffic", model_name="core", instance_type="ml.m5.large", initial_instance_count=1
    )
    config = EndpointConfig.create(endpoint_config_name="core", production_variants=[variant])
    endpoint = Endpoint.create(endpoint_name="core", endpoint_config_name="core")
    endpoint.wait_for_status("InService")
    answer = endpoint.invoke(body=json.dumps({"a": 1}), content_type="application/json")
    told = {"predicted": json.loads(answer.body.read()), "variant": answer.invoked_production_variant}
    told["listed"] = [each.endpoint_name for each in Endpoint.get_all()]
    endpoint.delete()
    endpoint.wait_for_delete()
    config.delete()
    model.delete()
    told["left"] = [each.endpoint_name for each in Endpoint.get_all()]
    print(f"\n{json.dumps(told)}")  # the SDK draws on the last line


main()
