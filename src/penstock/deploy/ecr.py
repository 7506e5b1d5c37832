"""The way into an account's image registry for those who have AWS credentials and no ``docker login``."""

from __future__ import annotations

from msgspec.structs import replace

from penstock.deploy.kinds import Making
from penstock.deploy.repository import RepositoryKind, get_login
from penstock.deploy.session import AwsSession
from penstock.deploy.targets.table import open_sagemaker
from penstock.ground.settings import Settings
from penstock.oci.auth import Credentials


def find_login(registry: str, *, region: str, settings: Settings) -> Credentials | None:
    """A login for ``registry``, good for 12 hours; None where the endpoint's registry is another.

    A token opens every registry of ECR that the caller may use, so one host named by region serves for all accounts.
    """
    login = get_login(_session(region, settings))
    return Credentials(login.user, login.password) if region or login.host == registry else None


def make_repository(name: str, *, region: str, settings: Settings) -> None:
    """Makes the repository as a deploy would, if it is not there."""
    RepositoryKind().make(Making(aws=_session(region, settings), deployment=name), name, {})


def _session(region: str, settings: Settings) -> AwsSession:
    return open_sagemaker(replace(settings, region=region or settings.region)).aws
