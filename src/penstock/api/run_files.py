"""The fluent functions for a run's artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from penstock.api.active import client
from penstock.api.running import run_in_force
from penstock.artifacts.paths import artifact_path as clean_path
from penstock.artifacts.streams import Source


def log_artifact(local_path: str | Path, artifact_path: str | None = None, run_id: str | None = None) -> None:
    """Uploads a file (or a folder, under its own name) into the run's folder ``artifact_path``."""
    client().log_artifact(run_in_force(run_id), local_path, artifact_path)


def log_artifacts(local_dir: str | Path, artifact_path: str | None = None, run_id: str | None = None) -> None:
    """Uploads every file below ``local_dir`` into the run's folder ``artifact_path``."""
    client().log_artifacts(run_in_force(run_id), local_dir, artifact_path)


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Keeps ``text`` as the artifact ``artifact_file``, in UTF-8."""
    client().log_text(run_in_force(run_id), text, artifact_file)


def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Keeps ``dictionary`` as YAML if the name ends in .yml or .yaml, else as JSON."""
    client().log_dict(run_in_force(run_id), dictionary, artifact_file)


def log_figure(figure: Any, artifact_file: str, *, save_kwargs: dict[str, Any] | None = None) -> None:
    """Keeps a matplotlib or plotly figure; the name's ending chooses the format."""
    client().log_figure(run_in_force(), figure, artifact_file, save_kwargs=save_kwargs)


def log_image(image: Any, artifact_file: str) -> None:
    """Keeps an image: a PIL image, or an array of shape (height, width[, channels])."""
    client().log_image(run_in_force(), image, artifact_file)


def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Adds rows (a dictionary of columns, or a frame) to a table kept as JSON in pandas' split form."""
    client().log_table(run_in_force(run_id), data, artifact_file)


def log_stream(stream: Source, artifact_file: str, run_id: str | None = None) -> None:
    """Keeps what ``stream`` gives as the artifact ``artifact_file``."""
    client().log_stream(run_in_force(run_id), stream, artifact_file)


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """Where the open run keeps its artifacts, or the one at ``artifact_path``."""
    run = client().get_run(run_in_force())
    return f"{run.info.artifact_uri}/{clean_path(artifact_path)}" if artifact_path else run.info.artifact_uri
