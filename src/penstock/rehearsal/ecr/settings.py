"""What is kept of a repository beside its images: its policies, its tags, how its tags may move. Kept, not acted on,
but for the mutability of tags."""

from __future__ import annotations

from typing import Any

import msgspec

from penstock.rehearsal.ecr.repositories import KIND, Ecr, Repository, get_repository
from penstock.rehearsal.wire.awsjson import Call
from penstock.rehearsal.wire.exceptions import AwsError


def put_lifecycle_policy(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository, text = get_repository(ecr, call), call.parameters["lifecyclePolicyText"]
    rules = _document(text, "LifecyclePolicyText").get("rules")
    if not isinstance(rules, list) or not all(_is_rule(rule) for rule in rules):
        raise _invalid("LifecyclePolicyText", "every rule has a rulePriority, a selection and an action")
    _keep(ecr, repository, lifecycle_policy=text)
    return {**_about(call, repository), "lifecyclePolicyText": text}


def get_lifecycle_policy(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository = get_repository(ecr, call)
    if repository.lifecycle_policy is None:
        raise AwsError("LifecyclePolicyNotFoundException", _none("Lifecycle policy", repository, call))
    return {**_about(call, repository), "lifecyclePolicyText": repository.lifecycle_policy}


def delete_lifecycle_policy(ecr: Ecr, call: Call) -> dict[str, Any]:
    answer = get_lifecycle_policy(ecr, call)
    _keep(ecr, get_repository(ecr, call), lifecycle_policy=None)
    return answer


def set_repository_policy(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository, text = get_repository(ecr, call), call.parameters["policyText"]
    _document(text, "PolicyText")
    _keep(ecr, repository, policy=text)
    return {**_about(call, repository), "policyText": text}


def get_repository_policy(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository = get_repository(ecr, call)
    if repository.policy is None:
        raise AwsError("RepositoryPolicyNotFoundException", _none("Repository policy", repository, call))
    return {**_about(call, repository), "policyText": repository.policy}


def delete_repository_policy(ecr: Ecr, call: Call) -> dict[str, Any]:
    answer = get_repository_policy(ecr, call)
    _keep(ecr, get_repository(ecr, call), policy=None)
    return answer


def put_image_tag_mutability(ecr: Ecr, call: Call) -> dict[str, Any]:
    """Only the plain settings: tags that are left out by a filter are not offered."""
    repository, mutability = get_repository(ecr, call), call.parameters["imageTagMutability"]
    _keep(ecr, repository, mutability=mutability)
    return {**_about(call, repository), "imageTagMutability": mutability}


def put_image_scanning_configuration(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository = get_repository(ecr, call)
    scan = call.parameters["imageScanningConfiguration"].get("scanOnPush", False)
    _keep(ecr, repository, scan_on_push=scan)
    return {**_about(call, repository), "imageScanningConfiguration": {"scanOnPush": scan}}


def tag_resource(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository = _by_arn(ecr, call)
    added = {tag["Key"]: tag["Value"] for tag in call.parameters["tags"]}
    _keep(ecr, repository, tags={**repository.tags, **added})
    return {}


def untag_resource(ecr: Ecr, call: Call) -> dict[str, Any]:
    repository, gone = _by_arn(ecr, call), set(call.parameters["tagKeys"])
    _keep(ecr, repository, tags={key: value for key, value in repository.tags.items() if key not in gone})
    return {}


def list_tags_for_resource(ecr: Ecr, call: Call) -> dict[str, Any]:
    return {"tags": [{"Key": key, "Value": value} for key, value in _by_arn(ecr, call).tags.items()]}


def describe_registry(ecr: Ecr, call: Call) -> dict[str, Any]:
    """One registry an account, and nothing is replicated anywhere."""
    return {"registryId": call.account, "replicationConfiguration": {"rules": []}}


def _keep(ecr: Ecr, repository: Repository, **changes: Any) -> None:
    with ecr.journal.transaction():
        now = ecr.journal.find(KIND, repository.region, repository.name, Repository)
        if now is not None:  # somebody may have deleted it meanwhile
            ecr.journal.put(KIND, msgspec.structs.replace(now, **changes))


def _by_arn(ecr: Ecr, call: Call) -> Repository:
    arn = call.parameters["resourceArn"]
    if ":repository/" not in arn:
        raise _invalid("resourceArn", "it is not the ARN of a repository")
    return get_repository(ecr, call, arn.partition(":repository/")[2])


def _document(text: str, name: str) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise _invalid(name, f"it is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise _invalid(name, "it is not a JSON object")
    return found


def _is_rule(rule: Any) -> bool:
    return isinstance(rule, dict) and {"rulePriority", "selection", "action"} <= rule.keys()


def _invalid(name: str, why: str) -> AwsError:
    return AwsError("InvalidParameterException", f"Invalid parameter at '{name}' failed to satisfy constraint: '{why}'")


def _none(what: str, repository: Repository, call: Call) -> str:
    return f"{what} does not exist for the repository with name '{repository.name}' in the registry '{call.account}'"


def _about(call: Call, repository: Repository) -> dict[str, str]:
    return {"registryId": call.account, "repositoryName": repository.name}
