"""Bytecode made ahead, so that a container does not compile its packages every time it starts."""

from __future__ import annotations

import functools
import io
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import msgspec

from penstock.ground.errors import StorageFailed, ToolFailed
from penstock.ground.files import CHUNK_BYTES, storage_errors
from penstock.images.target import host_python

_WORKER = Path(__file__).with_name("bytecode_worker.py")


class Interpreter(msgspec.Struct, frozen=True):
    """A Python that can compile for a target; its full version is part of what it makes."""

    command: tuple[str, ...]
    version: str


class Slice(msgspec.Struct, frozen=True):
    """A piece of a file."""

    path: Path
    offset: int
    size_bytes: int

    def open(self) -> BinaryIO:
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return io.BytesIO(file.read(self.size_bytes))


@functools.cache
def find_interpreter(python: str) -> Interpreter | None:
    """A Python on this host of the minor version ``python``: the one that runs this, else one on the PATH."""
    if host_python() == python:
        version = ".".join(map(str, sys.version_info[:3]))
        return Interpreter((sys.executable,), version)
    program = shutil.which(f"python{python}")
    return probe_interpreter((program,)) if program else None


def probe_interpreter(command: tuple[str, ...]) -> Interpreter | None:
    """The Python that ``command`` starts, or None when it does not run here."""
    ask = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    try:
        done = subprocess.run([*command, "-I", "-S", "-c", ask], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return Interpreter(command, done.stdout.strip()) if done.returncode == 0 else None


def pyc_name(source: str, python: str) -> str:
    """Where Python looks for the bytecode of ``source`` (PEP 3147): "a/b.py" is "a/__pycache__/b.cpython-311.pyc"."""
    path = PurePosixPath(source)
    return str(path.parent / "__pycache__" / f"{path.stem}.cpython-{python.replace('.', '')}.pyc")


def compile_ahead(sources: Iterable[tuple[str, bytes]], interpreter: Interpreter, scratch: Path) -> list[Slice | None]:
    """The bytecode of each (file name in the image, source), in order; None for one that does not compile.

    A fresh interpreter does all of it in one go, so the bytes depend on the sources and its version only. They lie in
    ``scratch``, not in memory. Raises ToolFailed.
    """
    given, made = scratch / "sources", scratch / "bytecode"
    with storage_errors(scratch), given.open("w+b") as stdin, made.open("w+b") as stdout:
        for filename, source in sources:
            name = filename.encode()
            stdin.write(struct.pack("<II", len(name), len(source)) + name + source)
        stdin.seek(0)
        command = [*interpreter.command, "-I", "-S", "-W", "ignore", str(_WORKER)]
        done = subprocess.run(command, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, check=False)
    if done.returncode:
        reason = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
        if reason[0].startswith("OSError"):
            raise StorageFailed(
                f"Cannot write {scratch}: {reason[0]}.", fix="Free space there, or set TMPDIR elsewhere."
            )
        raise ToolFailed(f"Python {interpreter.version} could not compile packages: {reason[0]}.", fix="Try again.")
    return list(_slices(made))


def _slices(made: Path) -> Iterable[Slice | None]:
    with made.open("rb", buffering=CHUNK_BYTES) as file:
        while head := file.read(4):
            (size,) = struct.unpack("<I", head)
            yield Slice(made, file.tell(), size) if size else None
            file.seek(size, io.SEEK_CUR)
