"""Files that are whole or absent: atomic writes, paths that cannot escape, locks between processes."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from penstock.ground.errors import Conflict, InvalidInput, StorageFailed

_STORAGE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}
CHUNK_BYTES = 1 << 20
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4095


@contextmanager
def storage_errors(path: Path | str) -> Iterator[None]:
    """Turns a full, read-only or failing disk under ``path`` into StorageFailed, which says what to free or change.

    Raises InvalidInput for a name that is longer than the file system takes.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise InvalidInput(f"A file's name is too long: {Path(path).name[:300]}.", fix="Shorten it.") from error
        if error.errno not in _STORAGE_ERRNOS:
            raise
        raise StorageFailed(f"Cannot write {path}: {error.strerror}.", fix=_storage_fix(error.errno)) from error


def _storage_fix(number: int | None) -> str:
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "Free some disk space, or point PENSTOCK_STATE_DIR and PENSTOCK_CACHE_DIR at a larger disk."
    return "Make the directory writable, or point PENSTOCK_STATE_DIR and PENSTOCK_CACHE_DIR elsewhere."


def ensure_directory(path: Path) -> Path:
    """``path``, made with its parents if it was not there. Raises StorageFailed."""
    with storage_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def writing(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """A binary file that appears at ``path``, whole and on disk, only when the block ends well."""
    ensure_directory(path.parent)
    start = path.name.encode()[:200].decode(errors="ignore")  # a name takes 255 bytes
    partial = path.with_name(f".{start}.{secrets.token_hex(6)}.partial")
    with storage_errors(path):
        try:
            with partial.open("xb") as file:
                yield file
                file.flush()
                os.fchmod(file.fileno(), mode)
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            with suppress(FileNotFoundError):
                partial.unlink()


def write_atomically(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Writes ``content`` at ``path`` whole or not at all. Raises StorageFailed."""
    with writing(path, mode=mode) as file:
        file.write(content)


def inside(root: Path, relative: str) -> Path:
    """The path of ``relative`` below ``root``, resolved. Raises InvalidInput when it would lie anywhere else.

    The check resolves both sides, links included, and compares; it never judges by the look of the text.
    """
    if "\x00" in relative:
        raise InvalidInput("A path holds a zero byte. Remove it.")
    base = root.resolve()
    target = (base / relative).resolve()
    if target != base and base not in target.parents:
        raise InvalidInput(f"The path {relative!r} leads outside its folder. Use a relative path without '..'.")
    if len(bytes(target)) > MAX_PATH_BYTES or any(len(os.fsencode(part)) > MAX_NAME_BYTES for part in target.parts):
        raise InvalidInput(f"The path {relative[:300]!r} or a name in it is too long.", fix="Shorten it.")
    return target


@contextmanager
def locked(path: Path, *, shared: bool = False, wait: bool = True) -> Iterator[None]:
    """Holds the advisory lock file ``path`` (made if needed) against other processes while the block runs.

    Without ``wait``, raises Conflict when somebody else holds it.
    """
    ensure_directory(path.parent)
    with storage_errors(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _take(descriptor, path, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, path: Path, operation: int) -> None:
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError:
        raise Conflict(f"Another process holds {path}.", fix="Wait until it ends, or end it.") from None


def sha256_of(path: Path) -> str:
    """The lower-case hex SHA-256 of the file's bytes, read in constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_tree(path: Path) -> None:
    """Removes ``path`` and all below it, directories without write permission included; absent is fine."""

    def retry_writable(function: object, name: str, _error: object) -> None:
        with suppress(FileNotFoundError):
            Path(name).parent.chmod(0o700)
            entry = Path(name)
            if entry.is_dir() and not entry.is_symlink():
                entry.chmod(0o700)
                shutil.rmtree(entry)
            else:
                entry.unlink()

    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path, onerror=retry_writable)
