"""Who we are to image registries: to ECR whom AWS knows, to all others whom ``docker login`` left."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from penstock.ground.errors import PenstockError
from penstock.ground.settings import Settings, read_mirrors
from penstock.oci.auth import Credentials, DockerConfig
from penstock.oci.client import RegistryClient
from penstock.oci.reference import Reference

# Source: "Amazon ECR private registries": the name for IPv4, the one for both kinds of address, and FIPS.
_ECR = re.compile(
    r"\d{12}\.dkr[.-]ecr(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|on\.(?:aws|amazonwebservices\.com\.cn))"
)
_AWS = "penstock.deploy.ecr"  # brings boto3: imported when a registry of AWS is asked, not when any is


def open_registry(settings: Settings) -> RegistryClient:
    """A client of any registry, with these settings' logins and mirrors; a mirror gets what ``docker login`` left."""
    return RegistryClient(
        auth=RegistryLogins(settings), mirrors=read_mirrors(settings.registry_mirrors), mirror_auth=DockerConfig()
    )


class RegistryLogins:
    """A keychain. An ECR token is asked for anew whenever the registry wants one, so that none is ever too old."""

    def __init__(self, settings: Settings, *, docker: DockerConfig | None = None) -> None:
        self._settings = settings
        self._docker = docker or DockerConfig()

    def find(self, registry: str) -> Credentials | None:
        """ECR's own login where AWS gives one, else what docker's configuration has, else AWS's refusal."""
        region = self._region(registry)
        if region is None:
            return self._docker.find(registry)
        try:
            return self._ecr().find_login(registry, region=region, settings=self._settings)  # type: ignore[no-any-return]
        except PenstockError:
            found = self._docker.find(registry)
            if found is None:
                raise
            return found

    def make_repository(self, place: Reference) -> bool:
        """Makes the repository of an ECR registry that lacks it; False for registries that are none of ECR's."""
        region = self._region(place.registry)
        if region is None:
            return False
        self._ecr().make_repository(place.repository, region=region, settings=self._settings)
        return True

    def _ecr(self) -> Any:
        return import_module(_AWS)

    def _region(self, registry: str) -> str | None:
        """The region of an ECR registry, "" for the one behind the endpoint URL that is set; None for all others."""
        named = _ECR.fullmatch(registry)
        if named:
            return named[1]
        endpoint = self._settings.endpoint_url
        return "" if endpoint and urlsplit(endpoint).netloc == registry else None
