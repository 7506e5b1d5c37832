from __future__ import annotations

from pathlib import Path

import pytest

from images.making import make_wheel
from images.places import SmallWorld
from penstock.ground.errors import AlreadyExists, InvalidInput
from penstock.images.build import BuildOptions, BuiltImage, build_image
from penstock.images.difference import Change, compare_images
from penstock.images.dockerfile import write_context
from penstock.images.inspect import build_view
from penstock.images.model import read_model_files
from penstock.images.outdated import find_outdated
from penstock.images.store import ImageStore, StoredImage


@pytest.fixture
def first(small_world: SmallWorld, tmp_path: Path) -> BuiltImage:
    small_world.model(tmp_path / "model", requirements="scikit-learn\n")
    return built(small_world, tmp_path)


def built(world: SmallWorld, tmp_path: Path, **options: object) -> BuiltImage:
    how = BuildOptions(apt_sources=world.apt_sources, **options)  # type: ignore[arg-type]
    return build_image(world.folder(tmp_path / "model"), options=how, cache_dir=tmp_path / "cache")


def kept(image: BuiltImage, tmp_path: Path) -> StoredImage:
    store = ImageStore(tmp_path / "cache")
    return store.keep(image.image, target=image.target, requirements=image.lock.requirements, base_name="auto")


def test_an_image_does_not_differ_from_itself(first: BuiltImage):
    assert compare_images(first.image, first.image).is_empty


def test_another_model_differs_in_its_own_files_and_bytes(first: BuiltImage, small_world: SmallWorld, tmp_path: Path):
    (tmp_path / "model" / "model.pkl").write_bytes(b"another")
    second = built(small_world, tmp_path)
    difference = compare_images(first.image, second.image)
    assert [(file.name, file.before_bytes, file.after_bytes) for file in difference.files] == [
        ("opt/ml/model/model.pkl", 6, 7)
    ]
    assert difference.packages == ()
    assert [change.name for change in difference.config] == ["label penstock.model.digest"]
    assert difference.new_bytes == second.image.layers[-1].size_bytes + len(second.image.config_bytes())
    assert difference.same_bytes + difference.new_bytes == second.image.size_bytes


def test_newer_packages_are_told_by_version(first: BuiltImage, small_world: SmallWorld, tmp_path: Path):
    make_wheel(small_world.index, "scikit_learn", "1.10.0", requires=("numpy",))
    small_world.archive.add("tzdata", "2.0-1")
    small_world.archive.publish()
    stored = kept(first, tmp_path)
    offered = find_outdated(first.image, stored, apt_sources=small_world.apt_sources, cache_dir=tmp_path / "cache")
    assert offered.packages == (Change("scikit-learn", "1.9.1", "1.10.0"),)
    assert offered.debian_packages == (Change("tzdata", "1.0-1", "2.0-1"),)
    assert built(small_world, tmp_path).image.digest() == first.image.digest()
    difference = compare_images(first.image, built(small_world, tmp_path, refresh=True).image)
    assert (difference.packages, difference.debian_packages) == (offered.packages, offered.debian_packages)


def test_what_was_not_built_here_has_no_known_requirements(first: BuiltImage, tmp_path: Path):
    stored = ImageStore(tmp_path / "other").keep(first.image)
    with pytest.raises(InvalidInput, match="was not built here"):
        find_outdated(first.image, stored, apt_sources=None, cache_dir=tmp_path)


def test_a_view_says_why_each_layer_is_there(first: BuiltImage):
    view = build_view(first.image, names=("iris",))
    assert [layer.note.partition(":")[0] for layer in view.layers] == [
        "base", "packages", "program", "bill of materials", "model",
    ]  # fmt: skip
    assert view.packages["scikit-learn"] == "1.9.1"
    assert view.debian_packages["libgomp1"] == "1.0-1"
    assert sum(layer.size_bytes for layer in view.layers) <= view.size_bytes


def test_the_build_context_holds_all_that_the_dockerfile_copies(
    first: BuiltImage, small_world: SmallWorld, tmp_path: Path
):
    files = read_model_files(small_world.folder(tmp_path / "model"))
    text = write_context(tmp_path / "context", first.lock, first.base, files)
    assert text.startswith("# The image")
    assert "FROM --platform=linux/amd64 python:3.11-slim\n" in text
    assert 'ENTRYPOINT ["/opt/venv/bin/python", "-m", "penstock.serving"]' in text
    for line in text.splitlines():
        if line.startswith("COPY"):
            assert (tmp_path / "context" / line.split()[1]).exists(), line
    with pytest.raises(AlreadyExists):
        write_context(tmp_path / "context", first.lock, first.base, files)
