"""A model folder as a value: its MLmodel, its requirements, its Python, its example. Reading it loads no model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from penstock.ground.errors import InvalidInput, ModelFolderInvalid
from penstock.ground.files import inside
from penstock.models.document import FILE_NAME, PYTHON_FUNCTION, MLmodel
from penstock.models.example import InputExample, read_example
from penstock.models.signature import Signature

REQUIREMENTS = "requirements.txt"
CONDA = "conda.yaml"
PYTHON_ENV = "python_env.yaml"
WHEELS = "wheels"
_IMAGE_LOCK = re.compile(r"requirements-linux-[a-z0-9-]+\.lock")
_MLFLOW = re.compile(r"mlflow(-skinny)?\s*(\[.*?\])?\s*([=<>!~;@].*)?$", re.IGNORECASE)


def is_image_lock(name: str) -> bool:
    """Whether the file of that name only says which packages the model's last image had: it is no part of the model."""
    return _IMAGE_LOCK.fullmatch(name) is not None


class ModelFolder(Struct, frozen=True):
    """A directory that holds a model, in MLflow's format."""

    path: Path
    document: MLmodel

    @property
    def signature(self) -> Signature | None:
        return self.document.signature

    def file(self, relative: Any) -> Path:
        """The path of something MLmodel names. Raises ModelFolderInvalid when it leads outside or is not there."""
        if not isinstance(relative, str) or not relative:
            raise ModelFolderInvalid(f"MLmodel names a file as {relative!r}.", fix="Save the model again.")
        try:
            found = inside(self.path, relative)
        except InvalidInput as error:
            raise ModelFolderInvalid(f"MLmodel names a path outside its folder: {relative!r}.") from error
        if not found.exists():
            raise ModelFolderInvalid(f"MLmodel names {relative!r}, which is not in {self.path}.", fix="Copy all of it.")
        return found

    def requirements(self) -> tuple[str, ...]:
        """The lines of requirements.txt (or of conda.yaml's pip part), without comments; empty when there are none."""
        file = self.path / REQUIREMENTS
        if file.is_file():
            return _lines(file.read_text(encoding="utf-8"))
        return _conda_requirements(self.path / CONDA)

    def serving_requirements(self) -> tuple[str, ...]:
        """What a server of it needs: ``requirements()`` without mlflow, and what the compiled form needs if it has one.

        MLflow lists itself for every model; only Python models (``python_function`` alone) may import it, and keep it.
        """
        lines = self.requirements()
        if not self.is_python_model:
            lines = tuple(line for line in lines if not _MLFLOW.fullmatch(line))
        compiled = self.path / "optimized" / REQUIREMENTS
        more = _lines(compiled.read_text(encoding="utf-8")) if compiled.is_file() else ()
        lines = tuple(self._located(line) for line in lines)
        named = {_requirement_name(line) for line in lines}
        return (*lines, *(line for line in more if _requirement_name(line) not in named))

    def _located(self, line: str) -> str:
        """``line``, or for a wheel that lies in the folder its name and its place on this machine."""
        if not line.startswith(f"{WHEELS}/"):
            return line
        wheel = self.file(line)
        return f"{wheel.name.partition('-')[0]} @ {wheel.resolve().as_uri()}"

    @property
    def is_python_model(self) -> bool:
        """Whether the model is code of its own rather than one library's object."""
        return all(name == PYTHON_FUNCTION for name in self.document.flavors)

    @property
    def python_version(self) -> str | None:
        """The Python it was made with, e.g. "3.11.7"; None when the folder does not say."""
        stated = self.document.flavors.get(PYTHON_FUNCTION, {}).get("python_version")
        return str(stated) if stated else _python_env_version(self.path / PYTHON_ENV)

    def input_example(self) -> InputExample | None:
        """The input example, or None. Raises ModelFolderInvalid when its file is missing or unreadable."""
        info = self.document.example_info
        return None if info is None else read_example(self.file(info.get("artifact_path")), info)


def read_model_folder(path: Path) -> ModelFolder:
    """The model folder at ``path``; no model is loaded, no code is run. Raises ModelFolderInvalid."""
    file = path / FILE_NAME
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise ModelFolderInvalid(
            f"{path} holds no MLmodel file.", fix="Give the directory that save_model or log_model wrote."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelFolderInvalid(f"{file} cannot be read: {error}.", fix="Make it a readable text file.") from error
    return ModelFolder(path, MLmodel.from_yaml(text))


def _requirement_name(line: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", line, maxsplit=1)[0]).lower()


def _lines(text: str) -> tuple[str, ...]:
    joined = text.replace("\\\n", " ")
    stripped = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in joined.splitlines())
    return tuple(line for line in stripped if line)


def _yaml_table(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        table = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelFolderInvalid(f"{file} is not YAML.", fix="Save the model again.") from error
    return table if isinstance(table, dict) else {}


_TOOLS = ("python", "pip", "setuptools", "wheel")


def _conda_requirements(file: Path) -> tuple[str, ...]:
    """The pip lines, and conda's own ``name=version`` as pins: before 1.12 MLflow wrote scikit-learn that way."""
    lines: list[str] = []
    for entry in _yaml_table(file).get("dependencies") or ():
        if isinstance(entry, dict):
            lines.extend(str(line) for line in entry.get("pip") or ())
        elif (match := re.fullmatch(r"([\w.-]+)(?:\s*=+\s*([\w.]+).*)?", str(entry))) and match[1] not in _TOOLS:
            lines.append(f"{match[1]}=={match[2]}" if match[2] else match[1])
    return tuple(lines)


def _python_env_version(file: Path) -> str | None:
    stated = _yaml_table(file).get("python")
    if stated is None:
        for entry in _yaml_table(file.with_name(CONDA)).get("dependencies") or ():
            if isinstance(entry, str) and (match := re.fullmatch(r"python\s*=+\s*([\d.]+)", entry)):
                return match[1]
    return None if stated is None else str(stated)
