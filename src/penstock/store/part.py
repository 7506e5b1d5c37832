"""What every part of the store holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from penstock.ground.clock import Clock
from penstock.store.database import Database, Session

TAG_RUN_NAME = "mlflow.runName"
TAG_USER = "mlflow.user"


class Part:
    """A noun of the store: its database, its clock, and where artifacts go when nobody says otherwise."""

    def __init__(self, database: Database, *, clock: Clock, artifact_root: str) -> None:
        self.database = database
        self.clock = clock
        self.artifact_root = artifact_root.rstrip("/") if artifact_root != "/" else artifact_root


def insert(session: Session, table: str, values: Mapping[str, Any]) -> None:
    """Stores one row; the keys of ``values`` are column names written in our own code."""
    names = ", ".join(values)
    marks = ", ".join(f":{name}" for name in values)
    session.run(f"INSERT INTO {table} ({names}) VALUES ({marks})", values)
