"""How a field of MLflow's GraphQL schema is found in the answer of a REST handler."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from penstock.ground.wire import to_wire
from penstock.server.context import Context

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo

_LARGEST = 1.7976931348623157e308
# GraphQL has no number for these: MLflow shows nothing for NaN, and the largest double for an infinity.
_SPECIAL = {"NaN": None, "Infinity": _LARGEST, "-Infinity": -_LARGEST}
_CHUNK = 200


class Company:
    """What the runs of one answer need beside themselves, read once for all of them."""

    def __init__(self, context: Context, runs: Iterable[Mapping[str, Any]]) -> None:
        self._context = context
        self._run_ids = [run["info"]["run_id"] for run in runs]
        self._experiments: dict[str, Any] = {}
        self._versions: dict[str, list[Any]] | None = None

    def experiment(self, experiment_id: str) -> Any:
        if experiment_id not in self._experiments:
            found = self._context.store.tracking.get_experiment(experiment_id)
            self._experiments[experiment_id] = to_wire(found)
        return self._experiments[experiment_id]

    def versions(self, run_id: str) -> list[Any]:
        """The model versions made from the run."""
        if self._versions is None:
            self._versions = {}
            for start in range(0, len(self._run_ids), _CHUNK):
                self._gather(self._run_ids[start : start + _CHUNK], self._versions)
        return self._versions.get(run_id, [])

    def _gather(self, run_ids: Sequence[str], found: dict[str, list[Any]]) -> None:
        wanted = ", ".join(f"'{run_id}'" for run_id in run_ids)
        page = self._context.store.registry.search_model_versions(filter=f"run_id IN ({wanted})", limit=10_000)
        for version in page.items:
            found.setdefault(version.run_id or "", []).append(to_wire(version))


def accompany(context: Context, answer: dict[str, Any]) -> dict[str, Any]:
    """``answer`` with company for its runs."""
    runs = answer.get("runs") or ([answer["run"]] if "run" in answer else [])
    company = Company(context, runs)
    for run in runs:
        run["company"] = company
    return answer


def resolve(source: Any, info: GraphQLResolveInfo) -> Any:
    """The field's value: under its name in snake case, or what MLflow's protocol has for an absent one."""
    name = info.field_name
    company = source.get("company")
    if company is not None and name == "experiment":
        return company.experiment(source["info"]["experiment_id"])
    if company is not None and name == "modelVersions":
        return company.versions(source["info"]["run_id"])
    value = source.get(name) if name in source else source.get(_snake(name))
    kind = str(info.return_type)
    if value is None:
        return _absent(kind)
    if kind == "LongString":  # 64-bit integers, as text because JavaScript's numbers cannot hold them
        return str(value)
    return _SPECIAL.get(value, value) if kind == "Float" and isinstance(value, str) else value


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", r"_\1", name).lower()


def _absent(kind: str) -> Any:
    if kind.startswith("["):
        return []
    if kind in ("String", "LongString"):
        return "" if kind == "String" else "0"
    return {} if kind.startswith("MlflowRun") and not kind.endswith(("Status", "Extension")) else None
