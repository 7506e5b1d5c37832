"""Rows of model versions -> values."""

from __future__ import annotations

from collections.abc import Sequence

from penstock.ground.entities import ModelVersion, Tag
from penstock.store.database import Row, Session
from penstock.store.queries import Queries

SQL = Queries("registry")


def version_of(row: Row, *, tags: Sequence[Tag] = (), aliases: Sequence[str] = ()) -> ModelVersion:
    """The version that a row of ``search/vocabulary.py``'s columns describes."""
    return ModelVersion(
        name=row[0],
        version=row[1],
        creation_time_ms=row[2],
        last_update_time_ms=row[3],
        source=row[4],
        run_id=row[5],
        run_link=row[6],
        model_id=row[7],
        user_id=row[8],
        description=row[9],
        current_stage=row[10],
        status=row[11],
        status_message=row[12],
        tags=tuple(tags),
        aliases=tuple(aliases),
    )


def version_tags(session: Session, names: Sequence[str]) -> dict[tuple[str, int], tuple[Tag, ...]]:
    """The tags of every version of these registered models, by (name, version)."""
    tags: dict[tuple[str, int], tuple[Tag, ...]] = {}
    for name, version, key, value in session.rows(SQL.version_tags, {"names": list(names)}):
        tags[name, version] = (*tags.get((name, version), ()), Tag(key=key, value=value))
    return tags


def with_data(session: Session, rows: Sequence[Row]) -> list[ModelVersion]:
    """The versions of ``rows`` with their tags and aliases."""
    names = sorted({row[0] for row in rows})
    tags = version_tags(session, names)
    aliases: dict[tuple[str, int], list[str]] = {}
    for name, alias, version in session.rows(SQL.aliases, {"names": names}):
        aliases.setdefault((name, version), []).append(alias)
    return [
        version_of(row, tags=tags.get((row[0], row[1]), ()), aliases=aliases.get((row[0], row[1]), ())) for row in rows
    ]
