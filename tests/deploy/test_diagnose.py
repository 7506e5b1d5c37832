"""The table of failures: every row of the facts is there, is told apart, and says what to do."""

from __future__ import annotations

import re

import pytest

from penstock.deploy.diagnose import diagnose, get_diagnosis, known_failures
from penstock.deploy.translate import translated
from penstock.ground.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    PenstockError,
    QuotaExceeded,
    Unauthenticated,
    Unavailable,
)

ROLE = "arn:aws:iam::123456789012:role/x"
MESSAGES = {
    "D001": f"Could not assume role {ROLE}. Please ensure that the role exists and allows principal "
    "'sagemaker.amazonaws.com' to assume the role.",
    "D002": f"User: arn:aws:iam::1:user/a is not authorized to perform: iam:PassRole on resource: {ROLE}",
    "D003": "Could not access model data at s3://b/k. Please ensure that the role exists and grants s3:GetObject",
    "D004": "Could not find model data at s3://b/k.",
    "D005": f"The role '{ROLE}' does not have BatchGetImage permission for the image: '1.dkr.ecr/x:y'.",
    "D006": "Unsupported manifest media type application/vnd.oci.image.manifest.v1+json for image 1.dkr.ecr/x:y",
    "D007": "The primary container for production variant AllTraffic did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint.",
    "D008": "CannotStartContainerError. Please ensure the model container for variant AllTraffic starts correctly "
    "when invoked with 'docker run <image> serve'",
    "D009": "Request to service failed. If failure persists after retry, contact customer support.",
    "D010": "Failed to extract model data archive from URL 's3://b/k'.",
    "D011": "ResourceLimitExceeded: The account-level service limit 'ml.m5.large for endpoint usage' is 0 Instances",
    "D012": "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error.",
    "D013": "no basic auth credentials",
    "D014": "AccessDeniedException: User: x is not authorized to perform: ecr:InitiateLayerUpload on resource: y",
    "D015": 'Cannot update in-progress endpoint "arn:aws:sagemaker:eu-west-1:1:endpoint/iris"',
    "D016": 'Received server error (500) from primary with message "boom". See https://x in account 1',
    "D017": "Received server error (0) from primary with message "
    '"Your invocation timed out while waiting for a response from container primary"',
    "D018": 'Received client error (413) from primary with message "Request Entity Too Large"',
    "D019": "ThrottlingException: Rate exceeded",
}


@pytest.mark.parametrize("code", sorted(MESSAGES))
def test_every_message_of_the_facts_is_told_apart(code: str) -> None:
    found = diagnose(MESSAGES[code])
    assert found is not None
    assert found.code == f"PENSTOCK-{code}"


def test_the_table_is_long_and_its_rows_are_whole() -> None:
    rows = known_failures()
    assert len(rows) >= 25
    assert len({row.code for row in rows}) == len(rows)
    for row in rows:
        assert re.fullmatch(r"PENSTOCK-D\d{3}", row.code)
        assert row.cause.endswith(".")
        assert row.advice.endswith((".", ")."))
        assert row.next_command
        assert row.where in {"API", "FailureReason", "log", "invocation"}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("exec /opt/venv/bin/python: exec format error", "D030"),
        ("ModuleNotFoundError: No module named 'lightgbm'", "D031"),
        ("MemoryError: Unable to allocate 9 GiB", "D032"),
        ("OSError: [Errno 28] No space left on device", "D033"),
    ],
)
def test_the_log_decides_where_the_reason_is_vague(line: str, code: str) -> None:
    found = diagnose(MESSAGES["D007"], ["starting", line])
    assert found is not None
    assert found.code == f"PENSTOCK-{code}"
    sure = diagnose(MESSAGES["D001"], [line])
    assert sure is not None
    assert sure.code == "PENSTOCK-D001"


def test_an_unknown_message_has_no_diagnosis() -> None:
    assert diagnose("something nobody has seen") is None


def test_codes_are_found_and_missed_with_near_matches() -> None:
    assert get_diagnosis("d007").code == "PENSTOCK-D007"
    with pytest.raises(NotFound, match="PENSTOCK-D0"):
        get_diagnosis("PENSTOCK-D777")


@pytest.mark.parametrize(
    ("code", "message", "kind"),
    [
        ("ValidationException", 'Could not find endpoint "arn:x".', NotFound),
        ("ValidationException", 'Cannot create already existing endpoint "arn:x".', AlreadyExists),
        ("ValidationException", 'Cannot update in-progress endpoint "arn:x".', Conflict),
        ("ValidationException", "Could not find model data at s3://b/k.", InvalidInput),
        ("ValidationError", "Endpoint iris of account 1 not found.", NotFound),
        ("ValidationException", "1 validation error detected: Value 'x' at 'y' failed", InvalidInput),
        ("ResourceLimitExceeded", MESSAGES["D011"], QuotaExceeded),
        ("AccessDeniedException", MESSAGES["D002"], Forbidden),
        ("ExpiredTokenException", "The security token included in the request is expired", Unauthenticated),
        ("ThrottlingException", "Rate exceeded", Unavailable),
        ("InternalFailure", "", Unavailable),
        ("RepositoryNotFoundException", "no such repository", NotFound),
    ],
)
def test_awss_errors_become_ours(code: str, message: str, kind: type[PenstockError]) -> None:
    assert type(translated("CreateModel", code, message)) is kind
