"""The client's model registry: registered models, their versions, aliases and stages."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from penstock.api.clients.base import ClientPart
from penstock.api.paging import PagedList, viewed
from penstock.api.source import user_name
from penstock.api.values import tags_of
from penstock.api.views import (
    ModelVersionView,
    RegisteredModelView,
    view_model_version,
    view_registered_model,
)
from penstock.ground.entities import RegistryChange, Tag
from penstock.ground.errors import AlreadyExists, InvalidInput, NotFound


class RegistryClient(ClientPart):
    """Models, versions, aliases and stages, by MLflow's names and argument order. Versions are numbers or text."""

    def create_registered_model(
        self, name: str, tags: dict[str, Any] | None = None, description: str | None = None
    ) -> RegisteredModelView:
        """The new model, without versions. Raises AlreadyExists."""
        registry = self._registry_connection.registry
        return view_registered_model(
            registry.create_registered_model(name, tags=tags_of(tags), description=description or "")
        )

    def get_registered_model(self, name: str) -> RegisteredModelView:
        """The model with its latest versions and aliases. Raises NotFound."""
        return view_registered_model(self._registry_connection.registry.get_registered_model(name))

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[RegisteredModelView]:
        """One page of the models that match, by name unless ``order_by`` says otherwise."""
        page = self._registry_connection.registry.search_registered_models(
            filter=filter_string or "", order_by=order_by or (), limit=max_results, page_token=page_token
        )
        return viewed(page, view_registered_model)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModelView:
        """The model under its new name."""
        return view_registered_model(self._registry_connection.registry.rename_registered_model(name, new_name))

    def update_registered_model(self, name: str, description: str | None = None) -> RegisteredModelView:
        """The model with its new description."""
        registry = self._registry_connection.registry
        return view_registered_model(registry.update_registered_model(name, description=description or ""))

    def delete_registered_model(self, name: str) -> None:
        """Removes the model and its versions."""
        self._registry_connection.registry.delete_registered_model(name, user_id=user_name())

    def set_registered_model_tag(self, name: str, key: str, value: Any) -> None:
        self._registry_connection.registry.set_registered_model_tag(name, Tag(key=key, value=str(value)))

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        self._registry_connection.registry.delete_registered_model_tag(name, key)

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: dict[str, Any] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        await_creation_for: int = 300,
        model_id: str | None = None,
    ) -> ModelVersionView:
        """The next version of the model. Raises NotFound when there is no such model."""
        return view_model_version(
            self._registry_connection.registry.create_model_version(
                name,
                source,
                run_id=run_id,
                run_link=run_link,
                model_id=model_id,
                tags=tags_of(tags),
                description=description or "",
            )
        )

    def get_model_version(self, name: str, version: str | int) -> ModelVersionView:
        """The version. Raises NotFound."""
        return view_model_version(self._registry_connection.registry.get_model_version(name, number_of(version)))

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersionView:
        """The version that the alias points at; ``latest`` is the newest. Raises NotFound, InvalidInput."""
        return view_model_version(self._registry_connection.registry.get_by_alias(name, alias))

    def get_model_version_download_uri(self, name: str, version: str | int) -> str:
        """Where the version's files are: its source, or where the logged model that is its source lies."""
        source = self._registry_connection.registry.get_model_version(name, number_of(version)).source
        if not source.startswith("models:/m-"):
            return source
        return self._connection.tracking.get_logged_model(source.removeprefix("models:/")).artifact_uri

    def get_latest_versions(self, name: str, stages: list[str] | None = None) -> list[ModelVersionView]:
        """The newest version of each of the ``stages`` (by default of every stage)."""
        versions = self._registry_connection.registry.latest_versions(name, stages=stages or ())
        return [view_model_version(version) for version in versions]

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int = 10_000,
        order_by: list[str] | None = None,
        page_token: str | None = None,
    ) -> PagedList[ModelVersionView]:
        """One page of the versions that match, the latest changed first unless ``order_by`` says otherwise."""
        page = self._registry_connection.registry.search_model_versions(
            filter=filter_string or "", order_by=order_by or (), limit=max_results, page_token=page_token
        )
        return viewed(page, view_model_version)

    def update_model_version(self, name: str, version: str | int, description: str | None = None) -> ModelVersionView:
        """The version with its new description."""
        registry = self._registry_connection.registry
        return view_model_version(
            registry.update_model_version(name, number_of(version), description=description or "")
        )

    def transition_model_version_stage(
        self, name: str, version: str | int, stage: str, archive_existing_versions: bool = False
    ) -> ModelVersionView:
        """The version in its new stage: None, Staging, Production or Archived."""
        return view_model_version(
            self._registry_connection.registry.transition_stage(
                name,
                number_of(version),
                stage=stage,
                archive_existing_versions=archive_existing_versions,
                user_id=user_name(),
            )
        )

    def delete_model_version(self, name: str, version: str | int) -> None:
        """Removes the version; its number is not given again."""
        self._registry_connection.registry.delete_model_version(name, number_of(version), user_id=user_name())

    def set_model_version_tag(
        self,
        name: str,
        version: str | int | None = None,
        key: str | None = None,
        value: Any = None,
        stage: str | None = None,
    ) -> None:
        """Sets one tag of the version, or of the newest in ``stage``."""
        tag = Tag(key=key or "", value=str(value))
        self._registry_connection.registry.set_model_version_tag(name, self._number(name, version, stage), tag)

    def delete_model_version_tag(
        self, name: str, version: str | int | None = None, key: str | None = None, stage: str | None = None
    ) -> None:
        """Removes one tag of the version, or of the newest in ``stage``. Raises NotFound."""
        number = self._number(name, version, stage)
        self._registry_connection.registry.delete_model_version_tag(name, number, key or "")

    def _number(self, name: str, version: str | int | None, stage: str | None) -> int:
        if (version is None) == (stage is None):
            raise InvalidInput("A version is named by its number or by a stage.", fix="Give one of the two.")
        if stage is None:
            return number_of(version)
        found = self.get_latest_versions(name, [stage])
        if not found:
            raise NotFound(f"No version of {name!r} is in the stage {stage!r}.", fix="Name a version by its number.")
        return number_of(found[0].version)

    def copy_model_version(self, src_model_uri: str, dst_name: str) -> ModelVersionView:
        """The next version of ``dst_name``, which is made if it is not there: a copy of ``models:/name/version``.

        Raises NotFound, InvalidInput for a URI of another kind.
        """
        name, separator, which = src_model_uri.removeprefix("models:/").partition("@")
        if separator:
            source = self.get_model_version_by_alias(name, which)
        else:
            name, _, which = name.rpartition("/")
            source = self.get_model_version(name, which)
        registry = self._registry_connection.registry
        with suppress(AlreadyExists):  # then it is a further version
            registry.create_registered_model(dst_name)
        return self.create_model_version(
            dst_name, f"models:/{name}/{source.version}", source.run_id, run_link=source.run_link
        )

    def get_model_version_stages(self, name: str, version: str | int) -> list[str]:
        """The stages that a version can be in."""
        return ["None", "Staging", "Production", "Archived"]

    def set_registered_model_alias(self, name: str, alias: str, version: str | int) -> None:
        """Points the alias at the version. Raises NotFound, InvalidInput."""
        self._registry_connection.registry.set_alias(name, alias, number_of(version), user_id=user_name())

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Removes the alias; one that is not there is fine."""
        self._registry_connection.registry.delete_alias(name, alias, user_id=user_name())

    def get_registered_model_history(self, name: str) -> tuple[RegistryChange, ...]:
        """Every move of an alias or a stage: who, when, from, to. MLflow keeps none."""
        return tuple(self._registry_connection.registry.history(name))


def number_of(version: str | int | None) -> int:
    """A version's number. Raises InvalidInput for what is none."""
    try:
        return int(version or "")
    except ValueError:
        raise InvalidInput(f"{version!r} is not a model version.", fix="Give its number, such as 3.") from None
