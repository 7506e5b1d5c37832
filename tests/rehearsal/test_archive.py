"""Model archives are read without trust."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from penstock.ground.errors import InvalidInput
from penstock.rehearsal.runner.archive import check_archive, extract_archive
from rehearsal.planes import archive


def with_member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        tar.addfile(member, io.BytesIO(b""))
    return buffer.getvalue()


def test_a_good_archive_is_extracted_readable_by_all(tmp_path: Path) -> None:
    content = archive({"MLmodel": b"flavors:", "data/model.bin": b"12345"})
    assert check_archive(io.BytesIO(content)) == 13
    extract_archive(io.BytesIO(content), tmp_path / "model")
    found = tmp_path / "model" / "data" / "model.bin"
    assert found.read_bytes() == b"12345"
    assert found.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (with_member("../outside"), "leads outside"),
        (with_member("/etc/passwd"), "leads outside"),
        (with_member("link", tarfile.SYMTYPE, "MLmodel"), "is a link"),
        (with_member("link", tarfile.LNKTYPE, "MLmodel"), "is a link"),
        (with_member("pipe", tarfile.FIFOTYPE), "neither a file nor a directory"),
        (b"PK\x03\x04 a zip renamed", "not a gzipped tar"),
        (archive({"a": b"x" * 100_000})[:-30], "not a gzipped tar"),
        (b"", "not a gzipped tar"),
    ],
    ids=["traversal", "absolute", "symbolic link", "hard link", "pipe", "zip", "cut", "empty"],
)
def test_what_sagemaker_would_not_extract_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=said):
        check_archive(io.BytesIO(content))
    with pytest.raises(InvalidInput, match=said):
        extract_archive(io.BytesIO(content), tmp_path / "model")
    assert not (tmp_path / "outside").exists()
