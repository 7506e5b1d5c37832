"""Which credentials and which hosts a registry is reached with, without a registry."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oci.serving import serving
from penstock.api.images import pull, push
from penstock.api.registry_login import RegistryLogins
from penstock.ground.errors import InvalidInput, PenstockError
from penstock.ground.settings import Settings, load_settings
from penstock.oci.auth import DockerConfig
from penstock.oci.cache import BlobCache
from penstock.oci.image import empty_image
from penstock.oci.layer import LayerEntry, write_layer
from penstock.oci.reference import Reference
from penstock.oci.registry import RegistryApp
from penstock.oci.storage import RegistryStorage
from penstock.oci.types import Platform

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def settings_of(tmp_path: Path, **environment: str) -> Settings:
    return load_settings(environment={"HOME": str(tmp_path), **environment}, directory=tmp_path)


def logins(tmp_path: Path, auths: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> RegistryLogins:
    """The logins of someone with that docker configuration and with no AWS credentials whatever."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "absent"))
    (tmp_path / "config.json").write_text(json.dumps({"auths": auths}))
    return RegistryLogins(settings_of(tmp_path), docker=DockerConfig(tmp_path / "config.json"))


def test_other_registries_get_what_docker_login_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keychain = logins(tmp_path, {"ghcr.io": {"username": "ann", "password": "x"}}, monkeypatch)
    found = keychain.find("ghcr.io")
    assert found is not None
    assert found.user == "ann"
    assert keychain.find("quay.io") is None
    assert keychain.make_repository(Reference.parse("quay.io/team/iris:1")) is False


def test_without_aws_credentials_a_docker_login_to_ecr_still_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = logins(tmp_path, {ECR: {"username": "AWS", "password": "x"}}, monkeypatch).find(ECR)
    assert found is not None
    assert found.user == "AWS"


def test_without_either_it_is_aws_that_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PenstockError, match="redential"):
        logins(tmp_path, {}, monkeypatch).find(ECR)


def test_a_mirror_of_the_settings_is_pulled_from_first(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "blobs")
    layer = write_layer([LayerEntry(name="file", content=b"x")], cache)
    image = empty_image(Platform("linux", "amd64")).append([layer])
    with serving(RegistryApp(RegistryStorage(tmp_path / "mirror"))) as mirror:
        push(image, f"{mirror}/library/iris:1", settings=settings_of(tmp_path))
        known = settings_of(tmp_path, PENSTOCK_REGISTRY_MIRRORS=f"docker.io={mirror}")
        assert pull("iris:1", settings=known).digest == image.digest()
    with pytest.raises(InvalidInput, match="REGISTRY=HOST"):
        settings_of(tmp_path, PENSTOCK_REGISTRY_MIRRORS="mirror.example")
