"""podman pulls and loads what we push and write, and pushes to our registry."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from oci.images import AMD64, content, make_image
from oci.serving import serving
from penstock.oci.archive import write_archive
from penstock.oci.cache import BlobCache
from penstock.oci.client import RegistryClient
from penstock.oci.image import Image
from penstock.oci.layout import write_layout
from penstock.oci.registry import RegistryApp
from penstock.oci.storage import RegistryStorage
from wire.registries import docker_registry

Tool = Callable[[str], Path]
Podman = Callable[..., bytes]


@pytest.fixture
def podman(tool: Tool, tmp_path: Path) -> Iterator[Podman]:
    program = tool("podman")
    if os.geteuid() != 0:
        pytest.skip("podman without root needs a set-up user namespace")

    def run(*arguments: str) -> bytes:
        done = subprocess.run([program, *own, *arguments], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    with TemporaryDirectory(prefix="pod") as run_root:  # podman takes no more than 50 characters
        own = ["--root", tmp_path / "root", "--runroot", run_root, "--storage-driver", "vfs"]
        yield run


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return make_image(tmp_path / "cache")


def image_id(image: Image) -> str:
    """podman's id of an image is the digest of its config."""
    config: str = json.loads(image.manifest())["config"]["digest"]
    return config.removeprefix("sha256:")


def test_it_pulls_what_we_push_to_docker_registry(tmp_path: Path, tool: Tool, podman: Podman, image: Image) -> None:
    with docker_registry(tool("docker-registry"), tmp_path / "theirs") as host, RegistryClient() as client:
        digest = client.push(image, f"{host}/iris:v1")
        assert podman("pull", "-q", "--tls-verify=false", f"{host}/iris:v1").decode().strip() == image_id(image)
        (seen,) = json.loads(podman("image", "inspect", f"{host}/iris:v1"))
    assert seen["Digest"] == digest
    assert seen["Config"]["Entrypoint"] == ["serve"]
    assert seen["RootFS"]["Layers"] == [layer.diff_id for layer in image.layers]
    assert [entry["created_by"] for entry in seen["History"]] == ["base", "model"]


def test_it_pulls_from_and_pushes_to_our_registry(tmp_path: Path, podman: Podman, image: Image) -> None:
    with serving(RegistryApp(RegistryStorage(tmp_path / "ours"))) as host, RegistryClient() as client:
        client.push(image, f"{host}/iris:v1")
        podman("pull", "-q", "--tls-verify=false", f"{host}/iris:v1")
        podman("push", "-q", "--tls-verify=false", f"{host}/iris:v1", f"{host}/again:v1")
        pulled = client.pull(f"{host}/again:v1", cache=BlobCache(tmp_path / "pulled"), platform=AMD64)
    assert [layer.diff_id for layer in pulled.layers] == [layer.diff_id for layer in image.layers]
    assert content(pulled.layers[1])


def test_it_loads_our_archive_and_our_layout(tmp_path: Path, podman: Podman, image: Image) -> None:
    write_archive(image, tmp_path / "image.tar", tags=["localhost/iris:v1"])
    podman("load", "-q", "-i", str(tmp_path / "image.tar"))
    (seen,) = json.loads(podman("image", "inspect", "localhost/iris:v1"))
    assert seen["Id"] == image_id(image)
    write_layout(image, tmp_path / "layout", tag="v1")
    assert podman("pull", "-q", f"oci:{tmp_path / 'layout'}:v1").decode().strip() == image_id(image)
