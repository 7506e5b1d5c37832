"""A private index's password opens the index, and is in nothing that leaves this machine."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from images.places import Answer, SmallWorld, TestServer
from penstock.images.build import BuildOptions, BuiltImage, build_image
from penstock.images.dockerfile import write_context
from penstock.images.model import read_model_files
from penstock.images.wheels.kept import keep_lock
from penstock.oci.compression import decompressed

PASSWORD = "s3cret-of-the-index"
HEADER = base64.b64encode(f"ann:{PASSWORD}".encode()).decode()


def offer(server: TestServer, index: Path) -> None:
    """Serves the folder's wheels as a simple index (PEP 503), below a path of its own."""
    for path in index.glob("*.whl"):
        project = path.name.split("-")[0].replace("_", "-")
        link = f'<a href="/files/{path.name}">{path.name}</a>'.encode()
        server.answers[f"/simple/{project}/"] = [Answer(body=link, headers={"Content-Type": "text/html"})]
        server.answers[f"/files/{path.name}"] = [Answer(body=path.read_bytes())]


@pytest.fixture
def private(small_world: SmallWorld, server: TestServer, monkeypatch: pytest.MonkeyPatch) -> SmallWorld:
    offer(server, small_world.index)
    monkeypatch.delenv("UV_NO_INDEX")
    monkeypatch.delenv("UV_FIND_LINKS")
    monkeypatch.setenv("UV_DEFAULT_INDEX", server.url("/simple/").replace("://", f"://ann:{PASSWORD}@"))
    return small_world


def all_bytes(built: BuiltImage) -> Iterator[tuple[str, bytes]]:
    """Everything of an image, layers unpacked."""
    yield "config", built.image.config_bytes()
    yield "manifest", built.image.manifest()
    yield "bill of materials", built.sbom
    for layer in built.image.layers:
        with layer.open() as packed, decompressed(packed) as plain:
            yield layer.digest, b"".join(iter(lambda plain=plain: plain.read(1 << 20), b""))


def test_no_layer_no_lock_and_no_context_holds_the_password(private: SmallWorld, server: TestServer, tmp_path: Path):
    folder = private.model(tmp_path / "model")
    built = build_image(folder, options=BuildOptions(apt_sources=private.apt_sources), cache_dir=tmp_path / "cache")
    asked = [headers for path, headers in server.seen if path.startswith("/files/")]
    assert asked
    assert all(headers.get("authorization") == f"Basic {HEADER}" for headers in asked)
    keep_lock(folder.path, built.lock)
    write_context(tmp_path / "context", built.lock, built.base, read_model_files(folder))
    roots = (folder.path, tmp_path / "context", tmp_path / "cache" / "locks")
    written = [path for root in roots for path in root.rglob("*") if path.is_file()]
    held = [*all_bytes(built), *((str(path), path.read_bytes()) for path in written)]
    assert any(b"scikit-learn" in content for _, content in held)
    leaks = [what for what, content in held if PASSWORD.encode() in content or HEADER.encode() in content]
    assert not leaks
