"""Keychains: docker's configuration in all its spellings, credential helpers, and challenges."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from penstock.ground.errors import InvalidInput, ToolFailed
from penstock.oci.auth import Anonymous, Basic, Credentials, DockerConfig, FirstOf
from penstock.oci.authorizer import Challenge, parse_challenges

LOGIN = base64.b64encode(b"ann:p:w").decode()


def configured(directory: Path, document: object, **environment: str) -> DockerConfig:
    (directory / "config.json").write_text(document if isinstance(document, str) else json.dumps(document))
    return DockerConfig(environment={"DOCKER_CONFIG": str(directory), **environment})


def helper(directory: Path, name: str, script: str) -> str:
    """Installs a credential helper and gives a PATH that finds it."""
    program = directory / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\nread server\n{script}\n")
    program.chmod(0o755)
    return f"{directory}:{os.environ['PATH']}"


@pytest.mark.parametrize("key", ["r.io:5000", "https://r.io:5000", "https://r.io:5000/v2/", "http://r.io:5000/v1/"])
def test_a_saved_login_is_found_however_its_host_is_written(tmp_path: Path, key: str) -> None:
    keychain = configured(tmp_path, {"auths": {"other.io": {}, key: {"auth": LOGIN}}})
    assert keychain.find("r.io:5000") == Credentials("ann", "p:w")
    assert keychain.find("r.io") is None
    assert keychain.find("other.io") is None


def test_other_forms_of_entries(tmp_path: Path) -> None:
    auths = {
        "plain.io": {"username": "ann", "password": "pw"},
        "token.io": {"auth": base64.b64encode(b"00000000-0000-0000-0000-000000000000:").decode(), "identitytoken": "t"},
        "https://index.docker.io/v1/": {"auth": LOGIN},
    }
    keychain = configured(tmp_path, {"auths": auths})
    assert keychain.find("plain.io") == Credentials("ann", "pw")
    token = keychain.find("token.io")
    assert token is not None
    assert token.identity_token == "t"
    assert keychain.find("docker.io") == Credentials("ann", "p:w")


def test_no_configuration_is_no_credentials(tmp_path: Path) -> None:
    assert DockerConfig(environment={"HOME": str(tmp_path)}).find("r.io") is None
    assert configured(tmp_path, {}).find("r.io") is None
    assert configured(tmp_path, []).find("r.io") is None


@pytest.mark.parametrize("text", ["{", "\x00"])
def test_a_broken_configuration_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(InvalidInput, match=r"config.json cannot be read"):
        configured(tmp_path, text).find("r.io")


@pytest.mark.parametrize("auth", ["!", base64.b64encode(b"\xff").decode()])
def test_a_broken_login_is_told_without_showing_it(tmp_path: Path, auth: str) -> None:
    with pytest.raises(InvalidInput, match=r"login for r.io is damaged") as caught:
        configured(tmp_path, {"auths": {"r.io": {"auth": auth}}}).find("r.io")
    assert auth not in str(caught.value) or auth == "!"


def test_podmans_file_is_read_where_it_is_set(tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {"r.io": {"auth": LOGIN}}}))
    keychain = DockerConfig(environment={"REGISTRY_AUTH_FILE": str(tmp_path / "auth.json"), "HOME": "/nowhere"})
    assert keychain.find("r.io") == Credentials("ann", "p:w")


@pytest.mark.parametrize("setting", [{"credsStore": "vault"}, {"credHelpers": {"r.io": "vault"}}])
def test_a_credential_helper_is_asked_for_its_registry(tmp_path: Path, setting: dict[str, object]) -> None:
    told = """printf '{"ServerURL":"%s","Username":"ann","Secret":"for %s"}' "$server" "$server" """
    keychain = configured(tmp_path, {**setting, "auths": {"r.io": {}}}, PATH=helper(tmp_path, "vault", told))
    assert keychain.find("r.io") == Credentials("ann", "for r.io")


def test_a_helper_may_hold_an_identity_token_or_nothing(tmp_path: Path) -> None:
    path = helper(tmp_path, "vault", """printf '{"Username":"<token>","Secret":"t"}' """)
    assert configured(tmp_path, {"credsStore": "vault"}, PATH=path).find("r.io") == Credentials("", "", "t")
    path = helper(tmp_path, "vault", "echo 'credentials not found in native keychain'; exit 1")
    keychain = configured(tmp_path, {"credsStore": "vault", "auths": {"r.io": {"auth": LOGIN}}}, PATH=path)
    assert keychain.find("r.io") == Credentials("ann", "p:w")


@pytest.mark.parametrize(
    ("script", "told"), [("echo locked >&2; exit 1", "failed for r.io: locked"), ("echo no", "cannot be read")]
)
def test_a_helper_that_fails_is_told(tmp_path: Path, script: str, told: str) -> None:
    keychain = configured(tmp_path, {"credsStore": "vault"}, PATH=helper(tmp_path, "vault", script))
    with pytest.raises(ToolFailed, match=told):
        keychain.find("r.io")


def test_a_helper_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ToolFailed, match="docker-credential-gone could not be run"):
        configured(tmp_path, {"credsStore": "gone"}, PATH="/nowhere").find("r.io")


def test_the_first_keychain_that_knows_answers() -> None:
    keychain = FirstOf(Anonymous(), Basic("a", "1", "one.io"), Basic("b", "2"))
    assert keychain.find("one.io") == Credentials("a", "1")
    assert keychain.find("two.io") == Credentials("b", "2")


def test_credentials_are_not_printed() -> None:
    assert "secret" not in repr(Credentials("ann", "secret"))
    assert Credentials("AWS", "secret").basic == "Basic QVdTOnNlY3JldA=="


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Basic realm="r"', [Challenge("basic", {"realm": "r"})]),
        ("BASIC realm=r", [Challenge("basic", {"realm": "r"})]),
        (
            'Bearer realm="https://a/t",service="s",scope="repository:a/b:pull,push repository:c:pull"',
            [
                Challenge(
                    "bearer",
                    {"realm": "https://a/t", "service": "s", "scope": "repository:a/b:pull,push repository:c:pull"},
                )
            ],
        ),
        (
            'Basic realm="r", Bearer realm="https://a/t",service=s',
            [Challenge("basic", {"realm": "r"}), Challenge("bearer", {"realm": "https://a/t", "service": "s"})],
        ),
        ('Negotiate, Basic realm="say Bearer token"', [Challenge("basic", {"realm": "say Bearer token"})]),
        ("Digest nonce=1", []),
        ("", []),
    ],
)
def test_challenges_are_read(header: str, expected: list[Challenge]) -> None:
    assert parse_challenges(header) == expected
