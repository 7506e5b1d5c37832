"""Aliases: names such as 'champion' that stand for one version and can be moved to another."""

from __future__ import annotations

from penstock.ground.entities import ModelVersion, RegistryChange
from penstock.ground.errors import InvalidInput, NotFound
from penstock.store import limits
from penstock.store.database import Session
from penstock.store.part import Part
from penstock.store.queries import Queries
from penstock.store.registry.history import record
from penstock.store.registry.models import lock_model
from penstock.store.registry.versions import read_version

SQL = Queries("registry")


class Aliases(Part):
    """Set, remove and follow aliases."""

    def set_alias(self, name: str, alias: str, version: int, *, user_id: str | None = None) -> None:
        """Points the alias at the version, and records the move. Raises NotFound, InvalidInput."""
        limits.check_alias(alias)

        def work(session: Session) -> None:
            now_ms = self.clock.now_ms()
            lock_model(session, name, now_ms)
            read_version(session, name, version)
            before = session.row(SQL.alias, {"name": name, "alias": alias})
            session.run(SQL.set_alias, {"name": name, "alias": alias, "version": version})
            if before is None or before[0] != version:
                _record(session, name, alias, before[0] if before else None, version, user_id, now_ms)

        self.database.write(work)

    def delete_alias(self, name: str, alias: str, *, user_id: str | None = None) -> None:
        """Removes the alias; one that is not there is fine. Raises NotFound for the model."""

        def work(session: Session) -> None:
            now_ms = self.clock.now_ms()
            lock_model(session, name, now_ms)
            before = session.row(SQL.alias, {"name": name, "alias": alias})
            if before is not None:
                session.run(SQL.delete_alias, {"name": name, "alias": alias})
                _record(session, name, alias, before[0], None, user_id, now_ms)

        self.database.write(work)

    def get_by_alias(self, name: str, alias: str) -> ModelVersion:
        """The version the alias stands for; 'latest' is the highest number.

        Raises NotFound for the model, InvalidInput for an alias it does not have, as MLflow does.
        """

        def work(session: Session) -> ModelVersion:
            if session.row(SQL.model, {"name": name}) is None:
                raise NotFound(f"Registered Model with name={name} not found.", fix="Create it, or check the name.")
            query = SQL.highest if alias.lower() == "latest" else SQL.alias
            values = {"name": name} if alias.lower() == "latest" else {"name": name, "alias": alias}
            row = session.row(query, values)
            if row is None or row[0] is None:
                raise InvalidInput(f"Registered model alias {alias} not found.", fix="Set it, or check its spelling.")
            return read_version(session, name, row[0])

        return self.database.read(work)


def _record(
    session: Session, name: str, alias: str, before: int | None, after: int | None, user_id: str | None, now_ms: int
) -> None:
    change = RegistryChange(
        name=name,
        version=after if after is not None else before,
        kind="alias",
        alias=alias,
        before=None if before is None else str(before),
        after=None if after is None else str(after),
        user_id=user_id,
        timestamp_ms=now_ms,
    )
    record(session, change)
