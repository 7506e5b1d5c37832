"""What may befall a database: each trouble is named with its fix, and what was acknowledged before it is kept."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from penstock.ground.clock import SYSTEM_CLOCK
from penstock.ground.entities import Metric, RunStatus
from penstock.ground.errors import PenstockError, StorageFailed, Unavailable
from penstock.server.writer import commit
from penstock.store.database import Uncertain
from penstock.store.migrations import migrate
from penstock.store.open import Store, open_store
from penstock.store.sqlite import SqliteDatabase


def test_a_lock_that_is_not_released_is_named_and_nothing_is_stored(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "store.db", busy_timeout_s=0.05)
    migrate(database, clock=SYSTEM_CLOCK)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    insert = "INSERT INTO registered_models VALUES ('m', 1, 1, '')"
    with pytest.raises(Unavailable, match="locked by another program"):
        database.write(lambda session: session.run(insert))
    assert database.read(lambda session: session.rows("SELECT name FROM registered_models")) == []
    other.execute("ROLLBACK")
    assert database.write(lambda session: session.run(insert)) == 1
    other.close()
    database.close()


def test_a_file_that_can_only_be_read_is_named_and_read(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    open_store(f"sqlite:///{path}").close()
    with path.open("r+b") as file:  # "this format may be read, not written": holds for root too, which a mode does not
        file.seek(18)
        file.write(b"\x03")
    with open_store(f"sqlite:///{path}") as store:
        with pytest.raises(StorageFailed, match="Make the file and its folder writable"):
            store.tracking.create_run("0")
        assert store.tracking.get_experiment("0").name == "Default"


@pytest.mark.parametrize("replaced", [False, True])
def test_a_file_that_is_taken_away_is_named_and_nothing_is_acknowledged(tmp_path: Path, replaced: bool) -> None:
    path, kept = tmp_path / "store.db", tmp_path / "kept.db"
    with open_store(f"sqlite:///{path}") as store:
        run_id = store.tracking.create_run("0").info.run_id
        other = sqlite3.connect(path)
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        other.close()
        path.rename(kept)
        if replaced:
            shutil.copy(kept, path)
        with pytest.raises(StorageFailed, match="removed or replaced"):
            store.tracking.log_batch(run_id, metrics=[Metric(key="a", value=1.0, timestamp_ms=1)])
        kept.replace(path)
        store.tracking.log_batch(run_id, metrics=[Metric(key="a", value=1.0, timestamp_ms=1)])
    with open_store(f"sqlite:///{path}") as store:
        assert [metric.value for metric in store.tracking.get_run(run_id).data.metrics] == [1.0]


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'a' / 'b' / 'store.db'}") as store:
        assert store.tracking.get_experiment("0").name == "Default"


def test_a_missing_and_a_read_only_postgres_database_are_named(request: pytest.FixtureRequest) -> None:
    import psycopg

    cluster = request.getfixturevalue("postgres_cluster")
    name = f"t{secrets.token_hex(6)}"
    with pytest.raises(PenstockError, match="does not exist"):
        open_store(f"{cluster}/{name}")
    with psycopg.connect(f"{cluster}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
        with open_store(f"{cluster}/{name}") as store:
            run_id = store.tracking.create_run("0").info.run_id
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        with pytest.raises(StorageFailed, match="read-only"):
            open_store(f"{cluster}/{name}")
        admin.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
        with open_store(f"{cluster}/{name}") as store:
            assert store.tracking.get_run(run_id).info.run_id == run_id


DIES_IN_COMMIT = """
CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF new.name = 'deadly' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; RETURN new; END $$;
CREATE CONSTRAINT TRIGGER dies AFTER INSERT ON registered_models DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION die();
"""


def test_a_connection_lost_in_a_commit_is_told_and_repeated_by_nobody(request: pytest.FixtureRequest) -> None:
    import psycopg

    cluster, name = request.getfixturevalue("postgres_cluster"), f"t{secrets.token_hex(6)}"
    with psycopg.connect(f"{cluster}/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name}".encode())
    with open_store(f"{cluster}/{name}") as store:
        store.database.write(lambda session: session.script(DIES_IN_COMMIT))
        tries: list[str] = []

        def create(title: str) -> None:
            tries.append(title)
            store.registry.create_registered_model(title)

        outcomes = commit(store, [lambda: create("harmless"), lambda: create("deadly")])
        assert [type(outcome) for outcome in outcomes] == [Uncertain, Uncertain]
        assert tries == ["harmless", "deadly"]
        assert store.registry.search_registered_models().items == ()
        run_id = store.tracking.create_run("0").info.run_id
        with psycopg.connect(f"{cluster}/postgres", autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        # points alone may be repeated: stored twice they are stored once
        store.tracking.log_batch(run_id, metrics=[Metric(key="a", value=1.0, timestamp_ms=1)])
        assert [metric.value for metric in store.tracking.get_run(run_id).data.metrics] == [1.0]


class Backwards:
    """A clock that is set back at every look."""

    def __init__(self) -> None:
        self._now_ms = 1_700_000_000_000

    def now_ms(self) -> int:
        self._now_ms -= 60_000
        return self._now_ms


@pytest.fixture
def skewed(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'store.db'}", clock=Backwards()) as store:
        yield store


def test_a_clock_that_is_set_back_loses_nothing(skewed: Store) -> None:
    tracking = skewed.tracking
    runs = [tracking.create_run("0").info for _ in range(3)]
    newest_first = [run.run_id for run in sorted(runs, key=lambda run: -(run.start_time_ms or 0))]
    assert [run.info.run_id for run in tracking.search_runs(["0"]).items] == newest_first
    pages, token = [], None
    for _ in runs:
        page = tracking.search_runs(["0"], limit=1, page_token=token)
        pages += [run.info.run_id for run in page.items]
        token = page.next_page_token
    assert (pages, token) == (newest_first, None)
    points = [Metric(key="m", value=float(time), timestamp_ms=time, step=3 - time) for time in (3, 1, 2)]
    for point in points:
        tracking.log_batch(runs[0].run_id, metrics=[point])
    assert [point.timestamp_ms for point in tracking.metric_history(runs[0].run_id, "m").items] == [1, 2, 3]
    assert tracking.get_run(runs[0].run_id).data.metrics[0].step == 2  # the latest is the greatest step, not moment
    ended = tracking.update_run(runs[0].run_id, status=RunStatus.FINISHED, end_time_ms=1)
    assert (ended.end_time_ms or 0) < (ended.start_time_ms or 0)
    tracking.delete_run(runs[1].run_id)
    tracking.restore_run(runs[1].run_id)
    assert len(tracking.search_runs(["0"]).items) == 3
