"""Model versions: numbered model folders, and the stages they move through."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.ground.entities import ModelVersion, Page, RegistryChange, Tag
from penstock.ground.errors import InvalidInput, NotFound
from penstock.store import limits
from penstock.store.database import Session
from penstock.store.part import Part
from penstock.store.queries import Queries
from penstock.store.registry.history import record
from penstock.store.registry.models import canonical_stage, check_tags, lock_model, unique
from penstock.store.registry.rows import with_data
from penstock.store.search.leading import run_search
from penstock.store.search.pages import Window
from penstock.store.search.sql import compile_search
from penstock.store.search.tree import parse_filter, parse_order
from penstock.store.search.vocabulary import MODEL_VERSIONS

SQL = Queries("registry")
MAX_PAGE = 200_000
ARCHIVED = "Archived"


class ModelVersions(Part):
    """Create, read, change and search versions."""

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
        """The new version: its number is one more than any before, deleted ones included. Raises NotFound."""
        limits.check_length("source", source, limits.MAX_LOCATION_CHARS)
        limits.check_length("description", description, limits.MAX_DESCRIPTION_CHARS)
        for path, text in (("run_id", run_id), ("model_id", model_id)):
            limits.check_length(path, text or "", limits.MAX_ID_CHARS)
        check_tags(tags)

        def work(session: Session) -> ModelVersion:
            now_ms = self.clock.now_ms()
            lock_model(session, name, now_ms)
            version = ModelVersion(
                name=name,
                version=(session.row(SQL.next_version, {"name": name}) or (1,))[0],
                creation_time_ms=now_ms,
                last_update_time_ms=now_ms,
                source=source,
                run_id=run_id,
                run_link=run_link,
                model_id=model_id,
                user_id=user_id,
                description=description,
                tags=tuple(tags),
            )
            insert_version(session, version)
            return read_version(session, name, version.version)

        return self.database.write(work)

    def get_model_version(self, name: str, version: int) -> ModelVersion:
        """The version. Raises NotFound."""
        return self.database.read(lambda session: read_version(session, name, version))

    def update_model_version(self, name: str, version: int, *, description: str) -> ModelVersion:
        """The version with another description. Raises NotFound, InvalidInput."""
        limits.check_length("description", description, limits.MAX_DESCRIPTION_CHARS)

        def work(session: Session) -> ModelVersion:
            now_ms = self._locked(session, name, version)
            values = {"name": name, "version": version, "description": description, "now_ms": now_ms}
            session.run(SQL.describe_version, values)
            return read_version(session, name, version)

        return self.database.write(work)

    def transition_stage(
        self,
        name: str,
        version: int,
        *,
        stage: str,
        archive_existing_versions: bool = False,
        user_id: str | None = None,
    ) -> ModelVersion:
        """The version in its new stage; others there move to Archived when asked. Raises NotFound, InvalidInput."""
        target = canonical_stage(stage)
        if archive_existing_versions and target not in ("Staging", "Production"):
            raise InvalidInput(
                "Model version transition cannot archive existing model versions because "
                f"'{target}' is not an Active stage. Valid stages are Staging, Production.",
                fix="Leave archive_existing_versions out.",
            )

        def work(session: Session) -> ModelVersion:
            now_ms = self._locked(session, name, version)
            if archive_existing_versions:
                for other in session.rows(SQL.versions, {"name": name}):
                    if other[10] == target and other[1] != version:
                        _move(session, name, other[1], ARCHIVED, user_id, now_ms)
            _move(session, name, version, target, user_id, now_ms)
            return read_version(session, name, version)

        return self.database.write(work)

    def delete_model_version(self, name: str, version: int, *, user_id: str | None = None) -> None:
        """Removes what the version said and its aliases; its number stays taken. Raises NotFound."""

        def work(session: Session) -> None:
            now_ms = self._locked(session, name, version)
            for alias in read_version(session, name, version).aliases:
                session.run(SQL.delete_alias, {"name": name, "alias": alias})
                record(
                    session,
                    RegistryChange(
                        name=name,
                        version=version,
                        kind="alias",
                        alias=alias,
                        before=str(version),
                        user_id=user_id,
                        timestamp_ms=now_ms,
                    ),
                )
            session.run(SQL.delete_version_tags, {"name": name, "version": version})
            session.run(SQL.redact_version, {"name": name, "version": version, "now_ms": now_ms})

        self.database.write(work)

    def set_model_version_tag(self, name: str, version: int, tag: Tag) -> None:
        """Sets one tag. Raises NotFound, InvalidInput."""
        check_tags((tag,))

        def work(session: Session) -> None:
            self._locked(session, name, version)
            session.many(SQL.set_version_tags, [(name, version, tag.key, tag.value)])

        self.database.write(work)

    def delete_model_version_tag(self, name: str, version: int, key: str) -> None:
        """Removes one tag; one that is not there is fine. Raises NotFound for the version."""

        def work(session: Session) -> None:
            self._locked(session, name, version)
            session.run(SQL.delete_version_tag, {"name": name, "version": version, "key": key})

        self.database.write(work)

    def search_model_versions(
        self,
        *,
        filter: str = "",
        order_by: Sequence[str] = (),
        limit: int = 10_000,
        page_token: str | None = None,
    ) -> Page[ModelVersion]:
        """Versions that match, last changed first unless ``order_by`` says otherwise. Raises InvalidInput."""
        clauses, order = parse_filter(filter, MODEL_VERSIONS), parse_order(order_by, MODEL_VERSIONS)
        window = Window.open(limit, page_token, maximum=MAX_PAGE)
        search = compile_search(MODEL_VERSIONS, clauses, order)

        def work(session: Session) -> Page[ModelVersion]:
            page = window.page(run_search(session, search, window.parameters))
            return Page(items=tuple(with_data(session, page.items)), next_page_token=page.next_page_token)

        return self.database.read(work)

    def _locked(self, session: Session, name: str, version: int) -> int:
        """The present, once the version is known to be there and no other writer can change it."""
        now_ms = self.clock.now_ms()
        session.run(SQL.lock_model, {"name": name, "now_ms": now_ms})
        read_version(session, name, version)
        return now_ms


def insert_version(session: Session, version: ModelVersion) -> None:
    """Stores a version with its tags."""
    values = {
        field: getattr(version, field)
        for field in (
            "name", "version", "creation_time_ms", "last_update_time_ms", "source", "run_id", "run_link", "model_id",
            "user_id", "description", "current_stage", "status", "status_message",
        )
    }  # fmt: skip
    session.run(SQL.create_version, values)
    rows = [(version.name, version.version, key, value) for key, value in unique(version.tags).items()]
    session.many(SQL.set_version_tags, rows)


def read_version(session: Session, name: str, version: int) -> ModelVersion:
    """The version. Raises NotFound."""
    row = session.row(SQL.version, {"name": name, "version": version})
    if row is None:
        raise NotFound(
            f"Model Version (name={name}, version={version}) not found.", fix="Check the name and the number."
        )
    return with_data(session, [row])[0]


def _move(session: Session, name: str, version: int, stage: str, user_id: str | None, now_ms: int) -> None:
    before = read_version(session, name, version).current_stage
    session.run(SQL.set_stage, {"name": name, "version": version, "stage": stage, "now_ms": now_ms})
    if before != stage:
        change = RegistryChange(
            name=name, version=version, kind="stage", before=before, after=stage, user_id=user_id, timestamp_ms=now_ms
        )
        record(session, change)
