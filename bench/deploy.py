"""Deploying on the plane: how long a plan, a no-change deploy and a first deploy take, beside mlflow's own client.

    python bench/deploy.py

Prints one line a figure: the median, the budget, and the ratio to mlflow's client deploying the same image to the same
plane in the same run, if the test peer is installed. Layers are cached: what is measured is the deploying itself.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from deploy.stage import Stage  # noqa: E402
from penstock.deploy.roles import trust_policy  # noqa: E402
from penstock.oci.cache import BlobCache  # noqa: E402
from penstock.rehearsal.process import plane_environment, start_plane, stop_plane  # noqa: E402
from rehearsal.tiny import tiny_image  # noqa: E402

ROUNDS = 5
MLFLOW = ROOT / ".venvs" / "mlflow" / "bin" / "python"
_MLFLOW_SCRIPT = """
import sys, time, json, logging
logging.disable(logging.CRITICAL)
from mlflow.deployments import get_deploy_client
name, model, image, role, bucket, region = sys.argv[1:]
client = get_deploy_client(f"sagemaker:/{region}")
begun = time.perf_counter()
client.create_deployment(name, model, config={"image_url": image, "execution_role_arn": role, "bucket": bucket,
                                              "instance_type": "ml.m5.large", "timeout_seconds": 300})
print(json.dumps(time.perf_counter() - begun))
client.delete_deployment(name)
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        plane = start_plane(home / "plane", cache_dir=home / "cache", detached=False)
        try:
            run(Stage(plane, tiny_image(BlobCache(home / "blobs")), home / "stage"), home)
        finally:
            stop_plane(home / "plane")


def run(stage: Stage, home: Path) -> None:
    stage.deploy(stage.request("warm"))
    request = stage.request("bench")
    told("plan of a first deploy", timed(lambda: stage.target.plan(request), ROUNDS), budget_s=1.0)
    firsts = [first_deploy(stage, f"first-{number}") for number in range(ROUNDS)]
    container = statistics.median(begin for _, begin in firsts)
    told("first deploy, layers cached", statistics.median(whole for whole, _ in firsts), budget_s=10.0 + container)
    told("  of which the container's own start", container)
    stage.deploy(request)
    before = len(stage.check.operations)
    told("no-change deploy", timed(lambda: stage.deploy(request), ROUNDS), budget_s=2.0)
    stage.check.operations[:] = stage.check.operations[before:]
    print(f"no-change deploy: {len(stage.check.writes())} writes in {ROUNDS} runs (budget 0)")
    theirs = mlflow_deploy(stage, home)
    if theirs is not None:
        ours = statistics.median(whole for whole, _ in firsts)
        print(f"first deploy by mlflow's client: {theirs:.2f} s; ratio mlflow/penstock {theirs / ours:.1f}")
    for name in ("warm", "bench"):
        assert stage.target.delete(name).nothing_left


def first_deploy(stage: Stage, name: str) -> tuple[float, float]:
    """Seconds for the whole deploy, and for the part in which the endpoint was Creating."""
    request = stage.request(name)
    whole = timed(lambda: stage.deploy(request), 1)
    found = stage.aws.call("sagemaker", "describe_endpoint", EndpointName=name)
    creating = (found["LastModifiedTime"] - found["CreationTime"]).total_seconds()
    stage.target.delete(name)
    return whole, creating


def mlflow_deploy(stage: Stage, home: Path) -> float | None:
    """Seconds that mlflow's client needs for the same image on the same plane; None without the peer."""
    if not MLFLOW.exists():
        return None
    model = home / "mlflow-model"
    model.mkdir()
    (model / "MLmodel").write_text("flavors:\n  python_function:\n    loader_module: x\n    python_version: 3.11.7\n")
    trust = json.dumps(trust_policy())
    role = stage.aws.call("iam", "create_role", RoleName="bench-mlflow", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    stage.aws.call("s3", "create_bucket", Bucket="bench-mlflow")
    image = stage.target.status("warm").variants[0].image
    arguments = ["mlflow-app", str(model), image, role, "bench-mlflow", stage.plane.region]
    ran = subprocess.run(
        [str(MLFLOW), "-W", "ignore", "-c", _MLFLOW_SCRIPT, *arguments],
        env={**plane_environment(stage.plane), "HOME": str(home)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ran.returncode:
        print(f"mlflow's client failed: {ran.stderr.strip().splitlines()[-1]}")
        return None
    return float(json.loads(ran.stdout.strip().splitlines()[-1]))


def timed(action: Callable[[], object], rounds: int) -> float:
    """The median seconds of that many runs."""
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def told(what: str, seconds: float, *, budget_s: float | None = None) -> None:
    budget = f" (budget {budget_s:.2f} s, {'met' if seconds <= budget_s else 'MISSED'})" if budget_s else ""
    print(f"{what}: {seconds:.3f} s{budget}")


if __name__ == "__main__":
    main()
