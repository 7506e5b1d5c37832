"""The deployment part of the 2019 article, as its script was written; only the import and the run differ.

Arguments: region, account, role ARN, experiment id, run id.
"""
# ruff: noqa: T201, UP032, UP031, RET504

import json
import sys

import boto3
import pandas as pd
from sklearn import datasets

import penstock.sagemaker as mfs

region, aws_id, arn, experiment_id, run_id = sys.argv[1:]
app_name = "model-application"
model_uri = "mlruns/%s/%s/artifacts/random-forest-model" % (experiment_id, run_id)
tag_id = "1.2.0"

image_url = aws_id + ".dkr.ecr." + region + ".amazonaws.com/mlflow-pyfunc:" + tag_id

mfs.deploy(
    app_name=app_name,
    model_uri=model_uri,
    region_name=region,
    mode="create",
    execution_role_arn=arn,
    image_url=image_url,
)


def check_status(app_name):
    sage_client = boto3.client("sagemaker", region_name=region)
    endpoint_description = sage_client.describe_endpoint(EndpointName=app_name)
    endpoint_status = endpoint_description["EndpointStatus"]
    return endpoint_status


print("Application status is: {}".format(check_status(app_name)))


def query_endpoint(app_name, input_json):
    client = boto3.session.Session().client("sagemaker-runtime", region)
    response = client.invoke_endpoint(
        EndpointName=app_name,
        Body=input_json,
        ContentType="application/json; format=pandas-split",
    )
    preds = response["Body"].read().decode("ascii")
    preds = json.loads(preds)
    print("Received response: {}".format(preds))
    return preds


iris = datasets.load_iris()
data = pd.DataFrame(iris.data, columns=iris.feature_names)
query_input = data.iloc[[149]]
input_json = query_input.to_json(orient="split")

prediction1 = query_endpoint(app_name=app_name, input_json=input_json)

mfs.delete(app_name=app_name, region_name=region)
