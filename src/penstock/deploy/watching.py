"""What stands around an endpoint: alarms, scaling, and the log group that SageMaker makes by itself."""

from __future__ import annotations

from typing import Any

from penstock.deploy.kinds import Making
from penstock.deploy.resources import tag_list

SCALING = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}


class AlarmKind:
    """CloudWatch alarms on a variant."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        making.aws.call("cloudwatch", "put_metric_alarm", AlarmName=name, Tags=tag_list(making.tags), **spec)

    def remove(self, making: Making, name: str) -> None:
        making.aws.find("cloudwatch", "delete_alarms", AlarmNames=[name])

    def exists(self, making: Making, name: str) -> bool:
        return bool(making.aws.call("cloudwatch", "describe_alarms", AlarmNames=[name])["MetricAlarms"])


class ScalingKind:
    """A variant's scalable target and its policy; the name is ``endpoint/<name>/variant/<variant>``."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        where = {**SCALING, "ResourceId": name}
        making.aws.call("application-autoscaling", "register_scalable_target", **where, **spec["target"])
        making.aws.call("application-autoscaling", "put_scaling_policy", **where, PolicyName="penstock",
                        PolicyType="TargetTrackingScaling",
                        TargetTrackingScalingPolicyConfiguration=spec["policy"])  # fmt: skip

    def remove(self, making: Making, name: str) -> None:
        making.aws.find("application-autoscaling", "deregister_scalable_target", **SCALING, ResourceId=name)

    def exists(self, making: Making, name: str) -> bool:
        found = making.aws.call("application-autoscaling", "describe_scalable_targets",
                                ServiceNamespace="sagemaker", ResourceIds=[name])  # fmt: skip
        return bool(found["ScalableTargets"])


class LogGroupKind:
    """The log group of an endpoint: never made by us, but ours to remove."""

    def make(self, making: Making, name: str, spec: dict[str, Any]) -> None:
        making.aws.call("logs", "create_log_group", logGroupName=name)

    def remove(self, making: Making, name: str) -> None:
        making.aws.find("logs", "delete_log_group", logGroupName=name)

    def exists(self, making: Making, name: str) -> bool:
        groups = making.aws.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=name)
        return any(group["logGroupName"] == name for group in groups)
