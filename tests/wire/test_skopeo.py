"""skopeo against what we push, what we serve and what we write, in both directions."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oci.images import AMD64, content, make_image
from oci.serving import serving
from penstock.oci.archive import read_archive, write_archive
from penstock.oci.auth import Basic
from penstock.oci.cache import BlobCache
from penstock.oci.client import RegistryClient
from penstock.oci.image import Image
from penstock.oci.layout import read_layout, write_layout
from penstock.oci.registry import RegistryApp
from penstock.oci.storage import RegistryStorage
from wire.registries import docker_registry

Tool = Callable[[str], Path]
Skopeo = Callable[..., bytes]


@pytest.fixture
def skopeo(tool: Tool, tmp_path: Path) -> Skopeo:
    program = tool("skopeo")
    policy = tmp_path / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')

    def run(*arguments: str) -> bytes:
        command = [program, "--policy", policy, "--tmpdir", tmp_path, *arguments]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    return run


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[str]:
    with serving(RegistryApp(RegistryStorage(tmp_path / "registry"))) as host:
        yield host


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return make_image(tmp_path / "cache")


def same_layers(one: Image, other: Image) -> bool:
    return [content(layer) for layer in one.layers] == [content(layer) for layer in other.layers]


@pytest.mark.parametrize("format", ["docker", "oci"])
def test_it_inspects_and_copies_what_we_push_to_docker_registry(
    tmp_path: Path, tool: Tool, skopeo: Skopeo, image: Image, format: Any
) -> None:
    with docker_registry(tool("docker-registry"), tmp_path / "theirs") as host, RegistryClient() as client:
        digest = client.push(image, f"{host}/iris:v1", format=format)
        seen = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{host}/iris:v1"))
        assert seen["Digest"] == digest
        assert seen["Layers"] == [layer.digest for layer in image.layers]
        assert (seen["Architecture"], seen["Os"], seen["Labels"]) == ("amd64", "linux", {"model": "iris"})
        config = json.loads(skopeo("inspect", "--config", "--tls-verify=false", f"docker://{host}/iris:v1"))
        assert config["config"]["Entrypoint"] == ["serve"]
        skopeo("copy", "--src-tls-verify=false", f"docker://{host}/iris:v1", f"oci:{tmp_path / 'copied'}:v1")
        assert same_layers(read_layout(tmp_path / "copied", tag="v1"), image)


def test_it_pulls_from_our_registry(tmp_path: Path, skopeo: Skopeo, image: Image, ours: str) -> None:
    with RegistryClient() as client:
        client.push(image, f"{ours}/team/iris:v1")
    skopeo("copy", "--src-tls-verify=false", f"docker://{ours}/team/iris:v1", f"dir:{tmp_path / 'dir'}")
    assert (tmp_path / "dir" / "manifest.json").read_bytes() == image.manifest()
    listed = json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{ours}/team/iris"))
    assert listed["Tags"] == ["v1"]


@pytest.mark.parametrize("format", ["v2s2", "oci"])
def test_it_pushes_to_our_registry_and_we_pull(
    tmp_path: Path, skopeo: Skopeo, image: Image, ours: str, format: str
) -> None:
    write_layout(image, tmp_path / "layout", tag="v1")
    for tag in ("v1", "v2"):  # the second time all blobs are there
        skopeo(
            "copy", "--dest-tls-verify=false", f"--format={format}",
            f"oci:{tmp_path / 'layout'}:v1", f"docker://{ours}/iris:{tag}",
        )  # fmt: skip
    with RegistryClient() as client:
        pulled = client.pull(f"{ours}/iris:v2", cache=BlobCache(tmp_path / "pulled"), platform=AMD64)
        assert same_layers(pulled, image)
        assert client.tags(f"{ours}/iris") == ["v1", "v2"]
    skopeo("delete", "--tls-verify=false", f"docker://{ours}/iris:v1")
    with RegistryClient() as client:
        assert client.tags(f"{ours}/iris") == []


def test_it_logs_in_to_and_pushes_to_our_registry_with_ecr_manners(
    tmp_path: Path, skopeo: Skopeo, image: Image
) -> None:
    login = Basic("AWS", "token").find("")
    app = RegistryApp(
        RegistryStorage(tmp_path / "registry"),
        ecr_mode=True,
        authorize=lambda environ: login is not None and environ.get("HTTP_AUTHORIZATION") == login.basic,
    )
    write_layout(image, tmp_path / "layout")
    with serving(app) as host:
        skopeo(
            "copy", "--dest-tls-verify=false", "--dest-creds=AWS:token", "--format=v2s2",
            f"oci:{tmp_path / 'layout'}:latest", f"docker://{host}/iris:v1",
        )  # fmt: skip
        with RegistryClient(auth=Basic("AWS", "token")) as client:
            pulled = client.pull(f"{host}/iris:v1", cache=BlobCache(tmp_path / "pulled"), platform=AMD64)
    assert same_layers(pulled, image)


def test_it_reads_and_writes_docker_archives_with_us(tmp_path: Path, skopeo: Skopeo, image: Image) -> None:
    write_archive(image, tmp_path / "ours.tar", tags=["iris:v1"])
    skopeo("copy", f"docker-archive:{tmp_path / 'ours.tar'}", f"docker-archive:{tmp_path / 'theirs.tar'}:iris:v2")
    cache = BlobCache(tmp_path / "read")
    read = read_archive(tmp_path / "theirs.tar", cache=cache)
    assert [layer.diff_id for layer in read.layers] == [layer.diff_id for layer in image.layers]
    assert read.config.runtime == image.config.runtime
    mine = read_archive(tmp_path / "ours.tar", cache=cache, tag="iris:v1")
    assert mine.digest() == image.digest()
