"""The model archive that SageMaker lays out under /opt/ml/model: the same folder gives the same bytes."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

from penstock.deploy.request import ArchiveSource
from penstock.ground.errors import InvalidInput
from penstock.ground.files import sha256_of, writing
from penstock.models.folder import is_image_lock

# SageMaker refuses archives with links; the time is the zero of ZIP and of our layers.
_MTIME = 315532800
_LEVEL = 1


def write_archive(folder: Path, path: Path) -> ArchiveSource:
    """Writes ``folder``'s files as ``path`` (a model.tar.gz with no links) and gives what identifies it.

    Links to files inside the folder are stored as the files; raises InvalidInput for links that lead outside it
    and for anything that is neither a file nor a directory.
    """
    root = folder.resolve()
    with (
        writing(path) as file,
        gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=_LEVEL, mtime=_MTIME) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for member in sorted(folder.rglob("*")):
            if not is_image_lock(member.name):
                _add(tar, root, member, member.relative_to(folder).as_posix())
    return ArchiveSource(sha256=sha256_of(path), size_bytes=path.stat().st_size)


def _add(tar: tarfile.TarFile, root: Path, member: Path, name: str) -> None:
    target = member.resolve()
    if root not in target.parents:
        raise InvalidInput(f"{name!r} in the model folder is a link that leads outside it.", fix="Copy the file in.")
    info = tarfile.TarInfo(name)
    info.mtime = _MTIME
    if target.is_dir():
        if member.is_symlink():
            raise InvalidInput(f"{name!r} in the model folder is a link to a directory.", fix="Copy the directory in.")
        info.type, info.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(info)
    elif target.is_file():
        info.size, info.mode = target.stat().st_size, 0o644
        with target.open("rb") as content:
            tar.addfile(info, content)
    else:
        raise InvalidInput(f"{name!r} in the model folder is neither a file nor a directory.", fix="Remove it.")
