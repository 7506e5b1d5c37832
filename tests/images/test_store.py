from __future__ import annotations

from pathlib import Path

import pytest

from penstock.ground.errors import InvalidInput, NotFound
from penstock.images.store import ImageStore
from penstock.oci.image import Image, empty_image
from penstock.oci.layer import LayerEntry, write_layer
from penstock.oci.types import Platform


def image(store: ImageStore, *contents: bytes) -> Image:
    layers = [write_layer([LayerEntry(name="a", content=content)], store.blobs) for content in contents]
    return empty_image(Platform("linux", "amd64")).append(layers)


def test_an_image_comes_back_by_name_digest_and_the_start_of_it(tmp_path: Path):
    store = ImageStore(tmp_path)
    made = image(store, b"one")
    stored = store.keep(made, names=["iris:v1"])
    for name in ("iris:v1", made.digest(), made.digest()[7:15], made.digest()[:20]):
        assert store.get(name) == stored
    assert store.image(stored).digest() == made.digest()
    assert store.image(stored).layers == made.layers


def test_a_name_moves_to_the_image_that_got_it_last(tmp_path: Path):
    store = ImageStore(tmp_path)
    old = store.keep(image(store, b"one"), names=["iris:v1", "iris:old"])
    new = store.keep(image(store, b"two"), names=["iris:v1"])
    assert store.get("iris:v1").digest == new.digest
    assert store.get(old.digest).names == ("iris:old",)


def test_unknown_and_ambiguous_names(tmp_path: Path):
    store = ImageStore(tmp_path)
    store.keep(image(store, b"one"), names=["iris:v1"])
    with pytest.raises(NotFound, match="Near matches: iris:v1"):
        store.get("iris:v2")
    assert store.find("sha") is None
    store.keep(image(store, b"two"))
    with pytest.raises(InvalidInput, match="Several images"):
        store.find("sha256:")


def test_prune_keeps_what_is_used_and_shared(tmp_path: Path):
    store = ImageStore(tmp_path)
    kept = store.keep(image(store, b"shared", b"kept"), names=["kept"])
    gone = store.keep(image(store, b"shared", b"gone"))
    store.forget(gone)
    assert store.prune() == gone.layers[1].size_bytes
    assert store.image(kept).layers[0].path.is_file()
    assert store.find(gone.digest) is None


def test_an_image_that_lost_a_layer_says_so(tmp_path: Path):
    store = ImageStore(tmp_path)
    made = image(store, b"one")
    stored = store.keep(made)
    store.blobs.path(made.layers[0].digest).unlink()
    with pytest.raises(NotFound, match="lost its layer"):
        store.image(stored)
