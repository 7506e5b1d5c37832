"""The client object in the shape of MLflow's: ``MlflowClient(tracking_uri, registry_uri)``."""

from __future__ import annotations

from penstock.api.clients.artifacts import ArtifactsClient
from penstock.api.clients.experiments import ExperimentsClient
from penstock.api.clients.logged_models import LoggedModelsClient
from penstock.api.clients.registry import RegistryClient
from penstock.api.clients.runs import RunsClient


class MlflowClient(ExperimentsClient, RunsClient, ArtifactsClient, LoggedModelsClient, RegistryClient):
    """Everything that can be done to a tracking store and a model registry, one method each.

    It takes the same arguments in the same order as MLflow's client, and talks to a database of Penstock's, to its
    server, or to a stock MLflow server.
    """
