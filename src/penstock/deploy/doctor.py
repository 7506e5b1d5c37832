"""What would stop a deploy, found before one is begun: a list of checks, each with what it saw and the fix."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum

from msgspec import Struct

from penstock.deploy.bucket import bucket_region
from penstock.deploy.diagnose import diagnose
from penstock.deploy.repository import get_login, repository_uri
from penstock.deploy.resources import bucket_name
from penstock.deploy.roles import find_role, trusts_sagemaker
from penstock.deploy.session import AwsSession
from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import NotFound, NotImplementedHere, PenstockError

# AWS refuses requests whose clock is more than five minutes off; warn well before.
_SKEW_S = 60.0
_CALLER_ACTIONS = (
    "sagemaker:CreateModel", "sagemaker:CreateEndpointConfig", "sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint",
    "sagemaker:DeleteEndpoint", "sagemaker:InvokeEndpoint", "ecr:GetAuthorizationToken", "ecr:PutImage", "s3:PutObject",
    "iam:PassRole", "logs:GetLogEvents",
)  # fmt: skip
# What iam:PassRole is usually bound to; without it the simulator calls such a right missing.
_PASSED = [
    {
        "ContextKeyName": "iam:PassedToService",
        "ContextKeyType": "string",
        "ContextKeyValues": ["sagemaker.amazonaws.com"],
    }
]
_PULL_ACTIONS = ("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage")
_LOG_ACTIONS = ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents")


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"


class Check(Struct, frozen=True, kw_only=True):
    """One line of the doctor's report; ``fix`` is empty where nothing needs doing."""

    name: str
    verdict: Verdict
    saw: str
    fix: str = ""


class Subject(Struct, frozen=True, kw_only=True):
    """What is examined: a role and an instance type that a deploy would use, and the environment it would run in."""

    role: str | None = None
    instance_type: str = "ml.m5.large"
    bucket: str | None = None
    repository: str = "penstock"
    environment: Mapping[str, str] = os.environ


def examine(aws: AwsSession, subject: Subject, *, clock: Clock = SYSTEM_CLOCK) -> tuple[Check, ...]:
    """All checks, each run whatever the others found; a check that itself fails says so."""
    checks: tuple[tuple[str, Callable[[], Iterator[Check]]], ...] = (
        ("region", lambda: _region(aws, subject)),
        ("credentials", lambda: _credentials(aws)),
        ("clock", lambda: _clock(aws, clock)),
        ("sagemaker", lambda: _sagemaker(aws)),
        ("role", lambda: _role(aws, subject)),
        ("permissions", lambda: _permissions(aws)),
        ("bucket", lambda: _bucket(aws, subject)),
        ("repository", lambda: _repository(aws, subject)),
        ("quota", lambda: _quota(aws, subject)),
    )
    return tuple(check for name, run in checks for check in _guarded(name, run))


def _guarded(name: str, run: Callable[[], Iterator[Check]]) -> Iterator[Check]:
    try:
        yield from run()
    except NotImplementedHere:
        yield Check(name=name, verdict=Verdict.SKIP, saw="this endpoint does not offer the service that tells")
    except PenstockError as error:
        found = diagnose(error.message)
        fix = error.fix or (found.fix() if found else "See the message.")
        yield Check(name=name, verdict=Verdict.FAIL, saw=error.message, fix=fix)


def _region(aws: AwsSession, subject: Subject) -> Iterator[Check]:
    given = {
        key: subject.environment[key] for key in ("AWS_REGION", "AWS_DEFAULT_REGION") if subject.environment.get(key)
    }
    if len(set(given.values())) > 1:
        saw = ", ".join(f"{key}={value}" for key, value in given.items())
        fix = f"Set both to the same; Penstock uses {aws.region}, some tools use the other."
        yield Check(name="region", verdict=Verdict.WARN, saw=saw, fix=fix)
    else:
        yield Check(name="region", verdict=Verdict.OK, saw=f"{aws.region}, at {aws.endpoint_url}")


def _credentials(aws: AwsSession) -> Iterator[Check]:
    identity = aws.identity
    saw = f"{identity['Arn']}, from {aws.credentials_origin}"
    if str(identity["Arn"]).endswith(":root"):
        fix = "Use an IAM user or role: root cannot be limited."
        yield Check(name="credentials", verdict=Verdict.WARN, saw=saw, fix=fix)
    else:
        yield Check(name="credentials", verdict=Verdict.OK, saw=saw)


def _clock(aws: AwsSession, clock: Clock) -> Iterator[Check]:
    answered = aws.server_date()
    if answered is None:
        yield Check(name="clock", verdict=Verdict.SKIP, saw="the server tells no time")
        return
    skew = clock.now_ms() / 1000 - parsedate_to_datetime(answered).timestamp()
    if abs(skew) > _SKEW_S:
        fix = "Set the clock, e.g. timedatectl set-ntp true."
        yield Check(name="clock", verdict=Verdict.FAIL, saw=f"{skew:+.0f} s from the server's", fix=fix)
    else:
        yield Check(name="clock", verdict=Verdict.OK, saw="within a minute of the server's")


