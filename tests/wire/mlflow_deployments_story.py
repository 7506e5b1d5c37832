"""Run by mlflow's own Python: a model saved, deployed, asked, updated and deleted with mlflow's SageMaker client."""

# ruff: noqa: T201
import json
import sys

import mlflow.pyfunc
import pandas
from mlflow.deployments import get_deploy_client


class Constant(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [2.0]


def main():
    story = json.loads(sys.argv[1])
    mlflow.pyfunc.save_model(story["folder"], python_model=Constant(), pip_requirements=["cloudpickle"])
    client = get_deploy_client("sagemaker:/us-east-1")
    config = {
        "image_url": story["image"],
        "execution_role_arn": story["role"],
        "bucket": "mlflow-models",
        "instance_type": "ml.m5.large",
        "instance_count": 1,
        "env": {"PREDICTIONS": "[2.0]"},
        "timeout_seconds": 100,
    }
    told = {"created": client.create_deployment("m1", story["folder"], flavor="python_function", config=config)["name"]}
    told["listed"] = [item["EndpointName"] for item in client.list_deployments()]
    told["status"] = client.get_deployment("m1")["EndpointStatus"]
    told["predicted"] = list(client.predict("m1", pandas.DataFrame([[1.0]], columns=["x"]))["predictions"])
    client.update_deployment("m1", story["folder"], flavor="python_function", config={**config, "mode": "replace"})
    told["updated"] = client.get_deployment("m1")["EndpointStatus"]
    client.delete_deployment("m1", config={"timeout_seconds": 100, "archive": False})
    told["left"] = [item["EndpointName"] for item in client.list_deployments()]
    print(json.dumps(told))


main()
