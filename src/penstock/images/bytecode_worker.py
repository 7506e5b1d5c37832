"""Runs alone, in any Python from 3.8: sources on stdin, their bytecode on stdout.

A frame in is two little-endian 32-bit lengths, a file name and the source; a frame out is one length and a .pyc with
an unchecked hash (PEP 552), or the length 0 for a source that does not compile.
"""

import importlib.util
import marshal
import struct
import sys

_UNCHECKED_HASH = struct.pack("<I", 1)


def compiled(source: bytes, filename: str) -> bytes:
    try:
        code = compile(source, filename, "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return b""
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH + importlib.util.source_hash(source)
    return head + marshal.dumps(code)


def main() -> None:
    read, write = sys.stdin.buffer.read, sys.stdout.buffer.write
    while True:
        head = read(8)
        if len(head) < 8:
            return
        name_size, source_size = struct.unpack("<II", head)
        filename = read(name_size).decode()
        pyc = compiled(read(source_size), filename)
        write(struct.pack("<I", len(pyc)))
        write(pyc)


if __name__ == "__main__":
    main()
