"""Run by the SageMaker SDK's own Python (2.x): a model deployed, asked, updated and deleted as its users do it."""

# ruff: noqa: T201
import json
import sys

import boto3
import sagemaker
from sagemaker.deserializers import JSONDeserializer
from sagemaker.model import Model
from sagemaker.predictor import Predictor
from sagemaker.serializers import JSONSerializer


def main():
    story = json.loads(sys.argv[1])
    # Without a bucket of one's own the SDK asks STS, at AWS's own address whatever the environment says.
    session = sagemaker.Session(boto_session=boto3.Session(), default_bucket=story["bucket"])
    told = {"bucket": session.default_bucket()}
    data = session.upload_data(story["archive"], key_prefix="model")
    model = Model(
        image_uri=story["image"], model_data=data, role=story["role"], name="sdk", env={"GREETING": "hello"},
        sagemaker_session=session, predictor_cls=Predictor,
    )  # fmt: skip
    predictor = model.deploy(
        initial_instance_count=1, instance_type="ml.m5.large", endpoint_name="sdk", serializer=JSONSerializer(),
        deserializer=JSONDeserializer(), tags=[{"Key": "team", "Value": "a"}],
    )  # fmt: skip
    told["predicted"] = predictor.predict({"a": 1})
    predictor.update_endpoint(initial_instance_count=2, instance_type="ml.m5.large", model_name="sdk")
    shown = session.sagemaker_client.describe_endpoint(EndpointName="sdk")
    told["instances"] = shown["ProductionVariants"][0]["CurrentInstanceCount"]
    told["tags"] = session.sagemaker_client.list_tags(ResourceArn=shown["EndpointArn"])["Tags"]
    predictor.delete_model()
    predictor.delete_endpoint()
    session.sagemaker_client.get_waiter("endpoint_deleted").wait(EndpointName="sdk")
    told["left"] = session.sagemaker_client.list_endpoints()["Endpoints"]
    print(f"\n{json.dumps(told)}")  # the SDK draws on the last line


main()
