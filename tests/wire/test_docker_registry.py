"""Our client against Debian's docker-registry: push, pull, mount, delete, Basic and Bearer, both kinds of Location."""

from __future__ import annotations

import base64
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from oci.images import make_image
from oci.serving import serving
from penstock.ground.errors import NotFound, Unauthenticated
from penstock.oci.auth import Basic, DockerConfig
from penstock.oci.cache import BlobCache
from penstock.oci.client import RegistryClient
from penstock.oci.types import Platform
from wire.registries import docker_registry

AMD64 = Platform("linux", "amd64")
BCRYPT_OF_SECRET = "$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"
Tool = Callable[[str], Path]


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("format", ["docker", "oci"])
def test_push_and_pull_back(tmp_path: Path, tool: Tool, relative: bool, format: Any) -> None:
    image = make_image(tmp_path / "cache")
    with (
        docker_registry(tool("docker-registry"), tmp_path / "registry", relative=relative) as host,
        RegistryClient() as client,
    ):
        digest = client.push(image, f"{host}/team/iris:v1", format=format)
        assert digest == image.digest(format)
        pulled = client.pull(f"{host}/team/iris@{digest}", cache=BlobCache(tmp_path / "pulled"), platform=AMD64)
        assert pulled.digest(format) == digest
        assert client.tags(f"{host}/team/iris") == ["v1"]


def test_mounts_and_deletes(tmp_path: Path, tool: Tool) -> None:
    image = make_image(tmp_path / "cache")
    with docker_registry(tool("docker-registry"), tmp_path / "registry") as host, RegistryClient() as client:
        client.push(image, f"{host}/base:1")
        client.push(image, f"{host}/model:1", mount_from=["base"])
        client.delete(f"{host}/model@{image.digest()}")
        assert client.find_digest(f"{host}/model:1") is None
        with pytest.raises(NotFound, match="404"):
            client.delete(f"{host}/model@{image.digest()}")
        assert client.find_digest(f"{host}/base:1") == image.digest()


def test_basic_like_ecr_from_docker_config(tmp_path: Path, tool: Tool) -> None:
    (tmp_path / "htpasswd").write_text(f"AWS:{BCRYPT_OF_SECRET}\n")
    auth = {"htpasswd": {"realm": "r", "path": str(tmp_path / "htpasswd")}}
    image = make_image(tmp_path / "cache")
    with docker_registry(tool("docker-registry"), tmp_path / "registry", auth=auth) as host:
        login = base64.b64encode(b"AWS:secret").decode()
        (tmp_path / "config.json").write_text(json.dumps({"auths": {f"http://{host}/v1/": {"auth": login}}}))
        with RegistryClient(auth=DockerConfig(tmp_path / "config.json")) as client:
            assert client.push(image, f"{host}/iris:v1") == image.digest()
        with RegistryClient(auth=Basic("AWS", "wrong")) as client, pytest.raises(Unauthenticated):
            client.push(image, f"{host}/iris:v2")


class TokenServer:
    """A token service that signs short-lived ES256 tokens for whatever scopes are asked of it."""

    def __init__(self, directory: Path, *, lifetime_seconds: int = 60) -> None:
        self.issued: list[list[str]] = []
        self._lifetime_seconds = lifetime_seconds
        self._key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .sign(self._key, hashes.SHA256())
        )
        self.bundle = directory / "bundle.pem"
        self.bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._chain = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()

    def __call__(self, environ: dict[str, Any], start: Any) -> Iterator[bytes]:
        scopes = parse_qs(environ["QUERY_STRING"]).get("scope", [])
        good = base64.b64encode(b"ann:secret").decode()
        if environ.get("HTTP_AUTHORIZATION") != f"Basic {good}":
            start("401 Unauthorized", [("Content-Length", "2")])
            return iter([b"no"])
        self.issued.append(scopes)
        body = json.dumps({"token": self._token(scopes)}).encode()
        start("200 OK", [("Content-Length", str(len(body))), ("Content-Type", "application/json")])
        return iter([body])

    def _token(self, scopes: list[str]) -> str:
        access = [
            {"type": kind, "name": name, "actions": actions.split(",")}
            for kind, name, actions in (scope.split(":") for scope in scopes)
        ]
        now = int(time.time())
        claims = {
            "iss": "iss",
            "sub": "ann",
            "aud": "svc",
            "exp": now + self._lifetime_seconds,
            "nbf": now - 10,
            "iat": now,
            "jti": str(len(self.issued)),
            "access": access,
        }
        header = {"typ": "JWT", "alg": "ES256", "x5c": [self._chain]}
        signed = b".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
        r, s = decode_dss_signature(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
        return (signed + b"." + _base64(r.to_bytes(32, "big") + s.to_bytes(32, "big"))).decode()


def _base64(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def test_bearer_with_two_scopes_in_one_token(tmp_path: Path, tool: Tool) -> None:
    tokens = TokenServer(tmp_path)
    image = make_image(tmp_path / "cache")
    with serving(tokens) as realm:
        auth = {
            "token": {
                "realm": f"http://{realm}/token",
                "service": "svc",
                "issuer": "iss",
                "rootcertbundle": str(tokens.bundle),
            }
        }
        with docker_registry(tool("docker-registry"), tmp_path / "registry", auth=auth) as host:
            with RegistryClient(auth=Basic("ann", "secret")) as client:
                client.push(image, f"{host}/base:1")
                assert client.push(image, f"{host}/model:1", mount_from=["base"]) == image.digest()
                pulled = client.pull(f"{host}/model:1", cache=BlobCache(tmp_path / "pulled"), platform=AMD64)
                assert pulled.digest() == image.digest()
            assert tokens.issued[-1] == ["repository:base:pull,push", "repository:model:pull,push"]
            with RegistryClient(auth=Basic("ann", "wrong")) as client, pytest.raises(Unauthenticated, match="refused"):
                client.push(image, f"{host}/base:2")
            with RegistryClient() as client, pytest.raises(Unauthenticated):
                client.push(image, f"{host}/base:2")


def test_the_registry_says_what_we_say(tmp_path: Path, tool: Tool) -> None:
    """The manifest as curl sees it: the digest header is ours, byte for byte."""
    image = make_image(tmp_path / "cache")
    with docker_registry(tool("docker-registry"), tmp_path / "registry") as host, RegistryClient() as client:
        client.push(image, f"{host}/iris:v1")
        done = subprocess.run(
            [tool("curl"), "-s", "-H", "Accept: application/vnd.docker.distribution.manifest.v2+json",
             f"http://{host}/v2/iris/manifests/v1"],
            capture_output=True, check=True,
        )  # fmt: skip
        assert done.stdout == image.manifest()
