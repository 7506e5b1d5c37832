"""The OCI distribution conformance suite's cases (version 1.1), asked of our registry and of Debian's docker-registry.

Source: opencontainers/distribution-spec, conformance; the names of the cases follow the suite's. Left out: sha512,
anonymous mounts, tag parameters and sparse manifests, which the specification leaves open and we do not offer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from oci.serving import serving
from penstock.oci.digests import digest_of
from penstock.oci.registry import RegistryApp
from penstock.oci.storage import RegistryStorage
from wire.registries import docker_registry

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
EMPTY_JSON = "application/vnd.oci.empty.v1+json"
ACCEPT = f"{OCI_MANIFEST}, {OCI_INDEX}"
EXAMPLE = "application/vnd.example"
CHUNK = 1024


class Repository:
    """One repository of a registry, as a client without manners sees it."""

    def __init__(self, http: httpx.Client, name: str) -> None:
        self.http = http
        self.name = name
        self.root = f"/v2/{name}"

    def start(self, **query: str) -> httpx.Response:
        return self.http.post(f"{self.root}/blobs/uploads/", params=query)

    def patch(self, location: str, content: Any, *, first: int | None = None) -> httpx.Response:
        span = {"Content-Range": f"{first}-{first + len(content) - 1}"} if first is not None else {}
        return self.http.patch(location, content=content, headers={"Content-Type": "application/octet-stream", **span})

    def put(self, location: str, digest: str, content: bytes = b"", *, first: int | None = None) -> httpx.Response:
        url = httpx.URL(location).copy_merge_params({"digest": digest})
        span = {"Content-Range": f"{first}-{first + len(content) - 1}"} if first is not None else {}
        return self.http.put(url, content=content, headers={"Content-Type": "application/octet-stream", **span})

    def push(self, content: bytes) -> str:
        digest = digest_of(content)
        assert self.put(self.start().headers["Location"], digest, content).status_code == 201
        return digest

    def holds(self, content: bytes) -> bool:
        """Whether HEAD and GET agree that the blob is here, byte for byte."""
        url = f"{self.root}/blobs/{digest_of(content)}"
        head, got = self.http.head(url), self.http.get(url)
        assert head.status_code == got.status_code
        if got.status_code == 200:
            assert int(head.headers["Content-Length"]) == len(content)
            assert head.headers["Docker-Content-Digest"] == digest_of(content)
            assert got.content == content
        return got.status_code == 200

    def descriptor(self, content: bytes, media_type: str, **more: Any) -> dict[str, Any]:
        self.push(content)
        return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}

    def image(self, *, layers: int = 2, **more: Any) -> dict[str, Any]:
        """A manifest whose blobs are pushed."""
        config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}})
        return {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.descriptor(config.encode(), OCI_CONFIG),
            "layers": [self.descriptor(os.urandom(512), OCI_LAYER) for _ in range(layers)],
            **more,
        }

    def put_manifest(self, document: dict[str, Any] | bytes, version: str | None = None) -> httpx.Response:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        headers = {"Content-Type": json.loads(content)["mediaType"]}
        url = f"{self.root}/manifests/{version or digest_of(content)}"
        return self.http.put(url, content=content, headers=headers)

    def get_manifest(self, version: str, method: str = "GET") -> httpx.Response:
        return self.http.request(method, f"{self.root}/manifests/{version}", headers={"Accept": ACCEPT})


Tool = Callable[[str], Path]


@pytest.fixture(scope="module", params=["ours", "ecr mode", "docker-registry"])
def registry(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    directory = tmp_path_factory.mktemp("registry")
    if request.param == "docker-registry":
        tool: Tool = request.getfixturevalue("tool")
        with docker_registry(tool("docker-registry"), directory) as host:
            yield request.param, host
    else:
        app = RegistryApp(RegistryStorage(directory), ecr_mode=request.param == "ecr mode")
        with serving(app) as host:
            yield request.param, host


@pytest.fixture
def kind(registry: tuple[str, str]) -> str:
    return registry[0]


@pytest.fixture
def http(registry: tuple[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{registry[1]}", trust_env=False) as http:
        yield http


@pytest.fixture
def repository(http: httpx.Client, request: pytest.FixtureRequest) -> Repository:
    return Repository(http, f"conformance/r{abs(hash(request.node.name)):x}")


@pytest.fixture
def blob() -> bytes:
    return os.urandom(CHUNK * 3 - 5)


@pytest.fixture
def only_ours(kind: str) -> None:
    if kind == "docker-registry":
        pytest.skip("docker-registry 2.8 does not keep to this part of the specification")


def code(response: httpx.Response) -> str:
    told: str = response.json()["errors"][0]["code"]
    return told


def test_ping(http: httpx.Client) -> None:
    assert http.get("/v2/").status_code == 200


def test_blob_get_missing(repository: Repository, blob: bytes) -> None:
    response = repository.http.get(f"{repository.root}/blobs/{digest_of(blob)}")
    assert (response.status_code, code(response)) == (404, "BLOB_UNKNOWN")
    assert not repository.holds(blob)


@pytest.mark.usefixtures("only_ours")
def test_blob_post_only(repository: Repository, blob: bytes) -> None:
    url = f"{repository.root}/blobs/uploads/"
    response = repository.http.post(url, params={"digest": digest_of(blob)}, content=blob)
    assert response.status_code == 201
    assert repository.http.get(response.headers["Location"]).content == blob
    assert repository.holds(blob)


def test_blob_post_put(repository: Repository, blob: bytes) -> None:
    started = repository.start()
    assert started.status_code == 202
    finished = repository.put(started.headers["Location"], digest_of(blob), blob)
    assert finished.status_code == 201
    assert repository.http.get(finished.headers["Location"]).content == blob
    assert repository.holds(blob)


@pytest.mark.parametrize("content", [b"", b"{}"], ids=["empty", "emptyJSON"])
def test_blob_well_known_contents(repository: Repository, content: bytes) -> None:
    repository.push(content)
    assert repository.holds(content)


@pytest.mark.parametrize("chunk_bytes", [CHUNK * 3, CHUNK], ids=["chunked single", "chunked multi"])
@pytest.mark.parametrize("put_last", [False, True], ids=["", "and put chunk"])
def test_blob_chunked(repository: Repository, blob: bytes, kind: str, chunk_bytes: int, put_last: bool) -> None:
    if kind == "ecr mode" and chunk_bytes < len(blob):
        pytest.skip("ECR takes one PATCH a session")
    location = repository.start().headers["Location"]
    for first in range(0, len(blob), chunk_bytes):
        chunk = blob[first : first + chunk_bytes]
        if put_last and first + chunk_bytes >= len(blob):
            finished = repository.put(location, digest_of(blob), chunk, first=first)
            break
        sent = repository.patch(location, chunk, first=first)
        assert sent.status_code == (201 if kind == "ecr mode" else 202)
        assert sent.headers["Range"] == f"0-{first + len(chunk) - 1}"
        location = sent.headers["Location"]
    else:
        finished = repository.put(location, digest_of(blob))
    assert finished.status_code == 201
    assert repository.holds(blob)


def test_blob_chunked_out_of_order(repository: Repository, blob: bytes, kind: str) -> None:
    if kind != "ours":
        pytest.skip("ECR takes one PATCH a session, and docker-registry 2.8 does not look at Content-Range")
    location = repository.start().headers["Location"]
    location = repository.patch(location, blob[:CHUNK], first=0).headers["Location"]
    for first in (0, 2 * CHUNK):
        refused = repository.patch(location, blob[first : first + CHUNK], first=first)
        assert refused.status_code == 416
    where = repository.http.get(location)
    assert where.status_code == 204
    assert where.headers["Range"] == f"0-{CHUNK - 1}"
    location = repository.patch(where.headers["Location"], blob[CHUNK:], first=CHUNK).headers["Location"]
    assert repository.put(location, digest_of(blob)).status_code == 201
    assert repository.holds(blob)


def test_blob_stream(repository: Repository, blob: bytes, kind: str) -> None:
    """A PATCH without a length, in chunked transfer coding, as docker and podman send it."""
    location = repository.start().headers["Location"]
    sent = repository.patch(location, iter([blob[:100], blob[100:]]))
    assert sent.status_code == (201 if kind == "ecr mode" else 202)
    assert repository.put(sent.headers["Location"], digest_of(blob)).status_code == 201
    assert repository.holds(blob)


def test_blob_mount(repository: Repository, blob: bytes, kind: str) -> None:
    other = Repository(repository.http, f"{repository.name}-source")
    other.push(blob)
    mounted = repository.start(**{"mount": digest_of(blob), "from": other.name})
    assert mounted.status_code == (202 if kind == "ecr mode" else 201)
    assert repository.holds(blob) == (kind != "ecr mode")


def test_blob_mount_missing(repository: Repository, blob: bytes) -> None:
    other = Repository(repository.http, f"{repository.name}-source")
    other.push(b"something else")
    started = repository.start(**{"mount": digest_of(blob), "from": other.name})
    assert started.status_code == 202
    assert repository.put(started.headers["Location"], digest_of(blob), blob).status_code == 201


def test_blob_post_cancel(repository: Repository, blob: bytes) -> None:
    location = repository.start().headers["Location"]
    assert repository.http.delete(location).status_code == 204
    assert repository.put(location, digest_of(blob), blob).status_code == 404
    assert not repository.holds(blob)


@pytest.mark.parametrize("way", ["post only", "post+put", "chunked", "chunked and put chunk", "stream"])
def test_blob_bad_digest(repository: Repository, blob: bytes, kind: str, way: str) -> None:
    digest, bad = digest_of(blob), blob + b"oh no"
    if way == "post only":
        if kind == "docker-registry":
            pytest.skip("docker-registry 2.8 does not take a blob in a POST")
        response = repository.http.post(f"{repository.root}/blobs/uploads/", params={"digest": digest}, content=bad)
    elif way == "post+put":
        response = repository.put(repository.start().headers["Location"], digest, bad)
    else:
        content: Any = iter([bad]) if way == "stream" else bad if way == "chunked" else bad[:CHUNK]
        location = repository.patch(repository.start().headers["Location"], content).headers["Location"]
        response = repository.put(location, digest, b"" if way in ("chunked", "stream") else bad[CHUNK:])
    assert (response.status_code, code(response)) == (400, "DIGEST_INVALID")
    assert not repository.holds(blob)
    assert not repository.holds(bad)


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [("500-1499", 500, 1499), ("500-", 500, 2047), ("-500", 1548, 2047), ("2000-5000", 2000, 2047), ("0-0", 0, 0)],
)
def test_blob_ranges(repository: Repository, asked: str, first: int, last: int) -> None:
    blob = os.urandom(2048)
    url = f"{repository.root}/blobs/{repository.push(blob)}"
    response = repository.http.get(url, headers={"Range": f"bytes={asked}"})
    assert response.status_code == 206
    assert response.headers["Content-Range"] == f"bytes {first}-{last}/2048"
    assert int(response.headers["Content-Length"]) == last - first + 1
    assert response.content == blob[first : last + 1]


@pytest.mark.parametrize("asked", ["500-0", "5000-10000"])
@pytest.mark.usefixtures("only_ours")
def test_blob_ranges_that_are_not_there(repository: Repository, asked: str) -> None:
    url = f"{repository.root}/blobs/{repository.push(os.urandom(2048))}"
    assert repository.http.get(url, headers={"Range": f"bytes={asked}"}).status_code == 416


def test_blob_delete(repository: Repository, blob: bytes) -> None:
    url = f"{repository.root}/blobs/{repository.push(blob)}"
    assert repository.http.delete(url).status_code == 202
    assert not repository.holds(blob)
    assert repository.http.delete(url).status_code == 404


def variants(repository: Repository) -> dict[str, Callable[[], dict[str, Any]]]:
    """The manifests that the suite makes, by its names for them."""

    def index_of(*manifests: dict[str, Any], **more: Any) -> dict[str, Any]:
        entries = []
        for document in manifests:
            content = json.dumps(document).encode()
            assert repository.put_manifest(content).status_code == 201
            platform = {"architecture": "amd64", "os": "linux"}
            entries.append(
                {
                    "mediaType": document["mediaType"],
                    "digest": digest_of(content),
                    "size": len(content),
                    "platform": platform,
                }
            )
        return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, **more}

    def artifact(**more: Any) -> dict[str, Any]:
        empty = repository.descriptor(b"{}", EMPTY_JSON)
        return {**repository.image(layers=0), "artifactType": EXAMPLE, "config": empty, "layers": [empty], **more}

    foreign = {
        "mediaType": "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "digest": digest_of(b"elsewhere"),
        "size": 9,
        "urls": ["https://store.example.com/blobs/sha256/1"],
    }
    return {
        "Image": repository.image,
        "No Layers": lambda: repository.image(layers=0),
        "Image with Large Manifest": lambda: repository.image(annotations={str(n): "x" * 1000 for n in range(3900)}),
        "Index": lambda: index_of(repository.image(), repository.image()),
        "Nested Index": lambda: index_of(index_of(repository.image())),
        "Empty Index": index_of,
        "Artifact without Layers": artifact,
        "Artifact Index": lambda: index_of(artifact(), artifactType=EXAMPLE),
        "Missing Subject": lambda: artifact(
            subject={"mediaType": OCI_MANIFEST, "digest": digest_of(os.urandom(9)), "size": 1}
        ),
        "Data Field": lambda: repository.image(
            config=repository.descriptor(b'{"os":"linux"}', OCI_CONFIG, data="eyJvcyI6ImxpbnV4In0=")
        ),
        "Non-distributable Layers": lambda: {**repository.image(), "layers": [foreign]},
        "Custom Fields": lambda: repository.image(**{"org.example": {"custom": ["field"]}}),
    }


VARIANTS = (
    "Image", "No Layers", "Image with Large Manifest", "Index", "Nested Index", "Empty Index",
    "Artifact without Layers", "Artifact Index", "Missing Subject", "Data Field", "Non-distributable Layers",
    "Custom Fields",
)  # fmt: skip


@pytest.mark.parametrize("variant", VARIANTS)
def test_manifest_put_get_head(repository: Repository, kind: str, variant: str) -> None:
    if kind == "docker-registry" and variant in ("Empty Index", "Non-distributable Layers"):
        pytest.skip("docker-registry 2.8 refuses these")
    content = json.dumps(variants(repository)[variant]()).encode()
    digest = digest_of(content)
    for version in (digest, "a-Tag.1"):
        put = repository.put_manifest(content, version)
        assert put.status_code == 201, put.text
        assert put.headers["Docker-Content-Digest"] == digest
        assert repository.http.get(put.headers["Location"], headers={"Accept": ACCEPT}).content == content
        got, head = repository.get_manifest(version), repository.get_manifest(version, "HEAD")
        assert (got.status_code, head.status_code) == (200, 200)
        assert got.content == content
        assert head.content == b""
        for response in (got, head):
            assert response.headers["Content-Type"] == json.loads(content)["mediaType"]
            assert response.headers["Docker-Content-Digest"] == digest
            assert int(response.headers["Content-Length"]) == len(content)


@pytest.mark.usefixtures("only_ours")
def test_manifest_bad_digests(repository: Repository) -> None:
    document = repository.image()
    content = json.dumps(document).encode()
    spaced = repository.put_manifest(content + b" ", digest_of(content))
    assert (spaced.status_code, code(spaced)) == (400, "DIGEST_INVALID")
    assert repository.put_manifest(content, "sha256:baddigeststring").status_code in (400, 404)
    assert repository.get_manifest("sha256:baddigeststring").status_code in (400, 404)
    assert repository.get_manifest(digest_of(content)).status_code == 404


def test_manifest_missing(repository: Repository, kind: str) -> None:
    repository.put_manifest(repository.image(), "there")
    for version in ("missing-tag", digest_of(b"missing")):
        response = repository.get_manifest(version)
        assert (response.status_code, code(response)) == (404, "MANIFEST_UNKNOWN")


def test_manifest_naming_a_missing_blob(repository: Repository) -> None:
    document = repository.image()
    document["layers"][0]["digest"] = digest_of(b"never pushed")
    response = repository.put_manifest(document, "v1")
    assert (response.status_code, code(response)) == (400, "MANIFEST_BLOB_UNKNOWN")
    assert repository.get_manifest("v1").status_code == 404


@pytest.mark.usefixtures("only_ours")
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"schemaVersion":2}', b"\xff\xfe"])
def test_manifest_invalid(repository: Repository, content: bytes) -> None:
    url = f"{repository.root}/manifests/v1"
    response = repository.http.put(url, content=content, headers={"Content-Type": OCI_MANIFEST})
    assert (response.status_code, code(response)) == (400, "MANIFEST_INVALID")


def test_manifest_moves_with_its_tag(repository: Repository) -> None:
    one, two = (json.dumps(repository.image()).encode() for _ in range(2))
    for content in (one, two):
        repository.put_manifest(content, "v1")
    assert repository.get_manifest("v1").content == two
    assert repository.get_manifest(digest_of(one)).content == one


@pytest.mark.usefixtures("only_ours")
def test_tag_delete(repository: Repository) -> None:
    content = json.dumps(repository.image()).encode()
    repository.put_manifest(content, "v1")
    url = f"{repository.root}/manifests/v1"
    assert repository.http.delete(url).status_code == 202
    assert repository.get_manifest("v1").status_code == 404
    assert repository.get_manifest(digest_of(content)).status_code == 200
    assert repository.http.delete(url).status_code == 404


def test_manifest_delete(repository: Repository) -> None:
    content = json.dumps(repository.image()).encode()
    for tag in ("v1", "v2"):
        repository.put_manifest(content, tag)
    url = f"{repository.root}/manifests/{digest_of(content)}"
    assert repository.http.delete(url).status_code == 202
    for version in ("v1", "v2", digest_of(content)):
        assert repository.get_manifest(version).status_code == 404
    assert repository.http.delete(url).status_code == 404


@pytest.mark.usefixtures("only_ours")
def test_tag_list(repository: Repository) -> None:
    content = json.dumps(repository.image()).encode()
    tags = ["0.1", "B", "_x", "a", "z-9"]
    for tag in reversed(tags):
        repository.put_manifest(content, tag)
    url = f"{repository.root}/tags/list"
    assert repository.http.get(url).json() == {"name": repository.name, "tags": tags}
    page = repository.http.get(url, params={"n": 2})
    assert page.json()["tags"] == tags[:2]
    seen = list(page.json()["tags"])
    while "next" in page.links:
        page = repository.http.get(page.links["next"]["url"])
        seen += page.json()["tags"]
    assert seen == tags
    assert repository.http.get(url, params={"n": 2, "last": "B"}).json()["tags"] == ["_x", "a"]
    assert repository.http.get(url, params={"last": "a"}).json()["tags"] == ["z-9"]
    assert repository.http.get(url, params={"n": 0}).json()["tags"] == []
    assert repository.http.get(url, params={"n": "many"}).status_code == 400


@pytest.mark.usefixtures("only_ours")
def test_referrers(repository: Repository) -> None:
    subject = json.dumps(repository.image()).encode()
    repository.put_manifest(subject, "image")
    pointing = {"mediaType": OCI_MANIFEST, "digest": digest_of(subject), "size": len(subject)}
    artifact, plain = variants(repository)["Artifact without Layers"](), repository.image(subject=pointing)
    signed = json.dumps({**artifact, "subject": pointing, "annotations": {"a": "1"}}).encode()
    put = repository.put_manifest(signed)
    assert put.headers["OCI-Subject"] == digest_of(subject)
    repository.put_manifest(plain)
    url = f"{repository.root}/referrers/{digest_of(subject)}"
    listed = repository.http.get(url)
    assert listed.headers["Content-Type"] == OCI_INDEX
    entries = {entry["digest"]: entry for entry in listed.json()["manifests"]}
    assert entries[digest_of(signed)] == {
        "mediaType": OCI_MANIFEST,
        "digest": digest_of(signed),
        "size": len(signed),
        "artifactType": EXAMPLE,
        "annotations": {"a": "1"},
    }
    assert {entry["artifactType"] for entry in entries.values()} == {EXAMPLE, OCI_CONFIG}
    filtered = repository.http.get(url, params={"artifactType": EXAMPLE})
    assert filtered.headers["OCI-Filters-Applied"] == "artifactType"
    assert [entry["digest"] for entry in filtered.json()["manifests"]] == [digest_of(signed)]
    repository.http.delete(f"{repository.root}/manifests/{digest_of(signed)}")
    assert len(repository.http.get(url).json()["manifests"]) == 1
    nobody = repository.http.get(f"{repository.root}/referrers/{digest_of(b'nobody')}")
    assert (nobody.status_code, nobody.json()["manifests"]) == (200, [])


@pytest.mark.usefixtures("only_ours")
def test_what_is_no_name_or_no_method(http: httpx.Client, repository: Repository) -> None:
    upper = http.get("/v2/UPPER/manifests/v1")
    assert (upper.status_code, code(upper)) == (400, "NAME_INVALID")
    assert http.get("/v2/a/../b/manifests/v1").status_code in (400, 404)
    assert http.get("/elsewhere").status_code == 404
    refused = http.post(f"{repository.root}/manifests/v1")
    assert (refused.status_code, code(refused)) == (405, "UNSUPPORTED")
    tag = http.get(f"{repository.root}/manifests/-bad")
    assert (tag.status_code, code(tag)) == (400, "TAG_INVALID")
    large = repository.put_manifest({"mediaType": OCI_MANIFEST, "x": "y" * (4 << 20)}, "v1")
    assert (large.status_code, code(large)) == (413, "SIZE_INVALID")


def test_names_may_hold_the_words_of_the_paths(http: httpx.Client) -> None:
    for name in ("blobs/x", "a/manifests/b", "tags/list/tags", "a/blobs/uploads"):
        repository = Repository(http, name)
        content = json.dumps(repository.image()).encode()
        assert repository.put_manifest(content, "v1").status_code == 201
        assert repository.get_manifest("v1").content == content
