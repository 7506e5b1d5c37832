"""The model registry, whole."""

from __future__ import annotations

from penstock.store.registry.aliases import Aliases
from penstock.store.registry.history import History
from penstock.store.registry.models import RegisteredModels
from penstock.store.registry.versions import ModelVersions


class RegistryStore(RegisteredModels, ModelVersions, Aliases, History):
    """Every method that the model registry has; each noun's are in its own module."""
