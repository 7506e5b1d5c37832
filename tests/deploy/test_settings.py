"""Flags over the project file's table, unknown keys with near misses, and limits judged before anything is made."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from deploy.samples import PACKAGE, REQUEST
from penstock.api.deployments_config import read_mlflow_config
from penstock.api.deployments_settings import deployment_settings
from penstock.deploy.limits import Measured, refusals
from penstock.deploy.options import DeployOptions, build_request, platform_of, read_options
from penstock.deploy.request import Rollout, Serverless, VariantRequest
from penstock.ground.errors import InvalidInput

FILE = """
[deployments.iris]
model = "iris@champion"
instance_type = "ml.c5.large"
env = { A = "1", B = "2" }
rollout = { strategy = "canary", step_percent = 20 }

[deployments.iris.variants.blue]
weight = 0.9
[deployments.iris.variants.green]
model = "iris@challenger"
weight = 0.1
"""


def _file(tmp_path: Path, text: str) -> Path:
    (tmp_path / "penstock.toml").write_text(text)
    return tmp_path


def test_flags_win_and_tables_merge(tmp_path: Path) -> None:
    flags = {"instance_type": "ml.m5.large", "env": {"B": "3"}, "weight": None, "model": None}
    found = deployment_settings(None, flags, directory=_file(tmp_path, FILE) / "deeper")
    assert (found.name, found.model) == ("iris", "iris@champion")
    assert found.options.instance_type == "ml.m5.large"
    assert found.options.env == {"A": "1", "B": "3"}
    assert found.options.rollout == Rollout(strategy="canary", step_percent=20)
    assert found.options.variants["green"].weight == 0.1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[deployments.iris]\ninstance_typ = 'x'", "instance_type"),
        ("[deployments.iris]\nrollout = { strategie = 'canary' }", "strategy"),
        ("[deployments.iris]\ninstance_count = 'many'", "int"),
        ("[deployments.iris]\nrollout = { strategy = 'sideways' }", "sideways"),
        ("[deployment.iris]\n", "deployments"),
        ("[deployments.iris\n", "not valid TOML"),
        ("", "--name"),
    ],
)
def test_bad_files_name_the_key_and_the_near_miss(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        deployment_settings(None, {}, directory=_file(tmp_path, text))


def test_the_architecture_follows_the_instance_type() -> None:
    assert platform_of("ml.m6g.large") == "linux/arm64"
    assert platform_of("ml.c7gn.xlarge") == "linux/arm64"
    assert platform_of("ml.g5.xlarge") == "linux/amd64"
    assert platform_of(None) == "linux/amd64"


def test_lifetimes() -> None:
    request = build_request("iris", PACKAGE, DeployOptions(expires="2h"), now_ms=1000)
    assert request.expires_at_ms == 1000 + 7_200_000
    assert build_request("iris", PACKAGE, DeployOptions(expires="never"), now_ms=1000).production
    with pytest.raises(InvalidInput, match="30m"):
        build_request("iris", PACKAGE, DeployOptions(expires="soon"), now_ms=0)


def test_mlflows_keys_become_ours() -> None:
    read = read_mlflow_config(
        {
            "execution_role_arn": "arn:aws:iam::1:role/x",
            "instance_count": "2",
            "synchronous": "False",
            "vpc_config": '{"Subnets": ["s"], "SecurityGroupIds": ["g"]}',
            "serverless_config": {"MemorySizeInMB": 4096, "MaxConcurrency": 3},
            "image_url": "x/y:z",
            "region_name": "eu-west-1",
        }
    )
    assert (read.options.role, read.options.instance_count, read.options.wait) == ("arn:aws:iam::1:role/x", 2, False)
    assert read.options.vpc is not None
    assert read.options.vpc.subnets == ("s",)
    assert read.options.serverless == Serverless(memory_mb=4096, max_concurrency=3)
    assert (read.image, read.settings) == ("x/y:z", {"region": "eu-west-1"})


@pytest.mark.parametrize("key", ["instance-type", "bucket_name", "assume_role_arn", "archive"])
def test_mlflow_keys_that_would_be_ignored_are_refused(key: str) -> None:
    with pytest.raises(InvalidInput, match=key):
        read_mlflow_config({key: "x"})


def test_what_sagemaker_would_refuse() -> None:
    fine = Measured(start_s=3, slowest_ms=20, payload_bytes=100)
    assert refusals(REQUEST, fine) == ()
    assert "480 s" in refusals(REQUEST, replace(fine, start_s=500))[0]
    assert "60 s" in refusals(REQUEST, replace(fine, slowest_ms=61_000))[0]
    assert "25 MB" in refusals(REQUEST, replace(fine, payload_bytes=30_000_000))[0]
    assert "6 MB" in refusals(REQUEST, replace(fine, payload_bytes=7_000_000))[0]
    image = replace(PACKAGE.image, size_bytes=11_000_000_000)
    serverless = (VariantRequest(serverless=Serverless()),)
    big = replace(REQUEST, package=replace(PACKAGE, image=image), variants=serverless)
    assert "10 GB" in refusals(big, fine)[0]


def test_unknown_nested_options_are_refused() -> None:
    with pytest.raises(InvalidInput, match="memory_mb"):
        read_options({"serverless": {"memory": 1}})
