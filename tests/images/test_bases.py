"""Bases from a registry, a layout and an archive, and what is refused of them."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from penstock.ground.errors import EnvironmentMismatch, NotFound
from penstock.images.bases.base import Base
from penstock.images.bases.choose import choose_base, ensure_base
from penstock.images.target import build_target
from penstock.oci.archive import write_archive
from penstock.oci.cache import BlobCache
from penstock.oci.client import RegistryClient
from penstock.oci.image import Image, empty_image
from penstock.oci.layer import LayerEntry, write_layer
from penstock.oci.layout import write_layout
from penstock.oci.types import Platform, RuntimeConfig

TARGET = build_target("3.11")
CONFIG = """version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: 127.0.0.1:{port}, secret: x}}
"""


def slim(tmp_path: Path, *, python: str = "3.11", architecture: str = "amd64") -> Image:
    """An image shaped like the slim Python ones: its Python under /usr/local, in the upper of two layers."""
    blobs = BlobCache(tmp_path / "made")
    lower = write_layer([LayerEntry(name="bin", kind="symlink", link_target="usr/bin")], blobs)
    upper = write_layer([LayerEntry(name=f"usr/local/bin/python{python}", mode=0o755, content=b"elf")], blobs)
    made = empty_image(Platform("linux", architecture)).append([lower, upper])
    return made.configured(
        RuntimeConfig(env=("PATH=/usr/local/bin:/usr/bin", "PYTHON_VERSION=3.11.9"), cmd=("python3",))
    )


def based(name: str, tmp_path: Path, **options: object) -> Base:
    cache = tmp_path / "cache"
    return ensure_base(name, TARGET, apt_sources=None, cache_dir=cache, blobs=BlobCache(cache / "oci"), **options)  # type: ignore[arg-type]


@pytest.fixture
def registry(tool: Callable[[str], Path], tmp_path: Path) -> Iterator[str]:
    """A real docker-registry on loopback: host and port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = tmp_path / "registry.yml"
    config.write_text(CONFIG.format(root=tmp_path / "registry", port=port))
    process = subprocess.Popen(
        [str(tool("docker-registry")), "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 20
    while True:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert time.monotonic() < deadline
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=20)


def test_a_registrys_image_is_taken_by_digest_and_kept(registry: str, tmp_path: Path):
    image, moved = slim(tmp_path), slim(tmp_path).configured(RuntimeConfig(cmd=("other",)))
    with RegistryClient() as client:
        client.push(image, f"{registry}/python:3.11-slim")
        base = based(f"{registry}/python:3.11-slim", tmp_path)
        assert (base.python_path, base.digest) == ("/usr/local/bin/python3.11", image.digest())
        client.push(moved, f"{registry}/python:3.11-slim")
    assert based(f"{registry}/python:3.11-slim", tmp_path).digest == image.digest()
    assert based(f"{registry}/python:3.11-slim", tmp_path, refresh=True).digest == moved.digest()
    assert based(f"{registry}/python@{image.digest()}", tmp_path).digest == image.digest()


def test_an_oci_base_is_rewritten_to_dockers_words(registry: str, tmp_path: Path):
    with RegistryClient() as client:
        client.push(slim(tmp_path), f"{registry}/python:oci", format="oci")
    base = based(f"{registry}/python:oci", tmp_path)
    assert based(f"{registry}/python:oci", tmp_path).digest == base.digest
    assert b"oci" not in base.image.append([]).manifest("docker")


def test_a_base_that_does_not_exist(registry: str, tmp_path: Path):
    with pytest.raises(NotFound, match="nobody"):
        based(f"{registry}/nobody:1", tmp_path)


def test_another_python_is_refused_with_both_versions(tmp_path: Path):
    write_layout(slim(tmp_path, python="3.12"), tmp_path / "layout")
    with pytest.raises(EnvironmentMismatch, match=r"needs Python 3\.11, and the base image .* has Python 3\.12"):
        based(str(tmp_path / "layout"), tmp_path)


def test_another_platform_is_refused(tmp_path: Path):
    write_archive(slim(tmp_path, architecture="arm64"), tmp_path / "base.tar")
    with pytest.raises(EnvironmentMismatch, match="is for linux/arm64, not linux/amd64"):
        based(str(tmp_path / "base.tar"), tmp_path)


def test_layouts_and_archives_are_bases(tmp_path: Path):
    image = slim(tmp_path)
    write_layout(image, tmp_path / "layout", tag="v1")
    write_archive(image, tmp_path / "base.tar")
    for name in (f"oci:{tmp_path / 'layout'}:v1", str(tmp_path / "base.tar")):
        assert [layer.diff_id for layer in based(name, tmp_path).image.layers] == [
            each.diff_id for each in image.layers
        ]


def test_without_debian_sources_the_slim_image_is_the_default():
    assert choose_base("auto", TARGET, apt_sources="deb http://a.example/debian trixie main") == "debian"
    python312 = build_target("3.12")
    assert choose_base("auto", python312, apt_sources="deb http://a.example/debian trixie main") == "python:3.12-slim"
    with pytest.raises(EnvironmentMismatch, match=r"bookworm has 3\.11"):
        choose_base("debian", python312, apt_sources="deb http://a.example/debian trixie main")
