"""The door to a store over the wire, in the shape of the store in this process."""

from __future__ import annotations

from penstock.api.rest.logged_models import RestLoggedModels
from penstock.api.rest.registry import RestModelVersions, RestRegisteredModels
from penstock.api.rest.tracking import RestExperiments, RestRuns
from penstock.api.rest.wire import Wire
from penstock.artifacts.web import Site


class RestTracking(RestExperiments, RestRuns, RestLoggedModels):
    """Tracking, whole."""


class RestRegistry(RestRegisteredModels, RestModelVersions):
    """The model registry, whole."""


class RestStore:
    """``tracking`` and ``registry`` of the server at ``site``."""

    def __init__(self, site: Site) -> None:
        self._wire = Wire(site)
        self.tracking = RestTracking(self._wire)
        self.registry = RestRegistry(self._wire)

    def close(self) -> None:
        self._wire.close()


def open_rest_store(uri: str, *, artifact_root: str) -> RestStore:
    """The store of the server at ``uri``, which chooses its own artifact root. Nothing is asked of it yet."""
    return RestStore(Site(uri))
