"""An object becomes a model folder: whole or not at all."""

from __future__ import annotations

import datetime
import pickle
import platform
import secrets
import shutil
import uuid
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from msgspec import Struct

from penstock.ground.errors import AlreadyExists, InvalidInput, PenstockError
from penstock.ground.files import ensure_directory, remove_tree, storage_errors, write_atomically
from penstock.models.document import FILE_NAME, FORMAT_VERSION, PYTHON_FUNCTION, MLmodel
from penstock.models.environment import capture_environment
from penstock.models.example import write_example
from penstock.models.flavors.protocol import Saved
from penstock.models.flavors.table import flavor_of_model, get_flavor
from penstock.models.folder import CONDA, PYTHON_ENV, ModelFolder, read_model_folder
from penstock.models.imports import python_files, source_imports
from penstock.models.load import load_model
from penstock.models.pickling import RecordingPickle, modules_of, pickled
from penstock.models.signature import Signature, infer_signature
from penstock.models.trust import TRUSTED

CODE = "code"


class _Packing(Struct, frozen=True):
    folder: Path
    options: Mapping[str, Any]

    def pickle(self, model: Any, name: str, *, protocol: str = "cloudpickle") -> frozenset[str]:
        content, modules = pickled(model)
        write_atomically(self.folder / name, content if protocol == "cloudpickle" else pickle.dumps(model))
        return modules | {"cloudpickle"} if protocol == "cloudpickle" else modules

    def recording(self) -> RecordingPickle:
        return RecordingPickle()

    def modules_of(self, model: Any) -> frozenset[str]:
        return modules_of(model)


def save_model(
    model: Any,
    path: Path | str,
    *,
    flavor: str | None = None,
    signature: Signature | bool | None = None,
    input_example: Any = None,
    pip_requirements: Sequence[str] | str | Path | None = None,
    extra_pip_requirements: Sequence[str] | str | Path | None = None,
    code_paths: Sequence[str | Path] = (),
    metadata: Mapping[str, Any] | None = None,
    **options: Any,
) -> ModelFolder:
    """The folder written at ``path`` in MLflow's format. Nothing appears there unless all of it is written.

    ``flavor`` is told from the model when it is None. With an ``input_example`` and no ``signature``, the signature is
    inferred from the example and what the saved model answers to it; ``signature=False`` leaves it out.
    ``options`` are the flavor's own (sklearn: ``serialization_format``, ``pyfunc_predict_fn``; pyfunc: ``artifacts``,
    ``model_config``). Raises AlreadyExists when ``path`` holds something, InvalidInput for what cannot be saved.
    """
    target = Path(path)
    _check_free(target)
    partial = ensure_directory(target.parent) / f".{target.name}.{secrets.token_hex(6)}.partial"
    name = flavor or flavor_of_model(model)
    try:
        ensure_directory(partial)
        saved = get_flavor(name).save(model, _Packing(partial, options))
        local = _copy_code(code_paths, partial)
        _write_document(partial, name, saved, bool(code_paths), metadata)
        found = _describe(partial, signature, input_example)
        frames = found is not None and found.inputs is not None and found.inputs.columns and not saved.takes_arrays
        capture_environment(
            saved.modules | source_imports(python_files(partial / CODE)),
            always=("pandas",) if frames else (),
            pip_requirements=pip_requirements,
            extra_pip_requirements=extra_pip_requirements,
            local=local,
        ).with_wheels(partial).write(partial)
        with storage_errors(target):
            partial.rename(target)
    except BaseException:
        remove_tree(partial)
        raise
    return read_model_folder(target)


def rewrite(folder: ModelFolder, **fields: Any) -> ModelFolder:
    """The folder with these top-level fields of MLmodel set, e.g. ``run_id`` and ``model_id`` once they are known."""
    _write(folder.path, folder.document.with_fields(**fields))
    return read_model_folder(folder.path)


def _check_free(target: Path) -> None:
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise AlreadyExists(f"{target} already exists.", fix="Give a new path, or remove it first.")


def _copy_code(code_paths: Sequence[str | Path], folder: Path) -> frozenset[str]:
    """Copies files and packages into ``code/``; gives the top-level modules they make importable."""
    for each in code_paths:
        source = Path(each)
        if not source.exists():
            raise InvalidInput(f"code_paths names {source}, which does not exist.", fix="Correct the path.")
        target = ensure_directory(folder / CODE) / source.resolve().name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        else:
            shutil.copy2(source, target)
    directory = folder / CODE
    return frozenset(entry.stem for entry in directory.iterdir()) if directory.is_dir() else frozenset()


def _write_document(folder: Path, name: str, saved: Saved, has_code: bool, metadata: Mapping[str, Any] | None) -> None:
    code = CODE if has_code else None
    generic = {
        "env": {"conda": CONDA, "virtualenv": PYTHON_ENV},
        "python_version": platform.python_version(),
        **saved.python_function,
        **({"code": code} if code else {}),
    }
    own = {} if saved.config is None else {name: {**saved.config, "code": code}}
    table: dict[str, Any] = {
        "flavors": {PYTHON_FUNCTION: generic, **own},
        "mlflow_version": FORMAT_VERSION,
        "model_id": None,
        "model_size_bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        "model_uuid": uuid.uuid4().hex,
        **_own_version(),
        "prompts": None,
        "utc_time_created": str(datetime.datetime.now(datetime.UTC).replace(tzinfo=None)),
        **({"metadata": dict(metadata)} if metadata else {}),
    }
    _write(folder, MLmodel(table))


def _own_version() -> dict[str, str]:
    """Which Penstock wrote the folder; nothing where it runs from bare sources, as inside an image."""
    with suppress(PackageNotFoundError):
        return {"penstock_version": version("penstock")}
    return {}


def _write(folder: Path, document: MLmodel) -> None:
    write_atomically(folder / FILE_NAME, document.to_yaml().encode())


def _describe(folder: Path, signature: Signature | bool | None, example: Any) -> Signature | None:
    """The signature, added to the folder with the example; warns about what is missing and how to add it."""
    fields: dict[str, Any] = {}
    if example is not None:
        fields["saved_input_example_info"] = write_example(example, folder)
        signature = _inferred(folder, example) if signature is None else signature
    if isinstance(signature, Signature):
        flags = {"is_signature_from_type_hint": False, "type_hint_from_example": False}
        fields |= {"signature": signature.to_dict(), **flags}
    elif signature is None:
        warnings.warn(
            "The model has no signature, so its input cannot be checked. Pass input_example=X[:2] and it is inferred, "
            "or signature=infer_signature(X, model.predict(X)); signature=False says that none is wanted.",
            stacklevel=4,
        )
    _write(folder, read_model_folder(folder).document.with_fields(**fields))
    return signature if isinstance(signature, Signature) else None


def _inferred(folder: Path, example: Any) -> Signature | None:
    """The signature of the example and of the saved model's answer to it: which proves that the folder loads."""
    data, params = example if isinstance(example, tuple) else (example, None)
    if params:
        declared = infer_signature(params=params).to_dict()
        _write(folder, read_model_folder(folder).document.with_fields(signature=declared))
    try:
        output = load_model(folder, trust=TRUSTED).predict(data, params)
    except PenstockError as error:
        warnings.warn(f"No signature was inferred, for the model failed on its input example: {error}", stacklevel=5)
        return None
    try:
        return infer_signature(data, output, params)
    except InvalidInput as error:
        warnings.warn(f"The signature has no outputs, for they cannot be described: {error}", stacklevel=5)
        return infer_signature(data, None, params)
