"""The model archive: the same folder gives the same bytes, and no link is ever in it."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from penstock.deploy.archive import write_archive
from penstock.ground.errors import InvalidInput


def _folder(path: Path) -> Path:
    (path / "code").mkdir(parents=True)
    (path / "MLmodel").write_text("flavors: {}\n")
    (path / "code" / "model.pkl").write_bytes(os.urandom(3000))
    return path


def test_the_same_folder_gives_the_same_bytes(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "model")
    first = write_archive(folder, tmp_path / "1.tar.gz")
    os.utime(folder / "MLmodel", (1, 1))
    (folder / "requirements-linux-amd64.lock").write_text("what an image was built of is no part of the model")
    assert write_archive(folder, tmp_path / "2.tar.gz") == first
    assert (tmp_path / "1.tar.gz").read_bytes() == (tmp_path / "2.tar.gz").read_bytes()


def test_links_inside_become_files(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "model")
    (folder / "link").symlink_to("MLmodel")
    write_archive(folder, tmp_path / "a.tar.gz")
    with tarfile.open(tmp_path / "a.tar.gz") as tar:
        assert sorted(tar.getnames()) == ["MLmodel", "code", "code/model.pkl", "link"]
        assert all(member.isfile() or member.isdir() for member in tar)
        assert all((member.uid, member.gid, member.mtime) == (0, 0, 315532800) for member in tar)


@pytest.mark.parametrize("target", ["/etc/hosts", "../outside"])
def test_links_that_lead_outside_are_refused_and_leave_no_file(tmp_path: Path, target: str) -> None:
    (tmp_path / "outside").write_text("x")
    folder = _folder(tmp_path / "model")
    (folder / "link").symlink_to(target)
    with pytest.raises(InvalidInput, match="outside"):
        write_archive(folder, tmp_path / "a.tar.gz")
    assert not (tmp_path / "a.tar.gz").exists()
