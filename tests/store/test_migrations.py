"""Migrations: each once, from every earlier version, by two processes at a time, and never on a stranger's database."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from pathlib import Path

import pytest

from penstock.ground.clock import SYSTEM_CLOCK
from penstock.ground.errors import Conflict, InvalidInput, PenstockError, StorageFailed
from penstock.store.database import Database, Session
from penstock.store.migrations import list_migrations, migrate
from penstock.store.open import open_store
from penstock.store.sqlite import SqliteDatabase

NEWEST = list_migrations()[-1][0]


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Database:
    if request.param == "sqlite":
        return SqliteDatabase(tmp_path / "store.db")
    import psycopg

    from penstock.store.postgres import PostgresDatabase

    cluster = request.getfixturevalue("postgres_cluster")
    name = f"m{secrets.token_hex(6)}"
    with psycopg.connect(f"{cluster}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    return PostgresDatabase(f"{cluster}/{name}")


def test_the_files_are_numbered_without_a_gap() -> None:
    assert [version for version, _, _ in list_migrations()] == list(range(1, NEWEST + 1))


@pytest.mark.parametrize("earlier", range(1, NEWEST + 1))
def test_every_earlier_version_is_brought_up_and_keeps_its_rows(database: Database, earlier: int) -> None:
    assert migrate(database, clock=SYSTEM_CLOCK, up_to=earlier) == earlier
    insert = (
        "INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time_ms, last_update_time_ms) "
        "VALUES ('kept', 'x', 'active', 1, 1)"
    )
    database.write(lambda session: session.run(insert))
    assert migrate(database, clock=SYSTEM_CLOCK) == NEWEST
    assert migrate(database, clock=SYSTEM_CLOCK) == NEWEST
    assert database.read(lambda session: session.rows("SELECT name FROM experiments")) == [("kept",)]
    database.close()


def test_several_that_start_at_once_apply_each_migration_once(database: Database) -> None:
    threads = [threading.Thread(target=lambda: migrate(database, clock=SYSTEM_CLOCK)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = database.read(lambda session: session.rows("SELECT version FROM penstock_migrations ORDER BY version"))
    assert rows == [(version,) for version in range(1, NEWEST + 1)]
    database.close()


def test_a_newer_schema_is_refused(database: Database) -> None:
    migrate(database, clock=SYSTEM_CLOCK)
    insert = "INSERT INTO penstock_migrations (version, name, applied_ms) VALUES (999, 'x', 1)"
    database.write(lambda session: session.run(insert))
    with pytest.raises(Conflict, match="schema version 999"):
        migrate(database, clock=SYSTEM_CLOCK)
    database.close()


def test_a_database_of_mlflow_is_refused_with_the_way_out(database: Database) -> None:
    database.write(lambda session: session.run("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
    with pytest.raises(Conflict, match="penstock import"):
        migrate(database, clock=SYSTEM_CLOCK)
    database.close()


def test_a_failing_write_leaves_nothing(database: Database) -> None:
    migrate(database, clock=SYSTEM_CLOCK)

    def half(session: Session) -> None:
        session.run("INSERT INTO registered_models VALUES ('m', 1, 1, '')")
        raise InvalidInput("stop")

    with pytest.raises(InvalidInput):
        database.write(half)
    assert database.read(lambda session: session.rows("SELECT name FROM registered_models")) == []
    database.close()


@pytest.mark.parametrize("uri", ["mysql://x/y", "sqlite://", "sqlite:///", "", "file:/x", "postgres"])
def test_other_uris_are_refused(uri: str) -> None:
    with pytest.raises(InvalidInput, match="store URI"):
        open_store(uri)


def test_a_file_that_is_no_database_and_a_folder_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello " * 1000)
    with pytest.raises(StorageFailed, match="not a usable SQLite database"):
        open_store(f"sqlite:///{text}")
    with pytest.raises(PenstockError):
        open_store(f"sqlite:///{tmp_path}")


def test_a_full_disk_is_named_and_the_store_goes_on_reading(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'store.db'}") as store:
        run_id = store.tracking.create_run("0").info.run_id
        pages = store.database.read(lambda session: session.rows("PRAGMA page_count"))[0][0]
        store.database.write(lambda session: session.rows(f"PRAGMA max_page_count = {pages}"))

        def fill() -> None:
            for index in range(1000):
                store.tracking.create_experiment(f"e{index}" * 50)

        with pytest.raises(StorageFailed, match="Free some disk space"):
            fill()
        assert store.tracking.get_run(run_id).info.run_id == run_id


def test_a_locked_database_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_store(f"sqlite:///{path}") as store:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        released = threading.Timer(0.3, lambda: other.execute("ROLLBACK"))
        released.start()
        assert store.tracking.create_experiment("patient")
        released.join()
        other.close()


def test_a_lost_postgres_connection_is_taken_up_again(request: pytest.FixtureRequest) -> None:
    import psycopg

    cluster = request.getfixturevalue("postgres_cluster")
    name = f"l{secrets.token_hex(6)}"
    with psycopg.connect(f"{cluster}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        with open_store(f"{cluster}/{name}") as store:
            run_id = store.tracking.create_run("0").info.run_id
            cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            admin.execute(cut, [name])
            assert store.tracking.get_run(run_id).info.run_id == run_id
            attempts = 0

            def work(session: Session) -> int:
                nonlocal attempts
                attempts += 1
                session.run("INSERT INTO registered_models VALUES (:name, 1, 1, '')", {"name": f"m{attempts}"})
                if attempts == 1:
                    admin.execute(cut, [name])
                return session.run("INSERT INTO registered_models VALUES (:name, 1, 1, '')", {"name": f"n{attempts}"})

            store.database.write(work)
            rows = store.database.read(lambda session: session.rows("SELECT name FROM registered_models ORDER BY name"))
            assert (attempts, rows) == (2, [("m2",), ("n2",)])
