"""One plane for this folder's tests, and targets on it with state directories of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.stage import Stage
from penstock.oci.cache import BlobCache
from penstock.oci.image import Image
from penstock.rehearsal.options import PlaneInfo
from penstock.rehearsal.process import start_plane, stop_plane
from rehearsal.tiny import tiny_image


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The tiny image, built once."""
    return tiny_image(BlobCache(tmp_path_factory.mktemp("blobs")))


@pytest.fixture(scope="session")
def plane_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the folder's plane keeps its state."""
    return tmp_path_factory.mktemp("plane")


@pytest.fixture(scope="session")
def plane(plane_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlaneInfo]:
    """A plane that all tests of the folder share; each uses names of its own."""
    yield start_plane(plane_dir, cache_dir=tmp_path_factory.mktemp("plane-cache"), detached=False)
    stop_plane(plane_dir)


@pytest.fixture
def stage(plane: PlaneInfo, plane_dir: Path, tiny: Image, tmp_path: Path) -> Iterator[Stage]:
    """A target on the plane, with the tiny image at hand; what a test leaves is deleted after it."""
    one = Stage(plane, tiny, tmp_path)
    one.plane_dir = plane_dir
    yield one
    one.clear()


@pytest.fixture
def stages(plane: PlaneInfo, tiny: Image, tmp_path: Path) -> Callable[[str], Stage]:
    """Makes further stages, each with a state directory of its own, as if on another machine."""
    return lambda name: Stage(plane, tiny, tmp_path / name)
