"""Registered models: names that versions are counted under."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.ground.entities import Alias, ModelVersion, Page, RegisteredModel, RegistryChange, Tag
from penstock.ground.errors import AlreadyExists, InvalidInput, NotFound
from penstock.store import limits
from penstock.store.database import Row, Session
from penstock.store.part import Part
from penstock.store.queries import Queries
from penstock.store.registry.history import record
from penstock.store.registry.rows import version_of, version_tags
from penstock.store.search.leading import run_search
from penstock.store.search.pages import Window
from penstock.store.search.sql import compile_search
from penstock.store.search.tree import parse_filter, parse_order
from penstock.store.search.vocabulary import REGISTERED_MODELS

SQL = Queries("registry")
MAX_PAGE = 1000
STAGES = ("None", "Staging", "Production", "Archived")
_RENAMED = ("registered_models", "registered_model_tags", "model_versions", "model_version_tags", "model_aliases",
            "registry_changes")  # fmt: skip
_DELETED = ("registered_model_tags", "model_versions", "model_version_tags", "model_aliases")


class RegisteredModels(Part):
    """Create, read, change and search registered models."""

    def create_registered_model(self, name: str, *, description: str = "", tags: Sequence[Tag] = ()) -> RegisteredModel:
        """The new registered model. Raises AlreadyExists, InvalidInput."""
        limits.check_model_name(name)
        limits.check_length("description", description, limits.MAX_DESCRIPTION_CHARS)
        check_tags(tags)

        def work(session: Session) -> RegisteredModel:
            now_ms = self.clock.now_ms()
            values = {"name": name, "description": description}
            if not session.run(SQL.create_model, {**values, "creation_time_ms": now_ms, "last_update_time_ms": now_ms}):
                raise _taken(name)
            session.many(SQL.set_model_tags, [(name, key, value) for key, value in unique(tags).items()])
            return read_model(session, name)

        return self.database.write(work)

    def get_registered_model(self, name: str) -> RegisteredModel:
        """The registered model with its newest version of each stage. Raises NotFound."""
        return self.database.read(lambda session: read_model(session, name))

    def update_registered_model(self, name: str, *, description: str) -> RegisteredModel:
        """The registered model with another description. Raises NotFound, InvalidInput."""
        limits.check_length("description", description, limits.MAX_DESCRIPTION_CHARS)

        def work(session: Session) -> RegisteredModel:
            read_model(session, name)
            session.run(SQL.describe_model, {"name": name, "description": description, "now_ms": self.clock.now_ms()})
            return read_model(session, name)

        return self.database.write(work)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """The registered model under its new name, with its versions. Raises NotFound, AlreadyExists, InvalidInput."""
        limits.check_model_name(new_name)

        def work(session: Session) -> RegisteredModel:
            lock_model(session, name, self.clock.now_ms())
            if new_name != name and session.row(SQL.model, {"name": new_name}):
                raise _taken(new_name)
            for table in _RENAMED:
                session.run(
                    f"UPDATE {table} SET name = :new_name WHERE name = :name", {"name": name, "new_name": new_name}
                )
            return read_model(session, new_name)

        return self.database.write(work)

    def delete_registered_model(self, name: str, *, user_id: str | None = None) -> None:
        """Removes the registered model and its versions; its history stays. Raises NotFound."""

        def work(session: Session) -> None:
            model = lock_model(session, name, self.clock.now_ms())
            for alias in model.aliases:
                record(session, _lost_alias(name, alias, user_id, self.clock.now_ms()))
            for table in _DELETED:
                session.run(f"DELETE FROM {table} WHERE name = :name", {"name": name})
            session.run(SQL.delete_model, {"name": name})

        self.database.write(work)

    def set_registered_model_tag(self, name: str, tag: Tag) -> None:
        """Sets one tag. Raises NotFound, InvalidInput."""
        check_tags((tag,))

        def work(session: Session) -> None:
            lock_model(session, name, self.clock.now_ms())
            session.many(SQL.set_model_tags, [(name, tag.key, tag.value)])

        self.database.write(work)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Removes one tag; one that is not there is fine. Raises NotFound for the model."""

        def work(session: Session) -> None:
            lock_model(session, name, self.clock.now_ms())
            session.run(SQL.delete_model_tag, {"name": name, "key": key})

        self.database.write(work)

    def latest_versions(self, name: str, *, stages: Sequence[str] = ()) -> tuple[ModelVersion, ...]:
        """The newest version of each of these stages, of every stage when none is given. Raises NotFound."""
        wanted = {canonical_stage(stage) for stage in stages} or set(STAGES)
        latest = self.get_registered_model(name).latest_versions
        return tuple(version for version in latest if version.current_stage in wanted)

    def search_registered_models(
        self,
        *,
        filter: str = "",
        order_by: Sequence[str] = (),
        limit: int = 100,
        page_token: str | None = None,
    ) -> Page[RegisteredModel]:
        """Registered models that match, by name unless ``order_by`` says otherwise. Raises InvalidInput."""
        clauses, order = parse_filter(filter, REGISTERED_MODELS), parse_order(order_by, REGISTERED_MODELS)
        window = Window.open(limit, page_token, maximum=MAX_PAGE)
        search = compile_search(REGISTERED_MODELS, clauses, order)

        def work(session: Session) -> Page[RegisteredModel]:
            page = window.page(run_search(session, search, window.parameters))
            return Page(items=tuple(_with_data(session, page.items)), next_page_token=page.next_page_token)

        return self.database.read(work)


