"""Operations on disk, in order, while the server that they are for is away."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
import uuid
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from penstock.api.recording.absent import LogFile
from penstock.api.recording.identities import Identities
from penstock.api.recording.operations import Operation
from penstock.ground.files import ensure_directory, locked, storage_errors, write_atomically


class _Header(Struct, frozen=True):
    tracking_uri: str


# MessagePack, because JSON has no NaN and no infinity; base64, because a line ends where the operation does.
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Operation)


class Spool:
    """One file of operations for one tracking URI: a header line, then one operation a line.

    Beside it, ``.sent`` counts the bytes that the server has acknowledged; it moves after each acknowledgement, so a
    process killed in between sends at most one operation again, and an operation done twice is as if done once. Files
    that wait to be uploaded are copied beside it, and ``.ids`` says what the server calls what was named here.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._mark = path.with_suffix(".sent")
        self._ids = path.with_suffix(".ids")

    @property
    def folder(self) -> Path:
        """Where the files of operations lie."""
        return self.path.parent

    def identities(self) -> Identities:
        """The server's names for what was named here."""
        return Identities(self._ids)

    def keep(self, local: Path) -> str:
        """A copy of the file ``local``, on disk to stay, by its name in ``folder``. Raises StorageFailed."""
        ensure_directory(self.folder)
        name = f"{self.path.stem}.{uuid.uuid4().hex}.file"
        with (
            storage_errors(self.path),
            local.open("rb") as source,
            open(self.folder / name, "xb", opener=_for_the_owner) as target,
        ):
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        return name

    def let_go(self, operation: Operation) -> None:
        """Forgets the file of an operation that has arrived."""
        if isinstance(operation, LogFile):
            (self.folder / operation.file).unlink(missing_ok=True)

    @property
    def tracking_uri(self) -> str:
        with self.path.open("rb") as file:
            return msgspec.json.decode(file.readline(), type=_Header).tracking_uri

    def is_empty(self) -> bool:
        """Whether nothing waits to be sent."""
        return not self.path.exists()

    def append(self, operations: Sequence[Operation], tracking_uri: str) -> None:
        """Keeps the operations behind those already waiting. Raises StorageFailed."""
        ensure_directory(self.path.parent)
        lines = [b64encode(_ENCODER.encode(operation)) + b"\n" for operation in operations]
        with self.held(), storage_errors(self.path), open(self.path, "ab", opener=_for_the_owner) as file:
            if not file.tell():
                lines.insert(0, msgspec.json.encode(_Header(tracking_uri)) + b"\n")
            file.write(b"".join(lines))
            file.flush()
            os.fsync(file.fileno())

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other processes from writing or sending spools here while the block runs."""
        with locked(self.path.parent / ".lock"):
            yield

    def waiting(self) -> Iterator[tuple[Operation, int]]:
        """Each operation not yet acknowledged, with the mark to set once it is. A line cut short by a crash ends it."""
        if self.is_empty():
            return
        with self.path.open("rb") as file:
            header = file.readline()
            offset = max(self._sent_bytes(), len(header))
            file.seek(offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                offset += len(line)
                yield _DECODER.decode(b64decode(line)), offset

    def _sent_bytes(self) -> int:
        return int(self._mark.read_text()) if self._mark.exists() else 0

    def acknowledge(self, mark: int) -> None:
        """Notes that everything before ``mark`` has arrived."""
        write_atomically(self._mark, str(mark).encode())

    def remove(self) -> None:
        """Forgets the spool, once all of it has arrived."""
        for path in (self.path, self._mark, self._ids):
            path.unlink(missing_ok=True)


def _for_the_owner(path: str, flags: int) -> int:
    """A descriptor of a file that nobody else may read: the URI in it may hold a password."""
    return os.open(path, flags, 0o600)


def spool_folder(state_dir: Path) -> Path:
    """Where spools lie."""
    return state_dir / "spool"


def new_spool(state_dir: Path, tracking_uri: str) -> Spool:
    """A spool of this process's own, so that no two processes write one file. Its file appears when it is needed."""
    server = hashlib.sha256(tracking_uri.encode()).hexdigest()[:12]
    return Spool(spool_folder(state_dir) / f"{time.time_ns():020d}-{server}-{os.getpid()}.jsonl")


def list_spools(state_dir: Path) -> list[Spool]:
    """Every spool that waits, oldest first."""
    folder = spool_folder(state_dir)
    return [Spool(path) for path in sorted(folder.glob("*.jsonl"))] if folder.is_dir() else []
