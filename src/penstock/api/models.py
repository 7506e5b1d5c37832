"""Models: saved, logged to a run, and loaded again from wherever they are."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from penstock.api.registering import ModelInfo, finish_model, start_model
from penstock.api.resolve import resolve_model
from penstock.ground.errors import EnvironmentMismatch
from penstock.models import load, pack
from penstock.models.folder import ModelFolder, read_model_folder
from penstock.models.load import LoadedModel
from penstock.models.optimize.verdict import Verdict
from penstock.models.signature import infer_signature
from penstock.models.trust import Trust, trust_from

__all__ = ["infer_signature", "load_model", "log_model", "optimize_model", "save_model"]


def save_model(model: Any, path: str | Path, **options: Any) -> ModelFolder:
    """The model's folder, written whole at ``path``. The options are those of ``log_model`` that say what is saved.

    Raises AlreadyExists when ``path`` holds something, InvalidInput for what cannot be saved.
    """
    return pack.save_model(model, path, **options)


def log_model(
    model: Any,
    name: str | None = None,
    *,
    registered_model_name: str | None = None,
    model_type: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    step: int = 0,
    artifact_path: str | None = None,
    run_id: str | None = None,
    optimize: bool = False,
    **options: Any,
) -> ModelInfo:
    """The model, logged under ``name`` ("model") to the open run, which is started if there is none.

    Its library is told from the model. ``options``: ``signature``, ``input_example``, ``pip_requirements``,
    ``extra_pip_requirements``, ``code_paths``, ``metadata``, ``flavor``, and its own (``serialization_format``,
    ``artifacts``, ...). ``registered_model_name`` registers it as a new version; ``optimize`` compiles it too, as
    ``optimize_model`` does. Nothing is logged unless all of it can be saved.
    """
    with tempfile.TemporaryDirectory(prefix="penstock-model-") as directory:
        folder = pack.save_model(model, Path(directory) / "model", **options)
        if optimize:
            optimize_model(folder.path)
            folder = read_model_folder(folder.path)
        started = start_model(
            name or artifact_path or "model",
            model_type=model_type,
            params=dict(params or {}),
            tags=dict(tags or {}),
            run_id=run_id,
        )
        identity = {"model_id": started.model_id, "model_uuid": started.model_id, "run_id": started.source_run_id}
        pack.rewrite(folder, **identity, artifact_path=started.artifact_location)
        return finish_model(started, folder.path, registered_model_name=registered_model_name, step=step)


def optimize_model(path: str | Path, *, rows: Any = None) -> Verdict:
    """The verdict on a compiled form of the model folder at ``path``, kept in the folder if it is proven equal.

    ``rows`` are real input rows to compare on, by default the input example. The folder then serves small batches with
    the compiled form and large ones with whichever was measured faster. Raises as ``load_model``, and
    EnvironmentMismatch when the converters are not installed.
    """
    try:
        compiler = import_module("penstock.models.optimize.compile")
    except ImportError as error:
        raise EnvironmentMismatch(
            f"Compiling needs {error.name!r}, which is not installed.", fix="pip install penstock[optimize]."
        ) from error
    verdict: Verdict = compiler.optimize(read_model_folder(Path(path)), rows=rows, trust=trust_from())
    return verdict


def load_model(model_uri: str | Path, *, trust: Trust | None = None) -> LoadedModel:
    """The model at a folder or a URI (``runs:/...``, ``models:/name@alias``, ``s3:...``), ready to ``predict``.

    Loading a pickle or a code file runs code of the folder; PENSTOCK_TRUST=data refuses such models. Raises NotFound,
    ModelFolderInvalid, EnvironmentMismatch, Forbidden, ModelFailed.
    """
    return load.load_model(resolve_model(str(model_uri)), trust=trust or trust_from())
