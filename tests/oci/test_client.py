"""The client against our own registry on a real port: what is pushed comes back, checked, and little travels twice."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from oci.images import AMD64, content, make_image
from oci.serving import serving
from penstock.ground.errors import AlreadyExists, EnvironmentMismatch, InvalidInput, NotFound, Unauthenticated
from penstock.oci.auth import Basic
from penstock.oci.cache import BlobCache
from penstock.oci.client import STREAMS, RegistryClient
from penstock.oci.image import Image
from penstock.oci.registry import RegistryApp
from penstock.oci.storage import RegistryStorage
from penstock.oci.types import DOCKER_INDEX, Descriptor, Index, Platform, encode


class Recorder:
    """Passes requests on and remembers them."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.requests: list[tuple[str, str, int]] = []
        self.connections: set[str] = set()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterable[bytes]:
        size = int(environ["CONTENT_LENGTH"] or 0)
        self.connections.add(environ["REMOTE_PORT"])
        self.requests.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], size))
        return self.app(environ, start)  # type: ignore[no-any-return]

    def sent_bytes(self) -> int:
        return sum(size for _, _, size in self.requests)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(RegistryApp(RegistryStorage(tmp_path / "registry")))


@pytest.fixture
def host(recorder: Recorder) -> Iterator[str]:
    with serving(recorder) as host:
        yield host


@pytest.fixture
def client() -> Iterator[RegistryClient]:
    with RegistryClient() as client:
        yield client


@pytest.mark.parametrize("format", ["docker", "oci"])
def test_what_is_pushed_comes_back(tmp_path: Path, host: str, client: RegistryClient, format: Any) -> None:
    image = make_image(tmp_path / "cache")
    digest = client.push(image, f"{host}/team/iris:v1", format=format)
    assert digest == image.digest(format) == client.find_digest(f"{host}/team/iris:v1")
    for reference in (f"{host}/team/iris:v1", f"{host}/team/iris@{digest}"):
        pulled = client.pull(reference, cache=BlobCache(tmp_path / "other"), platform=AMD64)
        assert pulled.digest(format) == digest
        assert [layer.diff_id for layer in pulled.layers] == [layer.diff_id for layer in image.layers]
        assert [content(layer) for layer in pulled.layers] == [content(layer) for layer in image.layers]
        assert pulled.config.runtime.entrypoint == ("serve",)
    assert client.tags(f"{host}/team/iris") == ["v1"]


def test_a_second_push_sends_only_what_changed(
    tmp_path: Path, host: str, client: RegistryClient, recorder: Recorder
) -> None:
    client.push(make_image(tmp_path / "cache"), f"{host}/iris:v1")
    first_bytes = recorder.sent_bytes()
    recorder.requests.clear()
    changed = make_image(tmp_path / "cache", model=os.urandom(100))
    client.push(changed, f"{host}/iris:v2")
    assert recorder.sent_bytes() < first_bytes
    assert not any(str(changed.layers[0].digest) in path for method, path, _ in recorder.requests if method == "PUT")
    assert sum(method == "PUT" and "/blobs/" in path for method, path, _ in recorder.requests) == 2
    recorder.requests.clear()
    client.push(changed, f"{host}/iris:v2")
    assert [method for method, _, _ in recorder.requests] == ["GET"]


def test_what_the_tag_names_already_is_not_asked_for(
    tmp_path: Path, host: str, client: RegistryClient, recorder: Recorder
) -> None:
    client.push(make_image(tmp_path / "cache"), f"{host}/iris:v1")
    recorder.requests.clear()
    client.push(make_image(tmp_path / "cache", model=os.urandom(100)), f"{host}/iris:v1")
    asked = sorted(method for method, _, _ in recorder.requests)
    assert asked == ["GET", "HEAD", "HEAD", "POST", "POST", "PUT", "PUT", "PUT"]


