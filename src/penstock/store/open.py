"""The store's door."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from urllib.parse import unquote

from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.errors import InvalidInput
from penstock.store.database import Database
from penstock.store.migrations import migrate
from penstock.store.registry.whole import RegistryStore
from penstock.store.sqlite import SqliteDatabase
from penstock.store.tracking import TrackingStore


class Store:
    """An open database: ``tracking`` and, beside it, the model ``registry``. Safe to share between threads."""

    def __init__(self, database: Database, *, clock: Clock, artifact_root: str) -> None:
        self.database = database
        self.tracking = TrackingStore(database, clock=clock, artifact_root=artifact_root)
        self.registry = RegistryStore(database, clock=clock, artifact_root=artifact_root)

    def close(self) -> None:
        """Closes every connection."""
        self.database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_store(uri: str, *, clock: Clock = SYSTEM_CLOCK, artifact_root: str | None = None) -> Store:
    """The store at ``uri``, its schema up to date and an experiment 'Default' in it.

    ``uri`` is ``sqlite:///relative.db``, ``sqlite:////absolute.db`` or ``postgresql://...``. ``artifact_root`` is where
    experiments keep artifacts unless they say otherwise; without it, ``mlartifacts`` beside the SQLite file or in the
    working directory. Raises InvalidInput for other URIs, StorageFailed, Unavailable, and Conflict when the database
    is MLflow's or of a newer Penstock.
    """
    database, folder = _database(uri)
    try:
        migrate(database, clock=clock)
        store = Store(database, clock=clock, artifact_root=artifact_root or str(folder / "mlartifacts"))
        store.tracking.ensure_default_experiment()
    except BaseException:
        database.close()
        raise
    return store


def _database(uri: str) -> tuple[Database, Path]:
    scheme, _, rest = uri.partition("://")
    base, _, driver = scheme.partition("+")
    if base == "sqlite" and rest.startswith("/") and len(rest) > 1:
        path = Path(unquote(rest[1:].partition("?")[0])).absolute()
        return SqliteDatabase(path), path.parent
    if rest and base in ("postgresql", "postgres") and driver in ("", "psycopg", "psycopg2"):
        return _postgres(f"postgresql://{rest}"), Path.cwd()
    raise InvalidInput(
        f"The store URI {_without_password(uri)!r} is not one that can be opened.",
        fix="Give sqlite:////absolute/path.db or postgresql://user:password@host/database.",
    )


def _postgres(uri: str) -> Database:
    try:
        module = import_module("penstock.store.postgres")  # its driver is an extra
    except ImportError as error:
        raise InvalidInput("PostgreSQL needs psycopg.", fix="pip install 'penstock[postgres]'") from error
    database: Database = module.PostgresDatabase(uri)
    return database


def _without_password(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
