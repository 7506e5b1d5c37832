"""One call of MLflow's REST API: entities in, entities out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar

from msgspec import Struct

from penstock.artifacts.web import Site
from penstock.ground.entities import Page
from penstock.ground.wire import from_wire, to_wire

T = TypeVar("T", bound=Struct)
API = "/api/2.0/mlflow/"
OWN_API = "/api/2.0/penstock/"


class Wire:
    """MLflow's API at ``site``. Fields that are None or empty are left out, as MLflow's own client does."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def get(self, path: str, *, api: str = API, **fields: Any) -> dict[str, Any]:
        """The answer to a GET."""
        return self._site.json("GET", api + path, query=_query(fields))

    def post(self, path: str, *, idempotent: bool = True, **fields: Any) -> dict[str, Any]:
        """The answer to a POST; one that is not ``idempotent`` is not sent again once it may have arrived."""
        return self._site.json("POST", API + path, _body(fields), idempotent=idempotent)

    def patch(self, path: str, **fields: Any) -> dict[str, Any]:
        """The answer to a PATCH."""
        return self._site.json("PATCH", API + path, _body(fields))

    def delete(self, path: str, **fields: Any) -> dict[str, Any]:
        """The answer to a DELETE."""
        return self._site.json("DELETE", API + path, _body(fields))

    def close(self) -> None:
        self._site.close()


def read_many(kind: type[T], answer: Mapping[str, Any], field: str) -> tuple[T, ...]:
    """The entities of a list in the answer; an empty list is left out on the wire."""
    return tuple(from_wire(kind, each) for each in answer.get(field, ()))


def read_page(kind: type[T], answer: Mapping[str, Any], field: str) -> Page[T]:
    """The list in the answer as a page."""
    return Page(items=read_many(kind, answer, field), next_page_token=answer.get("next_page_token") or None)


def _body(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _plain(value) for name, value in fields.items() if value is not None and value != () and value != []}


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Struct):
        return to_wire(value)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return value


def _query(fields: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in _body(fields).items():
        for each in value if isinstance(value, list) else (value,):
            yield name, str(each).lower() if isinstance(each, bool) else str(each)
