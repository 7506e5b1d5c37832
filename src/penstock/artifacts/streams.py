"""Byte streams that are cut, hashed and watched as they pass, in constant memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Protocol

from penstock.ground.errors import IntegrityError, Unavailable


class Source(Protocol):
    """Anything bytes can be read from, '' at the end: a file, a response, a request's body."""

    def read(self, size: int = -1, /) -> bytes: ...


class Stream(Source, Protocol):
    """A source that somebody has to close."""

    def close(self) -> None: ...


def skip(source: Source, size_bytes: int) -> None:
    """Reads past the next ``size_bytes``."""
    left = size_bytes
    while left > 0 and (chunk := source.read(min(left, 1 << 20))):
        left -= len(chunk)


class SliceReader:
    """The next ``size_bytes`` of ``stream``, then the end."""

    def __init__(self, stream: Stream, size_bytes: int) -> None:
        self._stream = stream
        self._left = size_bytes

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        chunk = self._stream.read(wanted) if wanted else b""
        self._left -= len(chunk)
        return chunk

    def close(self) -> None:
        self._stream.close()


class WatchedReader:
    """``source``, telling ``watch`` after each read how many bytes have passed in all."""

    def __init__(self, source: Source, watch: Callable[[int], None]) -> None:
        self._source = source
        self._watch = watch
        self._passed = 0

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._source.read(size)
        self._passed += len(chunk)
        self._watch(self._passed)
        return chunk


class CheckedReader:
    """``source``, raising IntegrityError at its end unless it held ``size_bytes`` with the digest ``sha256``.

    What is None is not checked. ``digest()`` is the lower-case hex SHA-256 of what has passed.
    """

    def __init__(self, source: Source, what: str, *, size_bytes: int | None, sha256: str | None) -> None:
        self._source = source
        self._what = what
        self._size_bytes = size_bytes
        self._sha256 = sha256
        self._hash = hashlib.sha256()
        self._passed = 0

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._source.read(size)
        self._hash.update(chunk)
        self._passed += len(chunk)
        if size < 0 or not chunk:
            self._check()
        return chunk

    def digest(self) -> str:
        return self._hash.hexdigest()

    def _check(self) -> None:
        short = self._size_bytes is not None and self._passed != self._size_bytes
        if short or (self._sha256 is not None and self.digest() != self._sha256):
            raise IntegrityError(
                f"{self._what} arrived damaged: {self._passed} bytes, SHA-256 {self.digest()}.", fix="Send it again."
            )


class GuardedReader:
    """``stream``, its own library's ``failures`` raised as Unavailable."""

    def __init__(self, stream: Stream, what: str, failures: tuple[type[Exception], ...]) -> None:
        self._stream = stream
        self._what = what
        self._failures = failures

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._stream.read(size)
        except self._failures as error:
            raise Unavailable(f"{self._what} broke off: {error}.", fix="Try again; it goes on from there.") from error

    def close(self) -> None:
        self._stream.close()
