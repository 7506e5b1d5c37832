"""A model folder -> an image: base, packages, serving program, model; the same input gives the same digest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from penstock.ground.errors import EnvironmentMismatch
from penstock.ground.progress import SILENT, Progress
from penstock.ground.version import __version__
from penstock.images import program
from penstock.images.bases.base import Base
from penstock.images.bases.choose import ensure_base
from penstock.images.contents import LOCK_PATH, SBOM_PATH
from penstock.images.model import MODEL_PATH, ModelFiles, model_labels, read_model_files
from penstock.images.sbom import ensure_sbom
from penstock.images.target import Target, build_target, host_python
from penstock.images.wheels.fetch import fetch
from penstock.images.wheels.kept import resolve_for_model
from penstock.images.wheels.layers import ensure_wheel_layers
from penstock.images.wheels.lock import Lock
from penstock.images.wheels.place import VENV
from penstock.models.folder import ModelFolder
from penstock.oci.cache import BlobCache
from penstock.oci.client import RegistryClient
from penstock.oci.image import Image
from penstock.oci.layer import LayerBlob, LayerEntry, write_layer
from penstock.oci.types import RuntimeConfig

_PROGRAM_LAYOUT = "program-1"  # goes up with every change to what the same program becomes


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to build. ``python`` None is the model's own; ``refresh`` asks package sources anew instead of what is kept;
    ``lock`` is used instead of resolving; ``version`` ("iris/3") is the registered one that the model is known as;
    without ``with_model`` the image waits for a model under /opt/ml/model.
    """

    base: str = "auto"
    platform: str = "linux/amd64"
    python: str | None = None
    with_model: bool = True
    apt_sources: str | None = None
    gpu: bool = False
    refresh: bool = False
    lock: Lock | None = None
    version: str = ""


class BuiltImage(msgspec.Struct, frozen=True, kw_only=True):
    """An image and what went into it. ``remarks`` is what the builder should know."""

    image: Image
    target: Target
    lock: Lock
    base: Base
    model_digest: str
    sbom: bytes
    remarks: tuple[str, ...] = ()


def build_image(
    folder: ModelFolder,
    *,
    options: BuildOptions | None = None,
    cache_dir: Path,
    registry: RegistryClient | None = None,
    progress: Progress = SILENT,
) -> BuiltImage:
    """The image that serves the model in ``folder``; what the cache holds of it is not made again.

    ``registry`` pulls the base, if it is a registry's; by default with what ``docker login`` left.

    Raises EnvironmentMismatch when the Python or a requirement cannot be met, Unavailable without a network,
    IntegrityError for bytes that are not the promised ones, StorageFailed for a full disk.
    """
    how = options or BuildOptions()
    target = build_target(target_python(folder, how.python), platform=how.platform, gpu=how.gpu)
    blobs = BlobCache(cache_dir / "oci")
    with progress.phase("Resolve packages"):
        lock = how.lock or resolve_for_model(
            folder.path, image_requirements(folder), target, cache_dir=cache_dir, refresh=how.refresh
        )
        check_gpu(lock)
    paths = fetch(lock, cache_dir=cache_dir, progress=progress)
    base = ensure_base(
        how.base, target, apt_sources=how.apt_sources, cache_dir=cache_dir, blobs=blobs, refresh=how.refresh,
        registry=registry, progress=progress,
    )  # fmt: skip
    packages = ensure_wheel_layers(lock, paths, interpreter=base.interpreter, blobs=blobs, progress=progress)
    with progress.phase("Add program and model"):
        files = read_model_files(folder)
        sbom = ensure_sbom(lock, paths, base, cache_dir=cache_dir)
        layers = [(group.note, layer) for group, layer in packages]
        layers += own_layers(base, lock, sbom, files if how.with_model else None, blobs)
        image = base.image.append([layer for _, layer in layers], notes=[note for note, _ in layers])
        labels = image_labels(base, lock) | (
            model_labels(folder, files.digest, version=how.version) if how.with_model else {}
        )
        image = image.configured(runtime_config(base, labels))
    return BuiltImage(
        image=image, target=target, lock=lock, base=base, model_digest=files.digest, sbom=sbom, remarks=base.remarks
    )


