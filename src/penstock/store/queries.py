"""Named queries: a .sql file per noun, read once.

A query in such a file is::

    -- name: find_run
    -- The run's number, experiment and stage.
    SELECT ... WHERE run_id = :run_id;

and is used as ``RUNS.find_run`` after ``RUNS = Queries("runs")``.
"""

from __future__ import annotations

import re
from functools import cached_property
from importlib import resources

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


class Queries:
    """The queries of ``sql/<noun>.sql`` as attributes. Raises AttributeError for a name that is not in the file."""

    def __init__(self, noun: str) -> None:
        self.noun = noun

    @cached_property
    def texts(self) -> dict[str, str]:
        """Each query's SQL by name, comments removed."""
        source = resources.files("penstock.store").joinpath("sql", f"{self.noun}.sql").read_text(encoding="utf-8")
        parts = _NAME.split(source)[1:]
        return {name: _bare(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}

    def __getattr__(self, name: str) -> str:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            sql = self.texts[name]
        except KeyError:
            raise AttributeError(f"sql/{self.noun}.sql has no query named {name!r}") from None
        self.__dict__[name] = sql
        return sql


def _bare(body: str) -> str:
    lines = [line for line in body.splitlines() if not line.lstrip().startswith("--")]
    return "\n".join(lines).strip().rstrip(";")
