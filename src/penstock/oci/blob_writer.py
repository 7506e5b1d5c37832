"""Makes a layer's blob of a tar that comes in pieces of any size: hashed, compressed in fixed blocks, hashed again."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from penstock.oci.blob import LayerBlob
from penstock.oci.cache import Partial
from penstock.oci.compression import BLOCK_BYTES, Compressor


class BlobWriter:
    """Takes the pieces of a tar; ``finish`` gives the layer, whose blob is then in the cache."""

    def __init__(self, partial: Partial, compressor: Compressor) -> None:
        self._partial = partial
        self._stream = compressor.start()
        self._block = bytearray()
        self._diff, self._digest = sha256(), sha256()
        self._size_bytes = 0

    def write(self, piece: bytes) -> None:
        """Takes the next piece of the tar."""
        self._block += piece
        while len(self._block) >= BLOCK_BYTES:
            self._compress(bytes(self._block[:BLOCK_BYTES]))
            del self._block[:BLOCK_BYTES]

    def finish(self) -> LayerBlob:
        """Ends the blob and keeps it."""
        self._compress(bytes(self._block))
        self._out(self._stream.flush())
        digest = f"sha256:{self._digest.hexdigest()}"
        path: Path = self._partial.keep(digest)
        return LayerBlob(f"sha256:{self._diff.hexdigest()}", digest, self._size_bytes, path)

    def _compress(self, block: bytes) -> None:
        self._diff.update(block)
        self._out(self._stream.compress(block))

    def _out(self, piece: bytes) -> None:
        self._digest.update(piece)
        self._size_bytes += len(piece)
        self._partial.file.write(piece)