def _sagemaker(aws: AwsSession) -> Iterator[Check]:
    count = sum(1 for _ in aws.pages("sagemaker", "list_endpoints", "Endpoints"))
    yield Check(name="sagemaker", verdict=Verdict.OK, saw=f"answers; {count} endpoint{'s' * (count != 1)} here")


def _role(aws: AwsSession, subject: Subject) -> Iterator[Check]:
    if subject.role is None:
        yield Check(name="role", verdict=Verdict.OK, saw="none is named: each deployment gets its own")
        return
    role = find_role(aws, subject.role)
    if role is None:
        raise NotFound(f"there is no role {subject.role!r}", fix="Correct --role, or leave it out and have one made.")
    if not trusts_sagemaker(role):
        fix = "Let sagemaker.amazonaws.com assume it (sts:AssumeRole) in its trust policy."
        yield Check(name="role", verdict=Verdict.FAIL, saw=f"{role['Arn']} does not trust SageMaker", fix=fix)
        return
    yield Check(name="role", verdict=Verdict.OK, saw=f"{role['Arn']} trusts SageMaker")
    bucket = subject.bucket or bucket_name(aws.region, aws.account)
    here = f"{aws.region}:{aws.account}"
    reaches = (
        ("role pulls", _PULL_ACTIONS, f"arn:{aws.partition}:ecr:{here}:repository/{subject.repository}"),
        ("role reads", ("s3:GetObject",), f"arn:{aws.partition}:s3:::{bucket}/model/model.tar.gz"),
        ("role logs", _LOG_ACTIONS, f"arn:{aws.partition}:logs:{here}:log-group:/aws/sagemaker/Endpoints/x"),
    )
    for name, actions, resource in reaches:
        yield _simulated(aws, name, role["Arn"], actions, "the execution role", resource)


def _permissions(aws: AwsSession) -> Iterator[Check]:
    yield _simulated(aws, "permissions", _policy_source(str(aws.identity["Arn"])), _CALLER_ACTIONS, "you")


def _simulated(aws: AwsSession, name: str, arn: str, actions: tuple[str, ...], who: str, resource: str = "*") -> Check:
    """Whether IAM's simulator allows the actions on the resource. Source: SimulatePrincipalPolicy."""
    try:
        found = aws.call("iam", "simulate_principal_policy", PolicySourceArn=arn, ActionNames=[*actions],
                         ResourceArns=[resource])  # fmt: skip
    except PenstockError as error:
        return Check(name=name, verdict=Verdict.SKIP, saw=f"IAM's simulator cannot be asked: {error.message}")
    denied = [one["EvalActionName"] for one in found["EvaluationResults"] if one["EvalDecision"] != "allowed"]
    where = "" if resource == "*" else f" on {resource}"
    if denied:
        statement = {"Effect": "Allow", "Action": denied, "Resource": resource}
        fix = f"Allow {who} that: {json.dumps(statement)}"
        return Check(name=name, verdict=Verdict.FAIL, saw=f"{who} may not {', '.join(denied)}{where}", fix=fix)
    saw = (
        f"{who} may do all {len(actions)} simulated actions" if not where else f"{who} may {', '.join(actions)}{where}"
    )
    return Check(name=name, verdict=Verdict.OK, saw=saw)


def _policy_source(arn: str) -> str:
    """The IAM ARN behind an assumed role's STS ARN; the simulator takes no session."""
    if ":assumed-role/" not in arn:
        return arn
    account, role = arn.split(":")[4], arn.split("/")[1]
    return f"arn:{arn.split(':')[1]}:iam::{account}:role/{role}"


def _bucket(aws: AwsSession, subject: Subject) -> Iterator[Check]:
    bucket = subject.bucket or bucket_name(aws.region, aws.account)
    region = bucket_region(aws, bucket)
    if region is None:
        yield Check(name="bucket", verdict=Verdict.OK, saw=f"{bucket} is not there yet; a deploy makes it")
    elif region != aws.region:
        fix = "Use a bucket in the endpoint's region: SageMaker refuses model data from another."
        yield Check(name="bucket", verdict=Verdict.FAIL, saw=f"{bucket} is in {region}", fix=fix)
    else:
        yield Check(name="bucket", verdict=Verdict.OK, saw=f"{bucket} is in {region}")


def _repository(aws: AwsSession, subject: Subject) -> Iterator[Check]:
    host = get_login(aws).host
    there = repository_uri(aws, subject.repository) is not None
    state = "is there" if there else "is not there yet; a deploy makes it"
    yield Check(name="repository", verdict=Verdict.OK, saw=f"{subject.repository} {state}; logged in to {host}")


def _quota(aws: AwsSession, subject: Subject) -> Iterator[Check]:
    wanted = f"{subject.instance_type} for endpoint usage"
    for quota in aws.pages("service-quotas", "list_service_quotas", "Quotas", ServiceCode="sagemaker"):
        if quota["QuotaName"] == wanted:
            none = quota["Value"] < 1
            fix = f"Ask for more in Service Quotas (code {quota['QuotaCode']}), or take another type." if none else ""
            verdict = Verdict.FAIL if none else Verdict.OK
            yield Check(name="quota", verdict=verdict, saw=f"{quota['Value']:.0f} of {wanted}", fix=fix)
            return
    yield Check(name="quota", verdict=Verdict.SKIP, saw=f"no quota is listed for {wanted}")
