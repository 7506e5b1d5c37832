"""Bodies that are checked as they stream: against the hash that was signed, or chunk by chunk (aws-chunked)."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncIterator

from penstock.rehearsal.signing.reasons import Reason, SignatureRefused
from penstock.rehearsal.signing.sigv4 import Claim, chunk_signature, trailer_signature

_HEAD = re.compile(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?")
_MOST_CHUNK_BYTES = 64 << 20
_MOST_LINE_BYTES = 8 << 10


async def hashed(stream: AsyncIterator[bytes], expected: str) -> AsyncIterator[bytes]:
    """The pieces of ``stream``; raises SignatureRefused at its end unless their SHA-256 is ``expected``."""
    digest = hashlib.sha256()
    async for piece in stream:
        digest.update(piece)
        yield piece
    if not hmac.compare_digest(digest.hexdigest(), expected):
        raise SignatureRefused(Reason.CONTENT)


async def chunked(stream: AsyncIterator[bytes], check: ChunkCheck) -> AsyncIterator[bytes]:
    """The pieces of ``stream`` unchanged; raises SignatureRefused where a chunk's signature does not hold."""
    async for piece in stream:
        check.feed(piece)
        yield piece
    check.finish()


class ChunkCheck:
    """Follows an aws-chunked body and checks the signature of each chunk, and of the trailer when it is signed."""

    def __init__(self, key: bytes, claim: Claim, *, trailer: bool) -> None:
        self._key = key
        self._claim = claim
        self._previous = claim.signature
        self._signed_trailer = trailer
        self._waiting = bytearray()
        self._size: int | None = None
        self._signature = b""
        self._ended = False
        self._fields: list[bytes] = []
        self._trailer_signature = b""

    def feed(self, piece: bytes) -> None:
        """Takes the next bytes of the body. Raises SignatureRefused."""
        self._waiting += piece
        while self._step():
            pass

    def finish(self) -> None:
        """The body is at its end. Raises SignatureRefused when it is not whole."""
        if not self._ended or (self._waiting and not self._step()):
            raise SignatureRefused(Reason.INCOMPLETE, "The chunked body ends before its last chunk.")
        if self._signed_trailer:
            expected = trailer_signature(self._key, self._claim, self._previous, b"".join(self._fields))
            self._compare(self._trailer_signature, expected)

    def _step(self) -> bool:
        """Goes one line or one chunk on; False when more bytes are needed."""
        if self._ended:
            return self._trailer_line()
        return self._chunk_head() if self._size is None else self._chunk_body(self._size)

    def _chunk_head(self) -> bool:
        line = self._line()
        if line is None:
            return False
        found = _HEAD.fullmatch(line)
        if found is None or found[2] is None or int(found[1], 16) > _MOST_CHUNK_BYTES:
            raise SignatureRefused(Reason.INCOMPLETE, "A chunk of the body has no size or no signature.")
        self._size, self._signature = int(found[1], 16), found[2]
        if self._size == 0:
            self._check_chunk(b"")
            self._ended = True
        return True

    def _chunk_body(self, size: int) -> bool:
        if len(self._waiting) < size + 2:
            return False
        self._check_chunk(bytes(self._waiting[:size]))
        del self._waiting[: size + 2]
        self._size = None
        return True

    def _trailer_line(self) -> bool:
        line = self._line()
        if line is None:
            return False
        name, _, value = line.partition(b":")
        if name == b"x-amz-trailer-signature":
            self._trailer_signature = value.strip()
        elif line:
            self._fields.append(name + b":" + value.strip() + b"\n")
        return True

    def _line(self) -> bytes | None:
        end = self._waiting.find(b"\r\n")
        if end < 0:
            if len(self._waiting) > _MOST_LINE_BYTES:
                raise SignatureRefused(Reason.INCOMPLETE, "A chunk's head does not end.")
            return None
        line = bytes(self._waiting[:end])
        del self._waiting[: end + 2]
        return line

    def _check_chunk(self, content: bytes) -> None:
        expected = chunk_signature(self._key, self._claim, self._previous, content)
        self._compare(self._signature, expected)
        self._previous = expected

    def _compare(self, given: bytes, expected: str) -> None:
        if not hmac.compare_digest(given, expected.encode()):
            raise SignatureRefused(Reason.WRONG)
