"""Flags over the project file's table, unknown keys with near misses, and limits judged before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from deploy.samples import PACKAGE, REQUEST
from penstock.api.deployments_config import read_mlflow_config
from penstock.api.deployments_settings import deployment_settings
from penstock.cli.deploy_options import deployment
from penstock.deploy.limits import Measured, refusals
from penstock.deploy.options import DeployOptions, build_request, check_cost, platform_of, read_options
from penstock.deploy.request import (
    Alarms,
    AsyncInference,
    Autoscaling,
    Capture,
    Rollout,
    Serverless,
    VariantRequest,
    Vpc,
)
from penstock.ground.errors import InvalidInput, QuotaExceeded

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


def _flags(*arguments: str) -> DeployOptions:
    """The options that these arguments of ``penstock deploy`` make."""
    seen: list[dict[str, Any]] = []

    @click.command()
    @deployment
    def take(*, flags: dict[str, Any], **_: Any) -> None:
        seen.append(flags)

    ran = CliRunner().invoke(take, arguments, standalone_mode=False)
    if ran.exception:
        raise ran.exception
    return deployment_settings("iris", seen[0], directory=Path("/nowhere")).options


def test_every_setting_has_a_flag() -> None:
    words = """m --instance-type ml.c5.large --instance-count 2 --volume-gb 20 --download-timeout 700 --autoscale 1:4
        --scale-target 60 --capture s3://b/c --capture-percent 50 --async-output s3://b/o --async-failure s3://b/f
        --subnet s1 --subnet s2 --security-group g --alarm-5xx 2 --alarm-p99-ms 80 --rollout canary --step-percent 20
        --bake 60 --roll-back-on mine --max-cost 5/day --network-isolation --kms-key k --env A=1 --tag t=u --image x/y:z
        --startup-timeout 900 --role r --bucket b --repository q --expires 4h --model-in image --weight 0.5"""
    found = _flags(*words.split())
    assert found.autoscaling == Autoscaling(minimum=1, maximum=4, invocations_per_minute=60)
    assert found.capture == Capture(s3_uri="s3://b/c", sampling_percent=50)
    assert found.async_inference == AsyncInference(output_s3_uri="s3://b/o", failure_s3_uri="s3://b/f")
    assert found.vpc == Vpc(subnets=("s1", "s2"), security_groups=("g",))
    assert found.alarms == Alarms(errors_5xx_per_minute=2, latency_p99_ms=80)
    assert found.rollout == Rollout(strategy="canary", step_percent=20, wait_s=60, alarms=("mine",))
    assert (found.volume_gb, found.download_timeout_s, found.max_cost, found.image) == (20, 700, "5/day", "x/y:z")
    plain = _flags("m")
    assert (plain.rollout, plain.capture, plain.vpc, plain.autoscaling, plain.alarms) == (None,) * 5


@pytest.mark.parametrize("words", ["--autoscale 4", "--subnet s1", "--bake soon", "--capture-percent 5"])
def test_flags_that_are_half_or_wrong_are_refused(words: str) -> None:
    with pytest.raises((InvalidInput, click.UsageError)):
        _flags("m", *words.split())


def test_plain_settings_hold_for_every_variant_that_says_nothing_else() -> None:
    blue, green = {"weight": 0.9}, {"instance_type": "ml.c7g.large", "serverless": None}
    options = read_options({"instance_type": "ml.c5.large", "volume_gb": 9, "variants": {"blue": blue, "green": green}})
    kinds = {variant.name: variant for variant in build_request("iris", PACKAGE, options, now_ms=0).variants}
    assert (kinds["blue"].instance_type, kinds["blue"].volume_gb) == ("ml.c5.large", 9)
    assert (kinds["green"].instance_type, kinds["green"].volume_gb) == ("ml.c7g.large", 9)


def test_a_plan_over_the_budget_is_refused() -> None:
    check_cost(DeployOptions(max_cost="5/day"), 0.2)
    with pytest.raises(QuotaExceeded, match=r"\$5.52 a day") as caught:
        check_cost(DeployOptions(max_cost="5/day"), 0.23)
    assert caught.value.exit_code == 8
    with pytest.raises(InvalidInput, match="5/day"):
        check_cost(DeployOptions(max_cost="cheap"), 0.1)
