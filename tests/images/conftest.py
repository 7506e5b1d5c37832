"""A package index in a folder, an apt archive in a folder signed by a real key, and servers that misbehave."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from images.places import Archive, SmallWorld, TestServer
from penstock.images.build import BuildOptions, BuiltImage, build_image


@pytest.fixture
def index_only(tmp_path: Path) -> Callable[[Path], dict[str, str]]:
    """Gives the environment in which ``folder`` is all the package index there is."""

    def environment(folder: Path) -> dict[str, str]:
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        cache = {"UV_CACHE_DIR": str(tmp_path / "uv"), "HOME": str(home)}
        return {**kept, **cache, "UV_NO_INDEX": "1", "UV_FIND_LINKS": str(folder)}

    return environment


@pytest.fixture
def server() -> Iterator[TestServer]:
    made = TestServer()
    yield made
    made.close()


@pytest.fixture
def archive(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], Path]) -> Iterator[Archive]:
    tool("gpgv")
    made = Archive(tmp_path_factory.mktemp("a"), tool("gpg"))
    yield made
    made.close()


@pytest.fixture
def small_world(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallWorld:
    """An apt archive with all that a base needs and a package index with all that the program needs, both tiny."""
    world = SmallWorld(archive, tmp_path / "index")
    world.enter(monkeypatch)
    return world


@pytest.fixture(scope="module")
def small_image(tmp_path_factory: pytest.TempPathFactory, tool: Callable[[str], Path]) -> Iterator[BuiltImage]:
    """An image built from such a world once, for tests that only look at it."""
    home = tmp_path_factory.mktemp("w")
    archive = Archive(home / "archive", tool("gpg"))
    world = SmallWorld(archive, home / "index")
    options = BuildOptions(apt_sources=world.apt_sources)
    with pytest.MonkeyPatch.context() as monkeypatch:
        world.enter(monkeypatch)
        yield build_image(world.model(home / "model"), options=options, cache_dir=home / "cache")
    archive.close()
