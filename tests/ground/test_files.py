"""Files are whole or absent, and paths stay inside."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from penstock.ground.errors import InvalidInput, StorageFailed
from penstock.ground.files import inside, locked, remove_tree, storage_errors, write_atomically, writing


def test_a_write_that_fails_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "value"
    write_atomically(target, b"old")
    with pytest.raises(TypeError), writing(target) as file:
        file.write("not bytes, after the file was opened")  # type: ignore[arg-type]
    assert target.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["value"]


def test_a_full_disk_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed, match="Free some disk space"), storage_errors(tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_really_full_disk_is_named() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StorageFailed, match="No space left"), storage_errors(full), full.open("wb", 0) as file:
        file.write(b"x")


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), storage_errors(tmp_path):
        (tmp_path / "absent").read_bytes()


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "link/x", "a\x00b"])
def test_paths_cannot_escape(tmp_path: Path, path: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(InvalidInput):
        inside(root, path)


def test_paths_inside_are_given(tmp_path: Path) -> None:
    assert inside(tmp_path, "a/b/../c") == tmp_path.resolve() / "a" / "c"
    assert inside(tmp_path, "") == tmp_path.resolve()


def test_a_lock_is_held_against_another_descriptor(tmp_path: Path) -> None:
    import fcntl

    path = tmp_path / "lock"
    with locked(path), path.open() as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_tree_without_write_permission_goes_too(tmp_path: Path) -> None:
    closed = tmp_path / "tree" / "closed"
    closed.mkdir(parents=True)
    (closed / "file").write_text("x")
    closed.chmod(0o500)
    remove_tree(tmp_path / "tree")
    remove_tree(tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_a_name_may_be_as_long_as_the_file_system_takes(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("é" * 127), b"x")
    with pytest.raises(InvalidInput, match="too long"):
        write_atomically(tmp_path / ("a" * 256), b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["é" * 127]
    for path in ("a" * 256, "é" * 128 + "/b", "a/" * 2100):
        with pytest.raises(InvalidInput, match="too long"):
            inside(tmp_path, path)
