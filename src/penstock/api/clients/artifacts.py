"""The client's artifacts: files of a run or of a logged model."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from penstock.api.clients.base import ClientPart
from penstock.api.offline import upload
from penstock.api.watching import watcher
from penstock.artifacts.paths import artifact_path, join_path
from penstock.artifacts.repository import ArtifactRepository
from penstock.artifacts.streams import Source
from penstock.ground.entities import FileInfo
from penstock.ground.errors import InvalidInput, NotFound


class ArtifactsClient(ClientPart):
    """Upload, list and download artifacts, by MLflow's names and argument order."""

    def log_artifact(self, run_id: str, local_path: str | Path, artifact_path: str | None = None) -> None:
        """Uploads a file (or a folder, under its own name) into the run's folder ``artifact_path``."""
        local = Path(local_path)
        upload(self._connection, local, join_path(artifact_path or "", local.name), run_id=run_id)

    def log_artifacts(self, run_id: str, local_dir: str | Path, artifact_path: str | None = None) -> None:
        """Uploads every file below ``local_dir`` into the run's folder ``artifact_path``."""
        upload(self._connection, _folder(local_dir), artifact_path or "", run_id=run_id)

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Keeps ``text`` as the artifact ``artifact_file``, in UTF-8."""
        self.log_bytes(run_id, text.encode(), artifact_file)

    def log_dict(self, run_id: str, dictionary: Any, artifact_file: str) -> None:
        """Keeps ``dictionary`` as YAML if the name ends in .yml or .yaml, else as JSON."""
        if PurePosixPath(artifact_file).suffix in (".yml", ".yaml"):
            text = yaml.safe_dump(dictionary, sort_keys=False, allow_unicode=True)
        else:
            text = json.dumps(dictionary, indent=2, default=str)
        self.log_text(run_id, text, artifact_file)

    def log_figure(
        self, run_id: str, figure: Any, artifact_file: str, *, save_kwargs: dict[str, Any] | None = None
    ) -> None:
        """Keeps a matplotlib or plotly figure; the name's ending chooses the format (plotly: also .html)."""
        with _named_file(artifact_file) as local:
            if hasattr(figure, "savefig"):
                figure.savefig(local, **(save_kwargs or {}))
            elif hasattr(figure, "write_html"):
                save = figure.write_html if local.suffix == ".html" else figure.write_image
                save(local, **(save_kwargs or {}))
            else:
                raise InvalidInput(f"{type(figure).__name__} is no figure.", fix="Give a matplotlib or plotly figure.")
            upload(self._connection, local, artifact_file, run_id=run_id)

    def log_image(self, run_id: str, image: Any, artifact_file: str) -> None:
        """Keeps an image: a PIL image, or an array of shape (height, width[, channels]) of integers or of 0..1."""
        with _named_file(artifact_file) as local:
            _pil_image(image).save(local)
            upload(self._connection, local, artifact_file, run_id=run_id)

    def log_table(self, run_id: str, data: Any, artifact_file: str) -> None:
        """Adds rows (a dictionary of columns, or a frame) to a table kept as JSON in pandas' split form."""
        artifacts = self._run_artifacts(run_id)
        table = _split_form(data)
        if artifacts.find(artifact_file) is not None:
            with artifacts.open(artifact_file) as reading:
                kept = json.loads(reading.read())
            if kept["columns"] != table["columns"]:
                raise InvalidInput(
                    f"{artifact_file} has the columns {kept['columns']}.", fix="Log the same columns, or another file."
                )
            table = {**table, "data": kept["data"] + table["data"]}
        self.log_text(run_id, json.dumps(table, default=str), artifact_file)

    def log_stream(self, run_id: str, stream: Source, artifact_file: str) -> None:
        """Keeps what ``stream`` gives as the artifact ``artifact_file``, read once in constant memory."""
        with _named_file(artifact_file) as local:
            with local.open("wb") as file:
                while chunk := stream.read(1 << 20):
                    file.write(chunk)
            upload(self._connection, local, artifact_file, run_id=run_id)

    def log_bytes(self, run_id: str, content: bytes, artifact_file: str) -> None:
        """Keeps ``content`` as the artifact ``artifact_file``."""
        with _named_file(artifact_file) as local:
            local.write_bytes(content)
            upload(self._connection, local, artifact_file, run_id=run_id)

    def list_artifacts(self, run_id: str, path: str | None = None) -> list[FileInfo]:
        """The direct children of the run's folder ``path``; a file gives none."""
        return list(self._run_artifacts(run_id).list(path or ""))

    def download_artifacts(self, run_id: str, path: str, dst_path: str | Path | None = None) -> str:
        """The local path that now holds the run's file or folder ``path``, below ``dst_path`` (else a new folder)."""
        clean = artifact_path(path)
        folder = Path(dst_path) if dst_path else Path(tempfile.mkdtemp(prefix="penstock-"))
        return str(self._run_artifacts(run_id).download(clean, folder / clean, progress=watcher()))

    def log_model_artifact(self, model_id: str, local_path: str | Path, artifact_path: str | None = None) -> None:
        """Uploads a file into the logged model's folder ``artifact_path``."""
        local = Path(local_path)
        upload(self._connection, local, join_path(artifact_path or "", local.name), model_id=model_id)

    def log_model_artifacts(self, model_id: str, local_dir: str | Path, artifact_path: str | None = None) -> None:
        """Uploads every file below ``local_dir`` into the logged model's folder ``artifact_path``."""
        upload(self._connection, _folder(local_dir), artifact_path or "", model_id=model_id)

    def list_logged_model_artifacts(self, model_id: str, path: str | None = None) -> list[FileInfo]:
        """The direct children of the logged model's folder ``path``."""
        return list(self._model_artifacts(model_id).list(path or ""))

    def _run_artifacts(self, run_id: str) -> ArtifactRepository:
        connection = self._connection
        return connection.artifacts(connection.run_artifact_uri(run_id))

    def _model_artifacts(self, model_id: str) -> ArtifactRepository:
        connection = self._connection
        return connection.artifacts(connection.tracking.get_logged_model(model_id).artifact_uri)


def _folder(path: str | Path) -> Path:
    folder = Path(path)
    if not folder.is_dir():
        raise NotFound(f"There is no folder {folder} to upload.", fix="Check the path.")
    return folder


@contextmanager
def _named_file(artifact_file: str) -> Iterator[Path]:
    """A path in a fresh folder with the artifact's own file name."""
    with tempfile.TemporaryDirectory(prefix="penstock-") as folder:
        yield Path(folder) / PurePosixPath(artifact_path(artifact_file)).name


def _pil_image(image: Any) -> Any:
    if hasattr(image, "save"):
        return image
    import numpy
    from PIL import Image

    pixels = numpy.asarray(image)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if pixels.dtype.kind == "f":
        pixels = numpy.clip(pixels * 255, 0, 255)
    return Image.fromarray(pixels.astype("uint8"))


def _split_form(data: Any) -> dict[str, list[Any]]:
    """Rows in pandas' split form, from a dictionary of columns (lists or single values) or a frame."""
    columns = data.to_dict("list") if hasattr(data, "to_dict") else data
    lists = {key: value if isinstance(value, list | tuple) else [value] for key, value in columns.items()}
    return {"columns": list(lists), "data": [list(row) for row in zip(*lists.values(), strict=True)]}