def target_python(folder: ModelFolder, asked: str | None) -> str:
    """The image's Python: the model's own. Raises EnvironmentMismatch when another one was asked for."""
    own = folder.python_version
    if own is None:
        return asked or host_python()
    if asked is not None and _minor(asked) != _minor(own):
        raise EnvironmentMismatch(
            f"The model was made with Python {own}, and an image with Python {asked} was asked for.",
            fix=f"Use Python {_minor(own)}; pickled models do not move between minor versions.",
        )
    return own


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def image_requirements(folder: ModelFolder) -> tuple[str, ...]:
    """The model's requirements and the serving program's, to be resolved together.

    mlflow, which MLflow lists for every model, is among them only where the model's own code may import it.
    """
    return (*folder.serving_requirements(), *program.REQUIREMENTS)


def check_gpu(lock: Lock) -> None:
    """Refuses gigabytes of CUDA libraries in an image for a CPU. Raises EnvironmentMismatch."""
    names = [wheel.name for wheel in lock.wheels if wheel.name.startswith(("nvidia-", "cuda-"))]
    if names and not lock.target.gpu:
        raise EnvironmentMismatch(
            f"The requirements bring CUDA libraries ({', '.join(names[:3])} and so on) that only a GPU can use.",
            fix="Pass --gpu for a GPU instance, or require CPU wheels (such as torch==VERSION+cpu from a CPU index).",
        )


def own_layers(
    base: Base, lock: Lock, sbom: bytes, model: ModelFiles | None, blobs: BlobCache
) -> Iterator[tuple[str, LayerBlob]]:
    """The layers above the packages: the serving program, what the image holds, and the model last."""
    yield f"program: penstock {__version__} serving", program_layer(base, blobs)
    about = [
        LayerEntry(name=LOCK_PATH, content=lock.requirements_text()),
        LayerEntry(name=SBOM_PATH, content=sbom),
    ]
    yield "bill of materials: lock and SBOM", write_layer(about, blobs)
    if model is not None:
        yield f"model: {model.digest[:12]}", write_layer(model.entries(), blobs, key=f"model-1 {model.digest}")


def program_layer(base: Base, blobs: BlobCache) -> LayerBlob:
    """The layer of the serving program on the base's Python."""
    files, interpreter = program.program_files(), base.interpreter
    compiled = interpreter.version if interpreter else "no bytecode"
    key = f"{_PROGRAM_LAYOUT} {base.target.python} {base.python_path} {compiled} {program.program_digest(files)}"
    with tempfile.TemporaryDirectory(prefix="penstock-") as scratch:
        entries = program.program_entries(
            files, base.target, python_path=base.python_path, interpreter=interpreter, scratch=Path(scratch)
        )
        return write_layer(entries, blobs, key=key)


def image_labels(base: Base, lock: Lock) -> dict[str, str]:
    """Labels that SageMaker asks for, and those of the image's origin."""
    return {
        "com.amazonaws.sagemaker.capabilities.accept-bind-to-port": "true",
        "com.amazonaws.sagemaker.capabilities.multi-models": "true",
        "org.opencontainers.image.base.name": base.name,
        "org.opencontainers.image.base.digest": base.digest,
        "penstock.version": __version__,
        "penstock.python": lock.target.python,
        "penstock.lock": f"sha256:{lock.digest()}",
    }


def runtime_config(base: Base, labels: dict[str, str]) -> RuntimeConfig:
    """How a container of the image starts: ``IMAGE serve`` runs the server, as SageMaker asks; the user stays root.

    Bytecode is there already, so none is written: the image runs on a read-only root and as any user.
    """
    own = base.image.config.runtime
    env = dict(line.partition("=")[::2] for line in own.env or ())
    env["PATH"] = f"/{VENV}/bin:{env.get('PATH', '/usr/local/bin:/usr/bin:/bin')}"
    env |= {"VIRTUAL_ENV": f"/{VENV}", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    env["PENSTOCK_MODEL_PATH"] = f"/{MODEL_PATH}"
    return RuntimeConfig(
        env=tuple(f"{name}={value}" for name, value in env.items()),
        entrypoint=program.ENTRYPOINT,
        cmd=program.COMMAND,
        exposed_ports={"8080/tcp": {}},
        labels={**(own.labels or {}), **labels},
        working_dir="/",
    )
