"""Images as values: manifests in both forms, the same blobs in each, bytes kept as they were read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from penstock.ground.errors import InvalidInput, UnsupportedMedia
from penstock.oci.blob import LayerBlob
from penstock.oci.cache import BlobCache
from penstock.oci.digests import digest_of
from penstock.oci.image import Image, empty_image
from penstock.oci.layer import LayerEntry, write_layer
from penstock.oci.types import (
    DOCKER_MANIFEST,
    OCI_INDEX,
    OCI_MANIFEST,
    History,
    ImageConfig,
    Index,
    Manifest,
    Platform,
    RuntimeConfig,
    decode_config,
    decode_manifest,
)

AMD64 = Platform("linux", "amd64")


@pytest.fixture
def image(tmp_path: Path) -> Image:
    cache = BlobCache(tmp_path)
    layers = [write_layer([LayerEntry(name=name, content=name.encode())], cache) for name in ("base", "model")]
    runtime = RuntimeConfig(entrypoint=("serve",), env=("A=1",), labels={"b": "2", "a": "1"})
    return empty_image(AMD64).configured(runtime).append(layers, notes=("the base", "the model"))


def test_the_two_formats_name_the_same_blobs(image: Image) -> None:
    docker, oci = json.loads(image.manifest("docker")), json.loads(image.manifest("oci"))
    assert (docker["mediaType"], oci["mediaType"]) == (DOCKER_MANIFEST, OCI_MANIFEST)
    assert [layer["digest"] for layer in docker["layers"]] == [layer["digest"] for layer in oci["layers"]]
    assert docker["config"]["digest"] == oci["config"]["digest"] == digest_of(image.config_bytes())
    assert docker["layers"][0]["mediaType"] == "application/vnd.docker.image.rootfs.diff.tar.gzip"
    assert oci["layers"][0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar+gzip"
    assert docker["schemaVersion"] == 2
    assert image.digest("docker") == digest_of(image.manifest("docker")) != image.digest("oci")


def test_the_config_is_what_engines_read(image: Image) -> None:
    config = json.loads(image.config_bytes())
    assert config["rootfs"] == {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]}
    assert config["config"] == {"Env": ["A=1"], "Entrypoint": ["serve"], "Labels": {"a": "1", "b": "2"}}
    assert [entry["created_by"] for entry in config["history"]] == ["the base", "the model"]
    assert (config["architecture"], config["os"]) == ("amd64", "linux")


def test_a_read_image_keeps_its_bytes_until_it_is_changed(image: Image) -> None:
    spaced = json.dumps(json.loads(image.manifest("oci")), indent=3).encode()
    read = Image(config=image.config, layers=image.layers, raw_config=b'{"x": 1}', raw_manifest=spaced)
    assert read.manifest("oci") == spaced
    assert read.source_digest == digest_of(spaced) != read.digest("docker")
    assert image.source_digest is None
    assert json.loads(read.manifest("docker"))["config"]["digest"] == digest_of(b'{"x": 1}')
    assert read.configured(RuntimeConfig()).manifest("oci") != spaced


def test_the_history_always_counts_the_layers(image: Image) -> None:
    bare = Image(config=ImageConfig(architecture="amd64", os="linux"), layers=image.layers)
    grown = bare.append(image.layers[:1], notes=["again"])
    assert grown.config.history is not None
    assert [entry.created_by for entry in grown.config.history] == ["", "", "again"]
    noted = Image(
        config=ImageConfig(
            architecture="amd64", os="linux", history=(History(created_by="ENV", empty_layer=True), History())
        ),
        layers=image.layers[:1],
    )
    assert len(noted.append(image.layers[1:]).config.history or ()) == 3


def test_more_layers_than_engines_stack_are_refused(image: Image) -> None:
    with pytest.raises(InvalidInput, match="127 layers"):
        image.append([image.layers[0]] * 126)


def test_docker_images_cannot_carry_zstd() -> None:
    layer = LayerBlob("sha256:" + "a" * 64, "sha256:" + "b" * 64, 3, Path("x"), "zstd")
    zstd = empty_image(AMD64).append([layer])
    with pytest.raises(UnsupportedMedia, match="zstd"):
        zstd.manifest("docker")
    assert b"tar+zstd" in zstd.manifest("oci")


def test_manifests_are_told_apart_by_type_and_by_content() -> None:
    config = {"mediaType": "c", "digest": "sha256:" + "0" * 64, "size": 1}
    plain = {"schemaVersion": 2, "config": config, "layers": []}
    assert isinstance(decode_manifest(json.dumps(plain).encode()), Manifest)
    assert decode_manifest(json.dumps(plain).encode(), media_type=DOCKER_MANIFEST).media_type == DOCKER_MANIFEST
    index = decode_manifest(b'{"schemaVersion":2,"manifests":[]}')
    assert isinstance(index, Index)
    assert index.media_type == OCI_INDEX
    with pytest.raises(UnsupportedMedia, match="prettyjws"):
        decode_manifest(b'{"schemaVersion":1}', media_type="application/vnd.docker.distribution.manifest.v1+prettyjws")


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{", b'{"layers": 3}', b'{"config": [], "layers": []}'])
def test_broken_manifests_are_invalid_input(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        decode_manifest(content)


def test_configs_of_other_builders_are_read() -> None:
    config = decode_config(
        b'{"architecture":"arm64","os":"linux","config":{"Env":null,"Cmd":["sh"],"OnBuild":null,"ArgsEscaped":true},'
        b'"rootfs":{"type":"layers","diff_ids":[]},"container":"abc","docker_version":"20"}'
    )
    assert config.platform == Platform("linux", "arm64")
    assert config.runtime.cmd == ("sh",)


def test_platforms_match_across_variants() -> None:
    arm = Platform.parse("linux/arm64")
    assert arm.runs(Platform.parse("linux/arm64/v8"))
    assert Platform.parse("linux/arm64/v8").runs(arm)
    assert not Platform.parse("linux/arm/v7").runs(Platform.parse("linux/arm/v6"))
    assert not arm.runs(AMD64)
    with pytest.raises(InvalidInput, match="linux/amd64"):
        Platform.parse("amd64")
