"""Who we are to a registry: keychains that know credentials, from nothing up to docker's own configuration.

A keychain is asked for one host at a time and knows nothing of requests; ``authorizer`` turns what it gives into
headers for that host alone.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from msgspec import Struct

from penstock.ground.errors import InvalidInput, ToolFailed
from penstock.oci.reference import DEFAULT_REGISTRY

HELPER_TIMEOUT_SECONDS = 60
_HUB_KEY = "https://index.docker.io/v1/"
_NOT_FOUND = "credentials not found"


class Credentials(Struct, frozen=True):
    """A user and a password, or a token to trade for access tokens. Never printed."""

    user: str
    password: str
    identity_token: str = ""

    def __repr__(self) -> str:
        return f"Credentials({self.user!r}, ***)"

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return f"Basic {base64.b64encode(f'{self.user}:{self.password}'.encode()).decode()}"


class Keychain(Protocol):
    """Where credentials come from."""

    def find(self, registry: str) -> Credentials | None:
        """The credentials for ``registry`` (host, or host:port), or None to go without."""


class Anonymous:
    """A keychain with no keys."""

    def find(self, registry: str) -> Credentials | None:
        return None


class Basic:
    """One user and password: for ``registry`` alone or, without one, for whichever the client is asked to talk to."""

    def __init__(self, user: str, password: str, registry: str | None = None) -> None:
        self._credentials = Credentials(user, password)
        self._registry = registry

    def find(self, registry: str) -> Credentials | None:
        return self._credentials if self._registry in (None, registry) else None


class FirstOf:
    """The first keychain that knows a registry answers for it."""

    def __init__(self, *keychains: Keychain) -> None:
        self._keychains = keychains

    def find(self, registry: str) -> Credentials | None:
        return next((found for keychain in self._keychains if (found := keychain.find(registry))), None)


class DockerConfig:
    """What ``docker login`` (or ``podman login``) left: config.json with its credential helpers."""

    def __init__(self, path: Path | None = None, *, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._path = path or _config_path(self._environment)

    def find(self, registry: str) -> Credentials | None:
        """Raises InvalidInput for a file that cannot be read, ToolFailed for a credential helper that fails."""
        document = self._document()
        names = (_HUB_KEY, "index.docker.io", registry) if registry == DEFAULT_REGISTRY else (registry,)
        helpers = document.get("credHelpers") or {}
        for name in names:
            helper = helpers.get(name) or document.get("credsStore")
            found = self._ask_helper(helper, name) if helper else None
            found = found or _entry(document.get("auths") or {}, name)
            if found:
                return found
        return None

    def _document(self) -> dict[str, Any]:
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except (ValueError, OSError) as error:
            raise InvalidInput(f"{self._path} cannot be read: {error}.", fix="Log in again to rewrite it.") from error
        return document if isinstance(document, dict) else {}

    def _ask_helper(self, helper: str, registry: str) -> Credentials | None:
        program = f"docker-credential-{helper}"
        try:
            done = subprocess.run(
                [program, "get"],
                input=registry.encode(),
                capture_output=True,
                timeout=HELPER_TIMEOUT_SECONDS,
                env=dict(self._environment),
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ToolFailed(
                f"{program} could not be run: {error}.", fix=f"Install it, or correct {self._path}."
            ) from error
        if done.returncode != 0:
            said = (done.stdout + done.stderr).decode(errors="replace").strip()
            if _NOT_FOUND in said:
                return None
            raise ToolFailed(f"{program} failed for {registry}: {said[:500]}.", fix="Log in to that registry again.")
        return _from_helper(done.stdout, program)


def _config_path(environment: Mapping[str, str]) -> Path:
    if environment.get("REGISTRY_AUTH_FILE"):
        return Path(environment["REGISTRY_AUTH_FILE"])
    home = environment.get("DOCKER_CONFIG") or Path(environment.get("HOME") or Path.home()) / ".docker"
    return Path(home) / "config.json"


def _entry(auths: Mapping[str, Any], registry: str) -> Credentials | None:
    """The entry for ``registry``, whose key may be written with a scheme and a path."""
    for key, entry in auths.items():
        if isinstance(entry, dict) and (key == registry or _host(key) == registry):
            return _from_entry(entry, registry)
    return None


def _host(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _from_entry(entry: Mapping[str, Any], registry: str) -> Credentials | None:
    user, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(entry["auth"], validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError, TypeError) as error:
            raise InvalidInput(f"The saved login for {registry} is damaged.", fix="Log in again.") from error
    token = str(entry.get("identitytoken") or "")
    return Credentials(user, password.rstrip("\0"), token) if user or token else None


def _from_helper(output: bytes, program: str) -> Credentials:
    try:
        answer = json.loads(output)
        user, secret = str(answer["Username"]), str(answer["Secret"])
    except (ValueError, KeyError, TypeError) as error:
        raise ToolFailed(f"{program} gave an answer that cannot be read.", fix="Update it.") from error
    return Credentials("", "", secret) if user == "<token>" else Credentials(user, secret)