def canonical_stage(stage: str) -> str:
    """The stage's own spelling; any case is read. Raises InvalidInput."""
    for known in STAGES:
        if known.lower() == stage.lower():
            return known
    raise InvalidInput(
        f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(STAGES)}.", fix="Use one of them."
    )


def read_model(session: Session, name: str) -> RegisteredModel:
    """The registered model. Raises NotFound."""
    row = session.row(SQL.model, {"name": name})
    if row is None:
        raise NotFound(f"Registered Model with name={name} not found.", fix="Create it, or check the name.")
    return _with_data(session, [row])[0]


def lock_model(session: Session, name: str, now_ms: int) -> RegisteredModel:
    """The registered model, marked as changed; other writers of it wait until this transaction ends."""
    session.run(SQL.lock_model, {"name": name, "now_ms": now_ms})
    return read_model(session, name)


def check_tags(tags: Sequence[Tag]) -> None:
    """Raises InvalidInput unless every tag can be stored in the registry."""
    for tag in tags:
        limits.check_pair(tag, limit=limits.MAX_REGISTRY_TAG_CHARS)


def unique(tags: Sequence[Tag]) -> dict[str, str]:
    """The last value of each key."""
    return {tag.key: tag.value for tag in tags}


def _lost_alias(name: str, alias: Alias, user_id: str | None, now_ms: int) -> RegistryChange:
    return RegistryChange(
        name=name,
        version=alias.version,
        kind="alias",
        alias=alias.alias,
        before=str(alias.version),
        user_id=user_id,
        timestamp_ms=now_ms,
    )


def _taken(name: str) -> AlreadyExists:
    return AlreadyExists(f"Registered Model (name={name}) already exists.", fix="Use it, or choose another name.")


def _with_data(session: Session, rows: Sequence[Row]) -> list[RegisteredModel]:
    wanted = {"names": [row[0] for row in rows]}
    tags: dict[str, list[Tag]] = {row[0]: [] for row in rows}
    aliases: dict[str, list[Alias]] = {row[0]: [] for row in rows}
    latest: dict[str, list[ModelVersion]] = {row[0]: [] for row in rows}
    for name, key, value in session.rows(SQL.model_tags, wanted):
        tags[name].append(Tag(key=key, value=value))
    for name, alias, version in session.rows(SQL.aliases, wanted):
        aliases[name].append(Alias(alias=alias, version=version))
    marks = version_tags(session, list(tags))
    for row in session.rows(SQL.latest, wanted):
        names = tuple(alias.alias for alias in aliases[row[0]] if alias.version == row[1])
        latest[row[0]].append(version_of(row, tags=marks.get((row[0], row[1]), ()), aliases=names))
    return [
        RegisteredModel(
            name=row[0],
            creation_time_ms=row[1],
            last_update_time_ms=row[2],
            description=row[3],
            latest_versions=tuple(latest[row[0]]),
            aliases=tuple(aliases[row[0]]),
            tags=tuple(tags[row[0]]),
        )
        for row in rows
    ]
