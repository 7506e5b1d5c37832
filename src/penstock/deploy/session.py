"""The one way to AWS: boto3 against whatever endpoint botocore's own settings name. Nothing here asks which it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ProfileNotFound

from penstock.deploy.translate import aws_errors
from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import InvalidInput, NotFound, PenstockError

# Standard mode repeats throttling, 5xx, and connections that broke; a lost answer to a create is found again by name.
_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 6},
    connect_timeout=5,
    read_timeout=60,
    tcp_keepalive=True,
    user_agent_extra="penstock",
)
# The caller waits longer than the container may take (60 s), and a model is never called twice for one invoke.
_RUNTIME_CONFIG = _CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=70))


_PLACE = "x-penstock-place"


class AwsSession:
    """Clients of one account and region. ``call`` is the only door, so that errors are translated in one place."""

    def __init__(
        self, boto: boto3.Session, *, region: str, endpoint_url: str | None = None, config: Config | None = None
    ) -> None:
        self._boto: Any = boto
        self._endpoint_url = endpoint_url
        self._clients: dict[str, Any] = {}
        self._extra = config or Config()
        self._making = Lock()
        self.region = region

    def client(self, service: str) -> Any:
        """The boto3 client of ``service``, made once."""
        with self._making:
            if service not in self._clients:
                base = _RUNTIME_CONFIG if service == "sagemaker-runtime" else _CONFIG
                with aws_errors(service):
                    self._clients[service] = self._boto.client(
                        service,
                        region_name=self.region,
                        endpoint_url=self._endpoint_url,
                        config=base.merge(self._extra),
                    )
            return self._clients[service]

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """The answer of one operation, e.g. ``call("sagemaker", "describe_endpoint", EndpointName="iris")``.

        Raises the error of ours that AWS's answer stands for (see translate).
        """
        with aws_errors(_spelled(operation)):
            answer: dict[str, Any] = getattr(self.client(service), operation)(**parameters)
        answer.pop("ResponseMetadata", None)
        return answer

    def find(self, service: str, operation: str, **parameters: Any) -> dict[str, Any] | None:
        """Like ``call``, or None when AWS says that there is no such thing."""
        try:
            return self.call(service, operation, **parameters)
        except NotFound:
            return None

    def pages(self, service: str, operation: str, member: str, **parameters: Any) -> Iterator[Any]:
        """The items of ``member`` over all pages of a list operation."""
        with aws_errors(_spelled(operation)):
            for page in self.client(service).get_paginator(operation).paginate(**parameters):
                yield from page.get(member, [])

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Who asks: Account, Arn and UserId, as STS says."""
        return {key: self._whoami[key] for key in ("Account", "Arn", "UserId") if key in self._whoami}

    @property
    def place(self) -> str:
        """What tells this account's home from every other of the same number: the id it gives itself, else its URL."""
        told = self._whoami["ResponseMetadata"].get("HTTPHeaders", {}).get(_PLACE)
        return str(told or self.endpoint_url)

    @cached_property
    def _whoami(self) -> dict[str, Any]:
        with aws_errors("GetCallerIdentity"):
            answer: dict[str, Any] = self.client("sts").get_caller_identity()
        return answer

    @property
    def account(self) -> str:
        return str(self.identity["Account"])

    @property
    def partition(self) -> str:
        """``aws``, ``aws-cn`` or ``aws-us-gov``."""
        return str(self._boto.get_partition_for_region(self.region))

    @property
    def endpoint_url(self) -> str:
        """Where SageMaker is, as botocore resolved it."""
        return str(self.client("sagemaker").meta.endpoint_url)

    def server_date(self) -> str | None:
        """The server's own time, as its HTTP answer's Date header says it."""
        with aws_errors("GetCallerIdentity"):
            answer = self.client("sts").get_caller_identity()
        date = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
        return str(date) if date else None

    @property
    def credentials_origin(self) -> str:
        """Which of botocore's providers the credentials came from, or 'none'."""
        found = self._boto.get_credentials()
        return str(found.method) if found else "none"


def open_session(
    *, region: str | None = None, profile: str | None = None, endpoint_url: str | None = None
) -> AwsSession:
    """A session for that region, or for the one that the environment or the profile names; never a silent default.

    Raises InvalidInput when no region or no such profile is known.
    """
    try:
        boto = boto3.Session(profile_name=profile)
    except ProfileNotFound as error:
        raise InvalidInput(f"{error}.", fix="Name a profile that `aws configure list-profiles` shows.") from error
    except BotoCoreError as error:
        raise InvalidInput(f"The AWS configuration cannot be read: {error}.", fix="Correct that file.") from error
    chosen = region or boto.region_name
    if not chosen:
        raise InvalidInput("No AWS region is set.", fix="Give --region, or set AWS_REGION or the profile's region.")
    return AwsSession(boto, region=chosen, endpoint_url=endpoint_url)


def patiently(
    action: Callable[[], None],
    *,
    while_failing: Callable[[PenstockError], bool],
    limit_s: float = 30.0,
    clock: Clock = SYSTEM_CLOCK,
) -> None:
    """Runs ``action`` again, ever more slowly, while it fails in a way that passes by itself within ``limit_s``."""
    deadline_ms = clock.now_ms() + int(limit_s * 1000)
    pause_s = 0.5
    while True:
        try:
            return action()
        except PenstockError as error:
            if not while_failing(error) or clock.now_ms() + pause_s * 1000 > deadline_ms:
                raise
        clock.sleep(pause_s)
        pause_s = min(pause_s * 2, 5.0)


def _spelled(operation: str) -> str:
    """``create_model`` -> ``CreateModel``."""
    return "".join(part.capitalize() for part in operation.split("_"))
