"""A wheel read straight from its zip: where each file goes, and whether it is what RECORD says (PEP 427, PEP 376)."""

from __future__ import annotations

import base64
import configparser
import csv
import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from penstock.ground.errors import IntegrityError
from penstock.ground.files import CHUNK_BYTES

_SIGNATURES = ("RECORD", "RECORD.jws", "RECORD.p7s")


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a wheel, with the hash that RECORD promises for it, as (algorithm, digest)."""

    name: str
    size_bytes: int
    executable: bool
    promised: tuple[str, bytes] | None


class Wheel:
    """An open wheel whose table of contents agrees with its RECORD. Its bytes are checked as they are read."""

    def __init__(self, archive: zipfile.ZipFile, path: Path) -> None:
        self._archive = archive
        self.path = path
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
        self.dist_info = self._dist_info(names)
        self._check_names(names)
        self._check_version()
        promised = self._record()
        self.members = tuple(self._member(info, promised) for info in archive.infolist() if not info.is_dir())
        missing = {name for name in promised if not name.endswith(_SIGNATURES)} - {each.name for each in self.members}
        if missing:
            raise self._lie(f"its RECORD promises {min(missing)}, which is not there")

    def open(self, member: Member) -> BinaryIO:
        """The member's bytes; reading the last of them raises IntegrityError when they are not the promised ones."""
        stream = self._archive.open(member.name)
        return cast(BinaryIO, _Checked(stream, member, self.path.name)) if member.promised else cast(BinaryIO, stream)

    def read(self, member: Member) -> bytes:
        """All of the member's bytes, checked."""
        with self.open(member) as stream:
            return b"".join(iter(lambda: stream.read(CHUNK_BYTES), b""))

    def metadata(self) -> Message:
        """What the package says of itself (core metadata)."""
        return BytesParser().parsebytes(self._archive.read(f"{self.dist_info}/METADATA"), headersonly=True)

    def scripts(self) -> dict[str, str]:
        """Its console and window commands: name to "module:function"."""
        name = f"{self.dist_info}/entry_points.txt"
        if name not in self._archive.NameToInfo:
            return {}
        parser = configparser.RawConfigParser(delimiters=("=",), strict=False)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(self._archive.read(name).decode())
        groups = [group for group in ("console_scripts", "gui_scripts") if parser.has_section(group)]
        return {name: target.split("[")[0].strip() for group in groups for name, target in parser.items(group)}

    def _dist_info(self, names: list[str]) -> str:
        found = {name.partition("/")[0] for name in names if name.partition("/")[0].endswith(".dist-info")}
        if len(found) != 1:
            raise self._lie(f"it holds {len(found)} .dist-info folders, not one")
        return found.pop()

    def _check_names(self, names: list[str]) -> None:
        if len(set(names)) != len(names):
            raise self._lie("it holds a file twice")
        for name in names:
            if name.startswith("/") or "\\" in name or {"", ".", ".."}.intersection(name.split("/")):
                raise self._lie(f"it holds a file that leads outside it, {name!r}")

    def _check_version(self) -> None:
        try:
            text = self._archive.read(f"{self.dist_info}/WHEEL").decode()
        except KeyError:
            raise self._lie("it has no WHEEL file") from None
        major = next(
            (line.split(":")[1].strip() for line in text.splitlines() if line.startswith("Wheel-Version:")), ""
        )
        if major.partition(".")[0] != "1":
            raise self._lie(f"its format is {major or 'unknown'}, and only version 1 is known")

    def _record(self) -> dict[str, tuple[str, bytes] | None]:
        try:
            text = self._archive.read(f"{self.dist_info}/RECORD").decode()
        except KeyError:
            raise self._lie("it has no RECORD file") from None
        rows = [row for row in csv.reader(io.StringIO(text)) if row]
        return {row[0]: _promise(row[1]) if len(row) > 1 and row[1] else None for row in rows}

    def _member(self, info: zipfile.ZipInfo, promised: dict[str, tuple[str, bytes] | None]) -> Member:
        promise = promised.get(info.filename)
        signature = info.filename in (f"{self.dist_info}/{name}" for name in _SIGNATURES)
        if promise is None and not signature:
            raise self._lie(f"its RECORD gives no hash for {info.filename}")
        executable = bool(info.external_attr >> 16 & 0o111)
        return Member(name=info.filename, size_bytes=info.file_size, executable=executable, promised=promise)

    def _lie(self, what: str) -> IntegrityError:
        return _broken(self.path.name, what)


@contextmanager
def open_wheel(path: Path) -> Iterator[Wheel]:
    """The wheel at ``path``. Raises IntegrityError when it is damaged, or not what its RECORD says."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield Wheel(archive, path)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, UnicodeDecodeError, csv.Error) as error:
        raise _broken(path.name, f"it cannot be read: {error}") from error


def _broken(name: str, what: str) -> IntegrityError:
    return IntegrityError(f"The wheel {name} is broken: {what}.", fix="Ask for another version, or rebuild it.")


def _promise(text: str) -> tuple[str, bytes]:
    """("sha256", digest) of "sha256=<urlsafe base64 without padding>"."""
    algorithm, _, digest = text.partition("=")
    return algorithm, base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4))


def record_row(path: str, content: bytes) -> tuple[str, str, int]:
    """A RECORD row for ``content`` at ``path``."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return path, f"sha256={digest}", len(content)


class _Checked:
    """A stream that knows at its end whether it was the promised one."""

    def __init__(self, stream: object, member: Member, wheel: str) -> None:
        self._stream = cast(BinaryIO, stream)
        self._member = member
        self._wheel = wheel
        algorithm, self._promised = member.promised or ("sha256", b"")
        if algorithm not in ("sha256", "sha384", "sha512"):
            raise _broken(wheel, f"its RECORD uses {algorithm}, which proves nothing")
        self._hasher = hashlib.new(algorithm)

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._stream.read(size)
        self._hasher.update(chunk)
        if not chunk and size != 0 and self._hasher.digest() != self._promised:
            raise _broken(self._wheel, f"{self._member.name} is not the file that RECORD promises")
        return chunk

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> _Checked:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
