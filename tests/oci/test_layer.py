"""Layers: deterministic, readable by the standard library's tar, refused where no layer can hold it."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from penstock.ground.errors import IntegrityError, InvalidInput
from penstock.oci.cache import BlobCache
from penstock.oci.compression import BEST, ZLIB
from penstock.oci.layer import EPOCH, LayerBlob, LayerEntry, write_layer


def members(layer: LayerBlob) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(layer.path) as archive:
        return {member.name: member for member in archive}


def test_a_layer_is_the_same_whatever_the_order_and_says_what_it_is(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path)
    entries = [
        LayerEntry(name="opt/app/run", content=b"#!", mode=0o755),
        LayerEntry(name="bin/python", kind="symlink", link_target="python3"),
        LayerEntry(name="opt", kind="directory", mode=0o700),
    ]
    layer = write_layer(entries, cache)
    again = write_layer(reversed(entries), cache)
    assert again == layer
    blob = layer.path.read_bytes()
    assert layer.digest == f"sha256:{sha256(blob).hexdigest()}"
    assert layer.diff_id == f"sha256:{sha256(gzip.decompress(blob)).hexdigest()}"
    assert layer.size_bytes == len(blob)
    assert list(members(layer)) == ["bin", "bin/python", "opt", "opt/app", "opt/app/run"]
    run = members(layer)["opt/app/run"]
    assert (run.mode, run.uid, run.gid, run.uname, run.mtime) == (0o755, 0, 0, "", EPOCH)
    assert members(layer)["opt"].mode == 0o700
    assert members(layer)["bin/python"].linkname == "python3"


def test_the_diff_id_is_a_promise(tmp_path: Path) -> None:
    """The tar of a fixed entry, on any machine, Python and compressor; a change here breaks reproducibility."""
    entry = LayerEntry(name="opt/ml/model/MLmodel", content=b"flavors: {}\n")
    for compressor in (BEST, ZLIB):
        layer = write_layer([entry], BlobCache(tmp_path / compressor.id, compressor=compressor), mtime=EPOCH)
        assert layer.diff_id == "sha256:fe0ce4b5c1872648662a7380dd65aecad984e2a8dd350a860eb7f9c853e3904d"


@pytest.mark.parametrize(
    "name",
    [
        "a" * 99,
        "a" * 101,
        "d" * 90 + "/" + "f" * 90,
        "d" * 160 + "/" + "f" * 20,
        "x/" * 140 + "end",
        "é/ü.py",
        "日本" * 60,
    ],
)
def test_names_of_any_length_and_script_are_kept(tmp_path: Path, name: str) -> None:
    layer = write_layer([LayerEntry(name=name, content=b"x"), LayerEntry(name="l", kind="symlink", link_target=name)],
                        BlobCache(tmp_path))  # fmt: skip
    found = members(layer)
    assert found[name].size == 1
    assert found["l"].linkname == name


def test_contents_come_from_bytes_files_and_openers(tmp_path: Path) -> None:
    big = os.urandom(3_500_000)
    (tmp_path / "big").write_bytes(big)
    layer = write_layer(
        [
            LayerEntry(name="file", content=tmp_path / "big"),
            LayerEntry(name="opener", content=lambda: io.BytesIO(big), size_bytes=len(big)),
            LayerEntry(name="zlink", kind="hardlink", link_target="file"),
        ],
        BlobCache(tmp_path / "cache"),
    )
    with tarfile.open(layer.path) as archive:
        for name in ("file", "opener", "zlink"):
            content = archive.extractfile(name)
            assert content is not None
            assert content.read() == big


def test_an_opener_that_lies_about_its_size_is_caught(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path)
    for size in (2, 4):
        with pytest.raises(IntegrityError, match=f"a is not {size} bytes"):
            write_layer([LayerEntry(name="a", content=lambda: io.BytesIO(b"abc"), size_bytes=size)], cache)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["", "/a", "a/", "../a", "a/./b", "a//b", "a\0b", ".wh.a", "a/.wh..wh..opq"])
def test_names_that_no_layer_can_hold_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidInput, match="cannot hold"):
        write_layer([LayerEntry(name=name)], BlobCache(tmp_path))


def test_the_same_name_twice_is_refused_unless_a_directory(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path)
    with pytest.raises(InvalidInput, match="twice"):
        write_layer([LayerEntry(name="a"), LayerEntry(name="a")], cache)
    with pytest.raises(InvalidInput, match="not a directory"):
        write_layer([LayerEntry(name="a"), LayerEntry(name="a/b")], cache)
    twice = [LayerEntry(name="a", kind="directory"), LayerEntry(name="a", kind="directory")]
    assert list(members(write_layer(twice, cache))) == ["a"]


@pytest.mark.parametrize("target", ["gone", "directory", "link"])
def test_a_hard_link_to_what_is_no_file_is_refused(tmp_path: Path, target: str) -> None:
    entries = [
        LayerEntry(name="directory", kind="directory"),
        LayerEntry(name="link", kind="hardlink", link_target=target),
    ]
    with pytest.raises(InvalidInput, match="no file of the layer"):
        write_layer(entries, BlobCache(tmp_path))


def test_source_date_epoch_is_honoured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert members(write_layer([LayerEntry(name="a")], BlobCache(tmp_path)))["a"].mtime == 1700000000


def test_a_known_key_is_not_written_again(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path)
    first = write_layer([LayerEntry(name="a", content=b"1")], cache, key="wheel")

    def never() -> Iterator[LayerEntry]:
        raise AssertionError
        yield

    assert write_layer(never(), cache, key="wheel") == first
    assert BlobCache(tmp_path).find("wheel") == first
    assert BlobCache(tmp_path, compressor=ZLIB).find("wheel") is None or BEST is ZLIB
