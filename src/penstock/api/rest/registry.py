"""The model registry over the wire: the methods of the store's RegistryStore that the client uses.

Who asks is told by the credentials, so ``user_id`` stays here.
"""

from __future__ import annotations

from collections.abc import Sequence

from penstock.api.rest.wire import OWN_API, Wire, read_many, read_page
from penstock.ground.entities import ModelVersion, Page, RegisteredModel, RegistryChange, Tag
from penstock.ground.errors import NotFound, NotImplementedHere
from penstock.ground.wire import from_wire

MODELS = "registered-models"
VERSIONS = "model-versions"


class RestRegisteredModels:
    """Registered models and their aliases."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def create_registered_model(self, name: str, *, description: str = "", tags: Sequence[Tag] = ()) -> RegisteredModel:
        path = f"{MODELS}/create"
        return _model(self._wire.post(path, idempotent=False, name=name, description=description or None, tags=tags))

    def get_registered_model(self, name: str) -> RegisteredModel:
        return _model(self._wire.get(f"{MODELS}/get", name=name))

    def update_registered_model(self, name: str, *, description: str) -> RegisteredModel:
        return _model(self._wire.patch(f"{MODELS}/update", name=name, description=description))

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        return _model(self._wire.post(f"{MODELS}/rename", idempotent=False, name=name, new_name=new_name))

    def delete_registered_model(self, name: str, *, user_id: str | None = None) -> None:
        self._wire.delete(f"{MODELS}/delete", name=name)

    def set_registered_model_tag(self, name: str, tag: Tag) -> None:
        self._wire.post(f"{MODELS}/set-tag", name=name, key=tag.key, value=tag.value)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        self._wire.delete(f"{MODELS}/delete-tag", name=name, key=key)

    def latest_versions(self, name: str, *, stages: Sequence[str] = ()) -> tuple[ModelVersion, ...]:
        answer = self._wire.post(f"{MODELS}/get-latest-versions", name=name, stages=list(stages))
        return read_many(ModelVersion, answer, "model_versions")

    def search_registered_models(
        self, *, filter: str = "", order_by: Sequence[str] = (), limit: int = 100, page_token: str | None = None
    ) -> Page[RegisteredModel]:
        answer = self._wire.get(
            f"{MODELS}/search",
            filter=filter or None,
            order_by=list(order_by),
            max_results=limit,
            page_token=page_token,
        )
        return read_page(RegisteredModel, answer, "registered_models")

    def set_alias(self, name: str, alias: str, version: int, *, user_id: str | None = None) -> None:
        self._wire.post(f"{MODELS}/alias", name=name, alias=alias, version=str(version))

    def delete_alias(self, name: str, alias: str, *, user_id: str | None = None) -> None:
        self._wire.delete(f"{MODELS}/alias", name=name, alias=alias)

    def get_by_alias(self, name: str, alias: str) -> ModelVersion:
        return _version(self._wire.get(f"{MODELS}/alias", name=name, alias=alias))

    def history(self, name: str) -> tuple[RegistryChange, ...]:
        """Raises NotImplementedHere when the server is MLflow's, which keeps no history."""
        self.get_registered_model(name)
        try:
            answer = self._wire.get(f"{MODELS}/history", api=OWN_API, name=name)
        except NotFound:
            raise NotImplementedHere(
                "This server keeps no history of aliases and stages.", fix="Use a Penstock server."
            ) from None
        return read_many(RegistryChange, answer, "changes")


class RestModelVersions:
    """Model versions and their stages."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def create_model_version(
        self,
        name: str,
        source: str,
        *,
        run_id: str | None = None,
        model_id: str | None = None,
        run_link: str | None = None,
        description: str = "",
        tags: Sequence[Tag] = (),
        user_id: str | None = None,
    ) -> ModelVersion:
        answer = self._wire.post(
            f"{VERSIONS}/create",
            idempotent=False,
            name=name,
            source=source,
            run_id=run_id,
            run_link=run_link,
            model_id=model_id,
            description=description or None,
            tags=tags,
        )
        return _version(answer)

    def get_model_version(self, name: str, version: int) -> ModelVersion:
        return _version(self._wire.get(f"{VERSIONS}/get", name=name, version=str(version)))

    def update_model_version(self, name: str, version: int, *, description: str) -> ModelVersion:
        path = f"{VERSIONS}/update"
        return _version(self._wire.patch(path, name=name, version=str(version), description=description))

    def transition_stage(
        self,
        name: str,
        version: int,
        *,
        stage: str,
        archive_existing_versions: bool = False,
        user_id: str | None = None,
    ) -> ModelVersion:
        answer = self._wire.post(
            f"{VERSIONS}/transition-stage",
            name=name,
            version=str(version),
            stage=stage,
            archive_existing_versions=archive_existing_versions,
        )
        return _version(answer)

    def delete_model_version(self, name: str, version: int, *, user_id: str | None = None) -> None:
        self._wire.delete(f"{VERSIONS}/delete", name=name, version=str(version))

    def set_model_version_tag(self, name: str, version: int, tag: Tag) -> None:
        self._wire.post(f"{VERSIONS}/set-tag", name=name, version=str(version), key=tag.key, value=tag.value)

    def delete_model_version_tag(self, name: str, version: int, key: str) -> None:
        self._wire.delete(f"{VERSIONS}/delete-tag", name=name, version=str(version), key=key)

    def search_model_versions(
        self, *, filter: str = "", order_by: Sequence[str] = (), limit: int = 10_000, page_token: str | None = None
    ) -> Page[ModelVersion]:
        answer = self._wire.get(
            f"{VERSIONS}/search",
            filter=filter or None,
            order_by=list(order_by),
            max_results=limit,
            page_token=page_token,
        )
        return read_page(ModelVersion, answer, "model_versions")


def _model(answer: dict[str, object]) -> RegisteredModel:
    return from_wire(RegisteredModel, answer["registered_model"])


def _version(answer: dict[str, object]) -> ModelVersion:
    return from_wire(ModelVersion, answer["model_version"])
