"""The SageMaker service as one value: what its operations need, and the table's single entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from penstock.rehearsal.journal import Journal
from penstock.rehearsal.wire.awsjson import Call


class Checks(Protocol):
    """What CreateModel makes sure of before it answers."""

    def check_model(self, request: dict[str, Any], call: Call) -> None:
        """Raises AwsError as SageMaker would for this model."""

    def check_role(self, arn: str, call: Call) -> None:
        """Raises AwsError unless SageMaker could assume the role."""

    def check_container(self, container: dict[str, Any], call: Call) -> str:
        """The digest of a container definition's image. Raises AwsError if image or model data will not do."""

    def check_instance(self, image: str, instance_type: str) -> None:
        """Raises AwsError if the image cannot run on the instance type."""


class Hosting(msgspec.Struct, frozen=True, kw_only=True):
    """``wake(region, name)`` tells whoever drives endpoints that this record has changed; ``wake_job`` of jobs.

    ``components(region, endpoint)`` names its inference components, ``scaled_variants(region, endpoint)`` the variants
    that autoscaling has in its hands.
    """

    journal: Journal
    checks: Checks
    wake: Callable[[str, str], None]
    wake_job: Callable[[str, str], None]
    wake_component: Callable[[str, str], None] = lambda _region, _name: None
    components: Callable[[str, str], list[str]] = lambda _region, _endpoint: []
    scaled_variants: Callable[[str, str], set[str]] = lambda _region, _endpoint: set()


Operation = Callable[[Hosting, Call], dict[str, Any]]
