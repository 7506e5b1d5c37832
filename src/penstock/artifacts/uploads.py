"""Uploads into a folder that go on where they broke off: what has arrived waits beside the place it is meant for.

A partial file is known by the artifact's name and the digest of the whole content, so that any process that sends the
same content again goes on from there. What nobody went on with for a week is removed by the next upload to that folder.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from contextlib import suppress
from io import BufferedRandom
from pathlib import Path

from penstock.artifacts.streams import Source
from penstock.ground.errors import Conflict, IntegrityError
from penstock.ground.files import CHUNK_BYTES, ensure_directory, storage_errors

KEPT_SECONDS = 7 * 24 * 3600


class PartialFile:
    """What has arrived of the ``size_bytes`` with the digest ``sha256`` that are to become the file ``target``."""

    def __init__(self, target: Path, *, sha256: str, size_bytes: int) -> None:
        self._target = target
        self._sha256 = sha256
        self._size_bytes = size_bytes
        start = target.name.encode()[:180].decode(errors="ignore")  # a name takes 255 bytes
        self._partial = target.with_name(f".{start}.{sha256[:40]}.partial")

    def received_bytes(self) -> int:
        """How much is there to go on from."""
        try:
            return self._partial.stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, source: Source, *, offset_bytes: int) -> BufferedRandom | None:
        """Adds what ``source`` gives; the open file once it is whole and as it should be, to be put in its place.

        What arrived stays when ``source`` raises. Raises Conflict when another upload of the same is under way or
        ``offset_bytes`` is not what is there, IntegrityError (and forgets it all) when the whole is not as announced.
        """
        ensure_directory(self._partial.parent)
        if offset_bytes == 0:
            self._sweep()
        with storage_errors(self._partial):
            file = self._partial.open("a+b")
            try:
                self._hold(file, offset_bytes)
                passed = hashlib.sha256() if offset_bytes == 0 else None
                while chunk := source.read(CHUNK_BYTES):
                    file.write(chunk)
                    if passed is not None:
                        passed.update(chunk)
                file.flush()
                if file.tell() < self._size_bytes:
                    file.close()
                    return None
                self._check(file, passed.hexdigest() if passed else _digest(file))
            except BaseException:
                file.close()
                raise
            return file

    def place(self, file: BufferedRandom) -> None:
        """Puts the whole file in its place, on disk."""
        with storage_errors(self._target), file:
            os.fchmod(file.fileno(), 0o644)
            os.fsync(file.fileno())
            self._partial.replace(self._target)

    def _hold(self, file: BufferedRandom, offset_bytes: int) -> None:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("The same upload is under way already.", fix="Wait until it ends.") from None
        there = file.seek(0, os.SEEK_END)
        if there != offset_bytes:
            raise Conflict(f"{there} bytes of this upload are there, not {offset_bytes}.", fix="Go on from there.")

    def _check(self, file: BufferedRandom, digest: str) -> None:
        if file.tell() == self._size_bytes and digest == self._sha256:
            return
        self._partial.unlink(missing_ok=True)
        raise IntegrityError(
            f"The upload arrived damaged: {file.tell()} bytes, SHA-256 {digest}.", fix="Send it again."
        )

    def _sweep(self) -> None:
        for old in self._partial.parent.glob(".*.partial"):
            with suppress(FileNotFoundError):
                if old != self._partial and time.time() - old.stat().st_mtime > KEPT_SECONDS:
                    old.unlink()


def _digest(file: BufferedRandom) -> str:
    file.seek(0)
    found = hashlib.file_digest(file, "sha256").hexdigest()
    file.seek(0, os.SEEK_END)
    return found
