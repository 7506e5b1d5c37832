"""Model archives: a gzipped tar that is read without trust, as SageMaker extracts it under /opt/ml/model."""

from __future__ import annotations

import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from penstock.ground.errors import InvalidInput
from penstock.ground.files import ensure_directory

_CHUNK_BYTES = 1 << 20


def check_archive(archive: BinaryIO) -> int:
    """Reads the archive to its end; the bytes it would extract to. Raises InvalidInput saying what is wrong with it."""
    with _opened(archive) as members:
        return sum(member.size for member in members if _checked(member).isfile())


def extract_archive(archive: BinaryIO, directory: Path) -> None:
    """Writes the archive's files below ``directory``, readable by everybody. Raises InvalidInput as check_archive."""
    ensure_directory(directory)
    with _opened(archive) as members:
        for member in members:
            target = directory / _checked(member).name
            if member.isdir():
                ensure_directory(target)
            else:
                _extract(members, member, target)


def _extract(members: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    ensure_directory(target.parent)
    source = members.extractfile(member)
    if source is None:
        raise InvalidInput(f"{member.name} in the archive cannot be read.")
    with source, target.open("wb") as file:
        while chunk := source.read(_CHUNK_BYTES):
            file.write(chunk)
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


@contextmanager
def _opened(archive: BinaryIO) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(fileobj=archive, mode="r|gz") as members:
            yield members
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise InvalidInput(f"It is not a gzipped tar archive ({error}).", fix="Pack it with tar -czf.") from error


def _checked(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """``member``, if it is a file or directory that stays inside. Raises InvalidInput."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts:
        raise InvalidInput(
            f"Its member {member.name!r} leads outside the model folder.", fix="Pack relative names only."
        )
    if member.issym() or member.islnk():
        raise InvalidInput(f"Its member {member.name!r} is a link.", fix="Pack the file itself (tar --dereference).")
    if not (member.isfile() or member.isdir()):
        raise InvalidInput(f"Its member {member.name!r} is neither a file nor a directory.", fix="Leave it out.")
    return member
