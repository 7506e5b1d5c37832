"""Who moved which alias or stage, when, from where, to where."""

from __future__ import annotations

from penstock.ground.entities import RegistryChange
from penstock.store.database import Session
from penstock.store.part import Part
from penstock.store.queries import Queries

SQL = Queries("registry")


class History(Part):
    """Read what was recorded."""

    def history(self, name: str) -> tuple[RegistryChange, ...]:
        """The changes of a registered model, oldest first; kept when the model is deleted, moved when it is renamed."""
        rows = self.database.read(lambda session: session.rows(SQL.history, {"name": name}))
        return tuple(
            RegistryChange(
                name=row[0],
                version=row[1],
                kind=row[2],
                alias=row[3],
                before=row[4],
                after=row[5],
                user_id=row[6],
                timestamp_ms=row[7],
            )
            for row in rows
        )


def record(session: Session, change: RegistryChange) -> None:
    """Writes a line of history, in the transaction of the change itself."""
    values = {
        "name": change.name,
        "version": change.version,
        "kind": change.kind,
        "alias": change.alias,
        "before": change.before,
        "after": change.after,
        "user_id": change.user_id,
        "timestamp_ms": change.timestamp_ms,
    }
    session.run(SQL.record, values)
