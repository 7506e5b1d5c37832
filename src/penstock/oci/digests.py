"""Digests: what a blob is called, and readers that hold a stream to its name."""

from __future__ import annotations

import hashlib
import re
from typing import BinaryIO

from penstock.ground.errors import IntegrityError, InvalidInput

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CHUNK_BYTES = 1 << 20


def digest_of(content: bytes) -> str:
    """The digest of ``content``: ``digest_of(b"")`` is "sha256:e3b0c442...b855"."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def check_digest(text: str) -> str:
    """``text``, if it is a sha256 digest. Raises InvalidInput; a checked digest is safe as a file name."""
    if not DIGEST.fullmatch(text):
        raise InvalidInput(f"{text[:100]!r} is not a digest.", fix="Give 'sha256:' and 64 lower-case hex digits.")
    return text


def hex_of(digest: str) -> str:
    """The 64 hex digits of a checked digest."""
    return check_digest(digest).removeprefix("sha256:")


def verify(content: bytes, *, digest: str, what: str) -> bytes:
    """``content``, if it has that digest. Raises IntegrityError naming ``what``."""
    actual = digest_of(content)
    if actual != digest:
        raise mismatch(what, expected=digest, actual=actual)
    return content


def mismatch(what: str, *, expected: str, actual: str) -> IntegrityError:
    """The error for bytes that are not the bytes their digest promised."""
    return IntegrityError(
        f"{what} has the digest {actual}, but {expected} was promised.",
        fix="It was damaged or tampered with: fetch it again, or ask whoever published it.",
    )


class DigestingReader:
    """A stream that hashes what is read through it."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    def read(self, size: int = -1) -> bytes:
        chunk = self._source.read(size)
        self._hash.update(chunk)
        self.size_bytes += len(chunk)
        return chunk

    def drain(self) -> None:
        """Reads to the end, so that the digest covers the whole stream."""
        while self.read(CHUNK_BYTES):
            pass

    @property
    def digest(self) -> str:
        """The digest of all that was read so far."""
        return f"sha256:{self._hash.hexdigest()}"
