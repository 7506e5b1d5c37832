"""The schema's history: numbered .sql files, applied forward only, each once, under a lock."""

from __future__ import annotations

from importlib import resources

from penstock.ground.clock import Clock
from penstock.ground.errors import Conflict
from penstock.store.database import Database, Session, single

_TABLE = """
CREATE TABLE IF NOT EXISTS penstock_migrations (
    version {big} NOT NULL PRIMARY KEY, name {text} NOT NULL, applied_ms {big} NOT NULL)
"""
_FOREIGN = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'",
    "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'alembic_version'",
}


def list_migrations() -> tuple[tuple[int, str, str], ...]:
    """Every migration as (version, file name, SQL), oldest first."""
    folder = resources.files("penstock.store").joinpath("migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return tuple((int(name[:4]), name, folder.joinpath(name).read_text(encoding="utf-8")) for name in names)


def migrate(database: Database, *, clock: Clock, up_to: int | None = None) -> int:
    """The schema version after applying what was missing. Two processes may call this at once.

    Raises Conflict when the database belongs to MLflow, or to a newer Penstock than this one.
    """
    wanted = [entry for entry in list_migrations() if up_to is None or entry[0] <= up_to]

    def work(session: Session) -> int:
        _refuse_foreign(session)
        session.run(_TABLE)
        done = set(single(session.rows("SELECT version FROM penstock_migrations")))
        _refuse_newer(done, wanted[-1][0] if up_to is None else max(done, default=0))
        for version, name, sql in wanted:
            if version not in done:
                _apply(session, version, name, sql, clock.now_ms())
        return max(done | {version for version, _, _ in wanted})

    return database.migrate(work)


def _apply(session: Session, version: int, name: str, sql: str, now_ms: int) -> None:
    lines = [line for line in sql.splitlines() if not line.lstrip().startswith("--")]
    session.script("\n".join(lines))
    session.run(
        "INSERT INTO penstock_migrations (version, name, applied_ms) VALUES (:version, :name, :now_ms)",
        {"version": version, "name": name, "now_ms": now_ms},
    )


def _refuse_foreign(session: Session) -> None:
    if session.row(_FOREIGN[session.dialect.name]) is not None:
        raise Conflict(
            "This database was made by MLflow.", fix="Give another database, then copy it over with 'penstock import'."
        )


def _refuse_newer(done: set[int], newest: int) -> None:
    if done and max(done) > newest:
        raise Conflict(
            f"The database has schema version {max(done)}; this Penstock knows versions up to {newest}.",
            fix="Upgrade Penstock, or give another database.",
        )
