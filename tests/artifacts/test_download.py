"""Downloads break off, go on, and end whole or not at all."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from penstock.artifacts.local import LocalStorage
from penstock.artifacts.port import Reading
from penstock.artifacts.repository import ArtifactRepository
from penstock.ground.entities import FileInfo
from penstock.ground.errors import IntegrityError, Unavailable

CONTENT = bytes(range(256)) * 8192


class Flaky:
    """A storage of one artifact whose connection breaks after ``break_after`` bytes of each opening."""

    uri = "flaky:"

    def __init__(self, content: bytes, *, break_after: int, version: str | None = "v1", ranges: bool = True) -> None:
        self.content = content
        self.break_after = break_after
        self.version = version
        self.ranges = ranges
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.sent_bytes = 0

    def list(self, path: str) -> tuple[FileInfo, ...]:
        return ()

    def find(self, path: str) -> FileInfo | None:
        return FileInfo(path=path, is_dir=False, size_bytes=len(self.content))

    def open(self, path: str, *, start_byte: int = 0, end_byte: int | None = None) -> Reading:
        start = start_byte if self.ranges else 0
        return Reading(
            _Breaking(self, start),
            size_bytes=len(self.content),
            start_byte=start,
            version=self.version,
            sha256=self.sha256,
        )

    def write(self, path: str, source: object, *, size_bytes: int | None = None, sha256: str | None = None) -> None:
        raise AssertionError

    def delete(self, path: str) -> None:
        raise AssertionError


class _Breaking:
    def __init__(self, storage: Flaky, start: int) -> None:
        self.storage = storage
        self.source = io.BytesIO(storage.content[start:])
        self.left = storage.break_after

    def read(self, size: int = -1, /) -> bytes:
        if self.left <= 0:
            raise Unavailable("The line broke.")
        chunk = self.source.read(min(size, self.left))
        self.left -= len(chunk)
        self.storage.sent_bytes += len(chunk)
        return chunk

    def close(self) -> None: ...


def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    storage = Flaky(CONTENT, break_after=len(CONTENT) // 2 + 1)
    got = ArtifactRepository(storage).download("f", tmp_path / "f")
    assert got.read_bytes() == CONTENT
    assert storage.sent_bytes == len(CONTENT)
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_a_later_call_goes_on_where_an_earlier_one_gave_up(tmp_path: Path) -> None:
    storage = Flaky(CONTENT, break_after=len(CONTENT) // 8)
    with pytest.raises(Unavailable):
        ArtifactRepository(storage).download("f", tmp_path / "f")
    assert not (tmp_path / "f").exists()
    storage.break_after = len(CONTENT)
    assert ArtifactRepository(storage).download("f", tmp_path / "f").read_bytes() == CONTENT
    assert storage.sent_bytes == len(CONTENT)


def test_an_artifact_that_changed_meanwhile_starts_again(tmp_path: Path) -> None:
    storage = Flaky(CONTENT, break_after=len(CONTENT) // 8)
    with pytest.raises(Unavailable):
        ArtifactRepository(storage).download("f", tmp_path / "f")
    other = Flaky(CONTENT[::-1], break_after=2 * len(CONTENT), version="v2")
    assert ArtifactRepository(other).download("f", tmp_path / "f").read_bytes() == CONTENT[::-1]
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize(("version", "ranges"), [(None, True), ("v1", False)])
def test_without_a_version_or_ranges_it_starts_again(version: str | None, ranges: bool, tmp_path: Path) -> None:
    storage = Flaky(CONTENT, break_after=len(CONTENT) // 8, version=version, ranges=ranges)
    with pytest.raises(Unavailable):
        ArtifactRepository(storage).download("f", tmp_path / "f")
    storage.break_after = 2 * len(CONTENT)
    assert ArtifactRepository(storage).download("f", tmp_path / "f").read_bytes() == CONTENT
    assert [entry.name for entry in tmp_path.iterdir()] == ["f"]


def test_bytes_that_do_not_match_the_digest_never_appear(tmp_path: Path) -> None:
    storage = Flaky(CONTENT, break_after=2 * len(CONTENT))
    storage.sha256 = "0" * 64
    with pytest.raises(IntegrityError):
        ArtifactRepository(storage).download("f", tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_a_name_from_a_listing_cannot_leave_the_folder_asked_for(tmp_path: Path) -> None:
    class Hostile(LocalStorage):
        def find(self, path: str) -> FileInfo | None:
            return FileInfo(path=path, is_dir=not path.endswith("x"))

        def list(self, path: str) -> tuple[FileInfo, ...]:
            return (FileInfo(path="d/../../../x", is_dir=False, size_bytes=1),)

    from penstock.ground.errors import InvalidInput

    with pytest.raises(InvalidInput):
        ArtifactRepository(Hostile(tmp_path / "root")).download("d", tmp_path / "got" / "deep")
    assert not (tmp_path / "x").exists()
