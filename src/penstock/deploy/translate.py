"""AWS's errors as ours: one table, because SageMaker tells most things apart by the message alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as aws
from botocore.parsers import ResponseParserError
from msgspec import Struct

from penstock.deploy.diagnose import diagnose
from penstock.ground.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    InvalidInput,
    ModelFailed,
    NotFound,
    NotImplementedHere,
    PenstockError,
    QuotaExceeded,
    TimedOut,
    Unauthenticated,
    Unavailable,
)


class Rule(Struct, frozen=True):
    """An error whose code is among ``codes`` (empty: any) and whose message has ``fragment`` is ``error``."""

    error: type[PenstockError]
    codes: frozenset[str] = frozenset()
    fragment: str = ""

    def fits(self, code: str, message: str) -> bool:
        return (not self.codes or code in self.codes) and re.search(self.fragment, message, re.IGNORECASE) is not None


def _codes(text: str) -> frozenset[str]:
    return frozenset(text.split())


RULES: tuple[Rule, ...] = (
    Rule(Unauthenticated, _codes(
        "ExpiredToken ExpiredTokenException RequestExpired InvalidClientTokenId UnrecognizedClientException "
        "InvalidSignatureException SignatureDoesNotMatch InvalidAccessKeyId AuthFailure RequestTimeTooSkewed")),
    Rule(Forbidden, _codes("AccessDenied AccessDeniedException UnauthorizedOperation 403 Forbidden")),
    Rule(QuotaExceeded, _codes("ResourceLimitExceeded LimitExceededException LimitExceeded ServiceQuotaExceeded")),
    Rule(Unavailable, _codes(
        "ThrottlingException Throttling RequestLimitExceeded TooManyRequestsException SlowDown InternalFailure "
        "InternalError ServiceUnavailable ServiceUnavailableException ModelNotReadyException "
        "InternalDependencyException InternalServerError 500 502 503")),
    Rule(ModelFailed, _codes("ModelError")),
    Rule(NotImplementedHere, _codes("UnknownOperationException UnknownOperation InvalidAction")),
    Rule(NotFound, _codes(
        "ResourceNotFoundException ResourceNotFound NoSuchEntity NoSuchKey NoSuchBucket RepositoryNotFoundException "
        "ImageNotFoundException ObjectNotFoundException NoSuchResourceException 404")),
    Rule(NotFound, fragment=r'Could not find (endpoint|endpoint configuration|model|transform job) ["\']'),
    Rule(NotFound, fragment=r"Endpoint \S+ of account \S+ not found"),
    Rule(AlreadyExists, _codes(
        "EntityAlreadyExists BucketAlreadyOwnedByYou RepositoryAlreadyExistsException ResourceAlreadyExistsException "
        "ImageTagAlreadyExistsException ImageAlreadyExistsException")),
    Rule(AlreadyExists, fragment=r"Cannot create already existing"),
    Rule(Conflict, fragment=r"Cannot update in-progress|ResourceInUse|currently (being )?(updating|creating|deleting)"),
    Rule(Conflict, _codes(
        "ResourceInUse ConflictException OperationAborted BucketNotEmpty RepositoryNotEmptyException DeleteConflict "
        "ConcurrentUpdateException")),
)  # fmt: skip


def translated(operation: str, code: str, message: str) -> PenstockError:
    """Our error for AWS's answer; the fix is the matched diagnosis's, when the table knows the message."""
    kind = next((rule.error for rule in RULES if rule.fits(code, message)), InvalidInput)
    found = diagnose(f"{code}: {message}")
    return kind(f"{operation}: {message.rstrip('.')}. ({code})", fix=found.fix() if found else _FALLBACK.get(kind))


_FALLBACK: dict[type[PenstockError], str] = {
    Unauthenticated: "Refresh the credentials (aws sso login, or new keys), then run `penstock doctor`.",
    Forbidden: "Run `penstock doctor` to see which permission is missing and the statement to add.",
    NotFound: "Look at what there is with `penstock status`.",
    Unavailable: "Wait a little and run the same command again; nothing is made twice.",
    Conflict: "Wait until it has settled (`penstock status NAME --wait`), then run the same command again.",
}


def aws_message(error: BaseException) -> str:
    """AWS's own words behind ``error``, or the error's text."""
    cause = error.__cause__
    if isinstance(cause, aws.ClientError):
        return str(cause.response.get("Error", {}).get("Message", ""))
    return str(error)


@contextmanager
def aws_errors(operation: str) -> Iterator[None]:
    """Raises our errors for whatever boto3 raises in the block."""
    try:
        yield
    except aws.ClientError as error:
        said = error.response.get("Error", {})
        raise translated(operation, str(said.get("Code", "")), str(said.get("Message", ""))) from error
    except (aws.NoCredentialsError, aws.PartialCredentialsError, aws.TokenRetrievalError, aws.SSOError) as error:
        fix = "Run `aws configure`, set AWS_PROFILE, or `eval $(penstock plane env)` for the embedded plane."
        raise Unauthenticated(f"{operation}: there are no usable AWS credentials ({error}).", fix=fix) from error
    except (aws.EndpointConnectionError, aws.ConnectionClosedError, aws.ProxyConnectionError, aws.SSLError) as error:
        fix = "Check the network and AWS_ENDPOINT_URL; for the embedded plane run `penstock plane up`."
        raise Unavailable(f"{operation}: {error}.", fix=fix) from error
    except (aws.ReadTimeoutError, aws.ConnectTimeoutError) as error:
        fix = "Run the same command again; what was made is found again, nothing is made twice."
        raise TimedOut(f"{operation}: no answer in time ({error}).", fix=fix) from error
    except ResponseParserError as error:
        raise Unavailable(
            f"{operation}: what answered is not AWS, or it is failing.", fix="Check AWS_ENDPOINT_URL."
        ) from error
    except aws.ParamValidationError as error:
        raise InvalidInput(f"{operation}: {error}", fix="Correct that setting.") from error
    except aws.BotoCoreError as error:
        raise InvalidInput(
            f"{operation}: {error}", fix="Correct the AWS configuration; `penstock doctor` shows it."
        ) from error
