"""The page about the plane lists exactly the operations that the code offers."""

from __future__ import annotations

import re
from pathlib import Path

from penstock.rehearsal.ecr.operations import OPERATIONS as ECR
from penstock.rehearsal.hosting.operations import OPERATIONS as SAGEMAKER
from penstock.rehearsal.scaling.operations import OPERATIONS as SCALING
from penstock.rehearsal.wire.shapes import service_model

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plane.md"
ROW = re.compile(
    r"^\| (sagemaker|sagemaker-runtime|ecr|application-autoscaling) \| (\w+) \| (real|partial) \|", re.MULTILINE
)


def test_the_table_of_operations_is_the_code_s() -> None:
    listed = {(service, operation) for service, operation, _ in ROW.findall(PAGE.read_text(encoding="utf-8"))}
    offered = {("sagemaker", name) for name in SAGEMAKER} | {("ecr", name) for name in ECR}
    offered |= {("application-autoscaling", name) for name in SCALING}
    offered |= {("sagemaker-runtime", name) for name in service_model("sagemaker-runtime").operation_names}
    assert listed == offered


def test_every_offered_operation_is_one_of_awss() -> None:
    assert set(SAGEMAKER) <= set(service_model("sagemaker").operation_names)
    assert set(SCALING) <= set(service_model("application-autoscaling").operation_names)
    assert set(ECR) <= set(service_model("ecr").operation_names)
