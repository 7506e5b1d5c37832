"""Model data from S3 into a folder: an archive extracted, or a prefix of plain files copied."""

from __future__ import annotations

from pathlib import Path

from penstock.ground.errors import NotFound, PenstockError
from penstock.ground.files import ensure_directory, remove_tree
from penstock.rehearsal.fleet.plan import ContainerPlan
from penstock.rehearsal.runner.archive import extract_archive
from penstock.rehearsal.s3 import Buckets, split_uri
from penstock.rehearsal.wire.exceptions import AwsError


class ModelData:
    """Fetches what containers are to find at /opt/ml/model."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def extract(self, container: ContainerPlan, folder: Path) -> None:
        """Writes the container's model data into ``folder``. Raises PenstockError; nothing is left then."""
        bucket, key = split_uri(container.model_uri or "")
        try:
            for name, is_archive in self._objects(container, bucket, key):
                content = self._buckets.find(bucket, name)
                if content is None:
                    raise NotFound(f"Could not find model data at {container.model_uri}.")
                if is_archive:
                    extract_archive(content, folder)
                else:
                    _write(folder / name.removeprefix(key).lstrip("/"), content.read())
        except PenstockError:
            remove_tree(folder)
            raise

    def fetch_target(self, prefix: str, target: str, folder: Path) -> None:
        """Extracts one archive of a multi-model endpoint. Raises AwsError as InvokeEndpoint answers it."""
        bucket, start = split_uri(prefix)
        key = f"{start.rstrip('/')}/{target.lstrip('/')}".lstrip("/")
        content = self._buckets.find(bucket, key)
        if content is None:
            raise AwsError(
                "ValidationError",
                f"Failed to download model data(bucket: {bucket}, key: {key}). Please ensure that there is an object "
                "located at the URL and that the role passed to CreateModel has permissions to download the model.",
            )
        remove_tree(folder)
        ensure_directory(folder.parent)
        try:
            with content:
                extract_archive(content, folder)
        except PenstockError as error:
            raise AwsError(
                "ValidationError", f"Failed to extract model data(bucket: {bucket}, key: {key}). {error}"
            ) from error

    def _objects(self, container: ContainerPlan, bucket: str, key: str) -> list[tuple[str, bool]]:
        """The objects that make up the model data, and whether each is an archive to extract."""
        if not container.model_is_prefix:
            return [(key, True)]
        return [(name, False) for name in self._buckets.keys(bucket, key) or () if not name.endswith("/")]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
