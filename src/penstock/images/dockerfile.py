"""The same image as a Dockerfile and its context, for those who must build with a container engine."""

from __future__ import annotations

import shutil
from pathlib import Path

from penstock.ground.errors import AlreadyExists
from penstock.ground.files import ensure_directory, storage_errors, write_atomically
from penstock.images import program
from penstock.images.bases.base import Base
from penstock.images.model import MODEL_PATH, ModelFiles
from penstock.images.wheels.lock import Lock

_TEMPLATE = """\
# The image that `penstock build` makes without an engine, as near as a Dockerfile comes: the packages by hash, the
# same program and model. Its digest changes with every build, and pip, a shell and more stay in its base.
FROM --platform={platform} {base}
COPY requirements.lock /opt/venv/requirements.lock
RUN python{python} -m venv /opt/venv \\
 && /opt/venv/bin/python -m pip install --no-cache-dir --no-deps --require-hashes -r /opt/venv/requirements.lock
COPY program/ /opt/venv/lib/python{python}/site-packages/
COPY model/ /{model_path}/
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PENSTOCK_MODEL_PATH=/{model_path}
EXPOSE 8080
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \\
 com.amazonaws.sagemaker.capabilities.multi-models=true
ENTRYPOINT ["{entrypoint}"]
CMD ["{command}"]
"""


def dockerfile(lock: Lock, base_name: str) -> str:
    """The text of the Dockerfile. Debian packages have no name in a registry: the slim Python image stands for them."""
    debian = base_name in ("auto", "debian") or base_name.startswith("debian:")
    return _TEMPLATE.format(
        base=f"python:{lock.target.python}-slim" if debian else base_name,
        platform=lock.target.platform,
        python=lock.target.python,
        model_path=MODEL_PATH,
        entrypoint='", "'.join(program.ENTRYPOINT),
        command='", "'.join(program.COMMAND),
    )


def write_context(directory: Path, lock: Lock, base: Base, model: ModelFiles) -> str:
    """Fills the new folder ``directory`` with the Dockerfile and all it copies, and gives the Dockerfile's text."""
    if directory.exists() and any(directory.iterdir()):
        raise AlreadyExists(f"{directory} is not empty.", fix="Give a new folder for the build context.")
    text = dockerfile(lock, base.name)
    write_atomically(ensure_directory(directory) / "Dockerfile", text.encode())
    write_atomically(directory / "requirements.lock", lock.requirements_text())
    for name, content in program.program_files().items():
        write_atomically(directory / "program" / name, content)
    for name, path in model.files.items():
        target = directory / "model" / name
        ensure_directory(target.parent)
        with storage_errors(target):
            shutil.copyfile(path, target)
    return text
