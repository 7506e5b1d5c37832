"""Runs as a pandas frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from penstock.api.views import RunView
from penstock.ground.errors import EnvironmentMismatch

if TYPE_CHECKING:
    import pandas


def runs_frame(runs: Sequence[RunView]) -> pandas.DataFrame:
    """One row a run; times are UTC, and what a run lacks is missing in pandas' own way.

    Raises EnvironmentMismatch without pandas.
    """
    try:
        import pandas  # an extra: everything but this frame works without it
    except ModuleNotFoundError as error:
        raise EnvironmentMismatch(
            "A frame needs pandas, which is not installed.",
            fix="Pass output_format='list', or pip install 'penstock[sklearn]'.",
        ) from error
    columns: dict[str, Any] = {
        "run_id": [run.info.run_id for run in runs],
        "experiment_id": [run.info.experiment_id for run in runs],
        "status": [run.info.status for run in runs],
        "artifact_uri": [run.info.artifact_uri for run in runs],
        "start_time": pandas.to_datetime([run.info.start_time for run in runs], unit="ms", utc=True),
        "end_time": pandas.to_datetime([run.info.end_time for run in runs], unit="ms", utc=True),
    }
    for kind, missing in (("metrics", float("nan")), ("params", None), ("tags", None)):
        columns.update(_columns(kind, [getattr(run.data, kind) for run in runs], missing))
    return pandas.DataFrame(columns)


def _columns(kind: str, rows: Sequence[dict[str, Any]], missing: Any) -> dict[str, list[Any]]:
    keys = sorted({key for row in rows for key in row})
    return {f"{kind}.{key}": [row.get(key, missing) for row in rows] for key in keys}