def test_a_connection_is_kept_for_the_next_request(
    tmp_path: Path, host: str, client: RegistryClient, recorder: Recorder
) -> None:
    for version in range(5):
        client.push(make_image(tmp_path / "cache", model=os.urandom(100)), f"{host}/iris:{version}")
    client.find_digest(f"{host}/absent:1")
    client.tags(f"{host}/iris")
    assert len(recorder.requests) > 30
    assert len(recorder.connections) <= STREAMS


def test_a_registry_on_this_machine_costs_no_certificates(
    tmp_path: Path, host: str, client: RegistryClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent.pem"))
    client.push(make_image(tmp_path / "cache"), f"{host}/iris:v1")
    with pytest.raises(InvalidInput, match="SSL_CERT_FILE"):
        client.find_digest("registry.example/iris:v1")


def test_blobs_are_mounted_from_another_repository(
    tmp_path: Path, host: str, client: RegistryClient, recorder: Recorder
) -> None:
    image = make_image(tmp_path / "cache")
    client.push(image, f"{host}/base:1")
    recorder.requests.clear()
    client.push(image, f"{host}/model:1", mount_from=["absent", "base"])
    puts = [path for method, path, _ in recorder.requests if method == "PUT"]
    assert puts == ["/v2/model/manifests/1"]
    assert client.pull(f"{host}/model:1", cache=BlobCache(tmp_path / "x"), platform=AMD64).digest() == image.digest()


def test_the_platform_is_chosen_from_an_index(tmp_path: Path, host: str, client: RegistryClient) -> None:
    storage = RegistryStorage(tmp_path / "registry")
    entries = []
    for platform in (Platform("linux", "arm64", "v8"), AMD64):
        image = make_image(tmp_path / "cache", platform=platform)
        digest = client.push(image, f"{host}/iris")
        entries.append(
            Descriptor(
                media_type="application/vnd.docker.distribution.manifest.v2+json",
                digest=digest,
                size_bytes=len(image.manifest()),
                platform=platform,
            )
        )
    attestation = Descriptor(
        media_type=entries[0].media_type,
        digest=entries[0].digest,
        size_bytes=entries[0].size_bytes,
        platform=Platform("unknown", "unknown"),
    )
    index = Index(schema_version=2, media_type=DOCKER_INDEX, manifests=(attestation, *entries))
    storage.put_manifest("iris", encode(index), media_type=DOCKER_INDEX, tag="both")
    cache = BlobCache(tmp_path / "pulled")
    for text in ("linux/amd64", "linux/arm64"):
        platform = Platform.parse(text)
        pulled = client.pull(f"{host}/iris:both", cache=cache, platform=platform)
        assert pulled.platform.architecture == platform.architecture
    with pytest.raises(EnvironmentMismatch, match=r"linux/s390x.*It offers linux/arm64/v8, linux/amd64"):
        client.pull(f"{host}/iris:both", cache=cache, platform=Platform("linux", "s390x"))
    with pytest.raises(EnvironmentMismatch, match="is made for linux/amd64, not for linux/arm64"):
        client.pull(f"{host}/iris:latest", cache=cache, platform=Platform("linux", "arm64"))


def test_what_is_not_there_is_not_found(tmp_path: Path, host: str, client: RegistryClient) -> None:
    client.push(make_image(tmp_path / "cache"), f"{host}/iris:v1")
    assert client.find_digest(f"{host}/iris:v2") is None
    for call in (
        lambda: client.pull(f"{host}/iris:v2", cache=BlobCache(tmp_path / "x")),
        lambda: client.manifest(f"{host}/other:v1"),
        lambda: client.tags(f"{host}/other"),
        lambda: client.delete(f"{host}/iris:v2"),
    ):
        with pytest.raises(NotFound, match="404"):
            call()


def test_deleting_by_tag_and_by_digest(tmp_path: Path, host: str, client: RegistryClient) -> None:
    image = make_image(tmp_path / "cache")
    for tag in ("v1", "v2"):
        client.push(image, f"{host}/iris:{tag}")
    client.delete(f"{host}/iris:v1")
    assert client.tags(f"{host}/iris") == ["v2"]
    client.delete(f"{host}/iris@{image.digest()}")
    assert client.tags(f"{host}/iris") == []
    assert client.find_digest(f"{host}/iris@{image.digest()}") is None


def test_a_push_by_another_digest_is_refused(tmp_path: Path, host: str, client: RegistryClient) -> None:
    with pytest.raises(InvalidInput, match="The image's digest is"):
        client.push(make_image(tmp_path), f"{host}/iris@sha256:{'0' * 64}")


def test_basic_credentials_are_sent_when_asked_for(tmp_path: Path) -> None:
    good = Basic("AWS", "secret").find("x")
    assert good is not None
    app = RegistryApp(
        RegistryStorage(tmp_path / "registry"),
        authorize=lambda environ: environ.get("HTTP_AUTHORIZATION") == good.basic,
        ecr_mode=True,
    )
    image = make_image(tmp_path / "cache")
    with serving(app) as host:
        with RegistryClient(auth=Basic("AWS", "secret")) as client:
            assert client.push(image, f"{host}/iris:v1") == image.digest()
        with RegistryClient() as stranger, pytest.raises(Unauthenticated, match=f"docker login {host}"):
            stranger.manifest(f"{host}/iris:v1")
        with RegistryClient(auth=Basic("AWS", "old")) as late, pytest.raises(Unauthenticated, match="401"):
            late.push(image, f"{host}/iris:v2")
        elsewhere = Basic("AWS", "secret", registry="other.example")
        with RegistryClient(auth=elsewhere) as other, pytest.raises(Unauthenticated, match="no credentials"):
            other.manifest(f"{host}/iris:v1")


def test_ecr_manners(tmp_path: Path) -> None:
    app = RegistryApp(
        RegistryStorage(tmp_path / "registry"),
        ecr_mode=True,
        repository_exists=lambda name: name == "iris",
        tag_immutable=lambda _repository, tag: tag.startswith("v"),
    )
    image, other = make_image(tmp_path / "cache"), make_image(tmp_path / "cache", model=b"other")
    with serving(app) as host, RegistryClient() as client:
        with pytest.raises(NotFound, match="NAME_UNKNOWN"):
            client.push(image, f"{host}/unmade:v1")
        client.push(image, f"{host}/iris:v1")
        client.push(image, f"{host}/iris:v1")
        with pytest.raises(AlreadyExists, match="immutable"):
            client.push(other, f"{host}/iris:v1")
        client.push(image, f"{host}/iris:latest")
        assert client.push(other, f"{host}/iris:latest") == other.digest()


def test_many_who_pull_the_same_image_at_once_share_the_work(
    tmp_path: Path, host: str, client: RegistryClient, recorder: Recorder
) -> None:
    image = make_image(tmp_path / "cache", model=os.urandom(3_000_000))
    client.push(image, f"{host}/iris:v1")
    recorder.requests.clear()

    def pull(_: int) -> Image:
        return client.pull(f"{host}/iris:v1", cache=BlobCache(tmp_path / "shared"), platform=AMD64)

    with ThreadPoolExecutor(6) as pool:
        pulled = list(pool.map(pull, range(6)))
    assert {one.digest() for one in pulled} == {image.digest()}
    fetched = [path for method, path, _ in recorder.requests if method == "GET" and "/blobs/" in path]
    assert len(fetched) == len(set(fetched)) == 3
    assert list((tmp_path / "shared" / "partial").iterdir()) == []


def test_what_one_registry_gave_another_takes(tmp_path: Path, host: str, client: RegistryClient) -> None:
    """An image read in one format goes on in the same bytes, or in the other format with the same blobs."""
    image = make_image(tmp_path / "cache")
    client.push(image, f"{host}/oci:1", format="oci")
    read = client.pull(f"{host}/oci:1", cache=BlobCache(tmp_path / "pulled"), platform=AMD64)
    assert read.source_digest == image.digest("oci")
    assert client.push(read, f"{host}/copy:1", format="oci") == image.digest("oci")
    assert client.push(read, f"{host}/docker:1", format="docker") == image.digest("docker")
    assert client.manifest(f"{host}/docker:1").media_type == "application/vnd.docker.distribution.manifest.v2+json"
