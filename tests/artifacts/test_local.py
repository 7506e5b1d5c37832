"""What a folder of this machine adds to the contract: links, partial files, kept digests."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from penstock.artifacts.local import LocalStorage, folder_of
from penstock.artifacts.open import open_artifacts
from penstock.ground.errors import InvalidInput, NotFound


@pytest.mark.parametrize("uri", ["file:///a%20b/c", "file:/a b/c", "file://localhost/a b/c"])
def test_file_uris_name_folders(uri: str) -> None:
    assert folder_of(uri) == Path("/a b/c")


@pytest.mark.parametrize("uri", ["file://evil.example/etc", "file:///x?y", "file:///x#/../y", "file:///x;y"])
def test_file_uris_with_more_than_a_path_are_refused(uri: str) -> None:
    with pytest.raises(InvalidInput):
        open_artifacts(uri)


@pytest.mark.parametrize("uri", ["gopher://x/y", "ftp://x", "runs:/x/y"])
def test_unknown_schemes_are_refused(uri: str) -> None:
    with pytest.raises(InvalidInput, match="not known"):
        open_artifacts(uri)


def test_links_that_lead_out_are_neither_listed_nor_followed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("s")
    (tmp_path / "folder").mkdir()
    (root / "file_link").symlink_to(tmp_path / "secret")
    (root / "folder_link").symlink_to(tmp_path / "folder")
    repository = open_artifacts(str(root))
    assert repository.list() == ()
    with pytest.raises(InvalidInput):
        repository.open("file_link")
    with pytest.raises(InvalidInput):
        repository.write("folder_link/x", io.BytesIO(b"x"))
    repository_root = repository
    with pytest.raises(InvalidInput):
        repository_root.delete("file_link")
    assert (tmp_path / "secret").read_text() == "s"
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_kept_digest_is_dropped_once_the_file_changes_in_place(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path)
    storage.write("f", io.BytesIO(b"one"))
    with storage.open("f") as reading:
        assert reading.sha256 in (None, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed")
    (tmp_path / "f").write_bytes(b"another")
    with storage.open("f") as reading:
        assert reading.sha256 is None


def test_an_upload_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    class Breaking:
        def read(self, size: int = -1, /) -> bytes:
            raise ConnectionError("gone")

    storage = LocalStorage(tmp_path)
    with pytest.raises(ConnectionError):
        storage.write("f", Breaking())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    with pytest.raises(NotFound):
        LocalStorage(tmp_path).open("d")


def test_a_tree_that_leads_back_into_itself_is_refused(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "loop").symlink_to(tree)
    with pytest.raises(InvalidInput, match="back into itself"):
        open_artifacts(str(tmp_path / "kept")).upload_tree(tree)
