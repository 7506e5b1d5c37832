"""Layouts and archives: written, read back the same, and refused when they are damaged or something else."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest

from oci.images import AMD64, content, make_image
from penstock.ground.errors import EnvironmentMismatch, IntegrityError, InvalidInput, NotFound, PenstockError
from penstock.oci.archive import read_archive, write_archive
from penstock.oci.cache import BlobCache
from penstock.oci.digests import digest_of, hex_of
from penstock.oci.image import Image
from penstock.oci.layout import read_layout, write_layout
from penstock.oci.types import Platform

ARM64 = Platform("linux", "arm64")


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return make_image(tmp_path / "cache")


def test_a_layout_comes_back_as_it_was(tmp_path: Path, image: Image) -> None:
    digest = write_layout(image, tmp_path / "layout", tag="v1")
    read = read_layout(tmp_path / "layout", tag="v1")
    assert read.digest("oci") == image.digest("oci") == digest
    assert read.digest("docker") == image.digest("docker")
    assert [content(layer) for layer in read.layers] == [content(layer) for layer in image.layers]


def test_a_layout_holds_many_and_replaces_by_tag(tmp_path: Path, image: Image) -> None:
    other = make_image(tmp_path / "cache", model=b"other", platform=ARM64)
    write_layout(image, tmp_path / "layout", tag="v1")
    write_layout(other, tmp_path / "layout", tag="v1")
    write_layout(image, tmp_path / "layout", tag="v2")
    assert read_layout(tmp_path / "layout", tag="v1").digest() == other.digest()
    assert read_layout(tmp_path / "layout", tag="v2").digest() == image.digest()
    assert read_layout(tmp_path / "layout", platform=AMD64).digest() == image.digest()
    with pytest.raises(NotFound, match="it holds v1, v2"):
        read_layout(tmp_path / "layout")
    with pytest.raises(NotFound, match="Name one by its tag"):
        read_layout(tmp_path / "layout", tag="v3")
    with pytest.raises(EnvironmentMismatch, match="It offers linux/arm64"):
        read_layout(tmp_path / "layout", tag="v1", platform=AMD64)


def test_a_nested_index_is_looked_into(tmp_path: Path, image: Image) -> None:
    write_layout(image, tmp_path / "layout", tag="a")
    index = tmp_path / "layout" / "index.json"
    inner = index.read_bytes()
    (tmp_path / "layout/blobs/sha256" / hex_of(digest_of(inner))).write_bytes(inner)
    entry = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": digest_of(inner), "size": len(inner)}
    index.write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    assert read_layout(tmp_path / "layout", platform=AMD64).digest() == image.digest()


def test_what_is_no_layout_is_refused(tmp_path: Path, image: Image) -> None:
    with pytest.raises(InvalidInput, match="is not an OCI layout"):
        read_layout(tmp_path)
    write_layout(image, tmp_path / "layout")
    (tmp_path / "layout" / "index.json").write_text("{")
    with pytest.raises(InvalidInput, match=r"index.json cannot be read"):
        read_layout(tmp_path / "layout")
    (tmp_path / "layout" / "index.json").unlink()
    with pytest.raises(NotFound, match="it holds nothing"):
        read_layout(tmp_path / "layout")


def test_a_blob_that_is_damaged_or_gone_is_found(tmp_path: Path, image: Image) -> None:
    for number, spoil in enumerate((lambda path: path.unlink(), lambda path: path.write_bytes(b"x"))):
        for which in range(4):
            layout = tmp_path / f"layout-{number}-{which}"
            write_layout(image, layout)
            spoil(sorted((layout / "blobs/sha256").iterdir())[which])
            with pytest.raises(IntegrityError):
                read_layout(layout)


def test_an_archive_comes_back_as_it_was(tmp_path: Path, image: Image) -> None:
    write_archive(image, tmp_path / "image.tar", tags=["iris:v1", "iris:latest"])
    write_archive(image, tmp_path / "again.tar", tags=["iris:v1", "iris:latest"])
    assert (tmp_path / "image.tar").read_bytes() == (tmp_path / "again.tar").read_bytes()
    for tag in (None, "iris:v1", "iris:latest"):
        read = read_archive(tmp_path / "image.tar", cache=BlobCache(tmp_path / "read"), tag=tag)
        assert read.digest() == image.digest()
    with pytest.raises(NotFound, match="it holds iris:v1, iris:latest"):
        read_archive(tmp_path / "image.tar", cache=BlobCache(tmp_path / "read"), tag="iris:v2")


def saved_by_docker(image: Image, *, linked: bool = False) -> bytes:
    """An archive as older dockers write it: one folder a layer, layers not compressed, a repeated one as a link."""
    buffer = io.BytesIO()
    config = image.config_bytes()
    with tarfile.open(fileobj=buffer, mode="w") as archive:

        def add(name: str, body: bytes) -> None:
            info = tarfile.TarInfo(name)
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))

        names = [f"{number}/layer.tar" for number, _ in enumerate(image.layers)]
        for name, layer in zip(names, image.layers, strict=True):
            add(name, gzip.decompress(content(layer)))
        if linked:
            info = tarfile.TarInfo("9/layer.tar")
            info.type, info.linkname = tarfile.SYMTYPE, "../1/layer.tar"
            archive.addfile(info)
            names[1] = "9/layer.tar"
        add("config.json", config)
        add("manifest.json", json.dumps([{"Config": "config.json", "RepoTags": None, "Layers": names}]).encode())
    return buffer.getvalue()


@pytest.mark.parametrize("linked", [False, True])
def test_an_archive_of_an_older_docker_is_compressed_on_the_way_in(tmp_path: Path, image: Image, linked: bool) -> None:
    (tmp_path / "docker.tar").write_bytes(saved_by_docker(image, linked=linked))
    read = read_archive(tmp_path / "docker.tar", cache=BlobCache(tmp_path / "read"))
    assert [layer.diff_id for layer in read.layers] == [layer.diff_id for layer in image.layers]
    assert read.digest() == image.digest()  # the same compressor gives the same blobs


@pytest.mark.parametrize("cut", [0, 0.1, 0.3, 0.5, 0.7])
def test_a_cut_archive_is_refused(tmp_path: Path, image: Image, cut: float) -> None:
    write_archive(image, tmp_path / "image.tar")
    whole = (tmp_path / "image.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises((InvalidInput, IntegrityError)):
        read_archive(tmp_path / "cut.tar", cache=BlobCache(tmp_path / "read"))


def test_an_archive_that_lies_is_refused(tmp_path: Path, image: Image) -> None:
    good, other = saved_by_docker(image), make_image(tmp_path / "cache", model=b"other")
    for number, (old, new) in enumerate(
        [
            (image.layers[1].diff_id.encode(), other.layers[1].diff_id.encode()),
            (b'"0/layer.tar"', b'"7/layer.tar"'),
            (b'"Layers": ["0/layer.tar", ', b'"Layers": [               '),
            (b'"Config": "config.json"', b'"Config": "cOnfig.json"'),
            (b'[{"Config"', b'{{"Config"'),
        ]
    ):
        assert old in good
        path = tmp_path / f"{number}.tar"
        path.write_bytes(good.replace(old, new))
        with pytest.raises(PenstockError) as caught:
            read_archive(path, cache=BlobCache(tmp_path / "read"))
        assert isinstance(caught.value, InvalidInput | IntegrityError)
