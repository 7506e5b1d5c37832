"""References: how people and programs write which image they mean.

The grammar is that of distribution/reference: ``[registry/]repository[:tag][@digest]``; the first part is a registry
when it has a '.' or a ':' in it or is "localhost"; without one it is Docker Hub's.
"""

from __future__ import annotations

import ipaddress
import re

from msgspec import Struct

from penstock.ground.errors import InvalidInput
from penstock.oci.digests import DIGEST

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"
REPOSITORY = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_REGISTRY = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?")


class Reference(Struct, frozen=True):
    """An image's place: ``tag`` or ``digest`` or both may be empty (both empty: the repository itself)."""

    registry: str
    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str) -> Reference:
        """The reference written in ``text``; without tag and digest, the tag is "latest". Raises InvalidInput.

        ``Reference.parse("python:3.11")`` is ``Reference("docker.io", "library/python", "3.11")``.
        """
        name, _, digest = text.partition("@")
        registry, repository, tag = _split(name)
        if not tag and not digest:
            tag = DEFAULT_TAG
        _check(text, registry, repository, tag, digest if "@" in text else None)
        return cls(registry, repository, tag, digest)

    @property
    def version(self) -> str:
        """What names the manifest on the wire: the digest when there is one, else the tag."""
        return self.digest or self.tag or DEFAULT_TAG

    def at(self, digest: str) -> Reference:
        """The same repository, by digest alone."""
        return Reference(self.registry, self.repository, "", digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"


def is_loopback(registry: str) -> bool:
    """Whether ``registry`` (host, or host:port) is this machine: "localhost", 127.0.0.0/8, "[::1]"."""
    host = registry[1:].partition("]")[0] if registry.startswith("[") else registry.partition(":")[0]
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(name: str) -> tuple[str, str, str]:
    first, slash, rest = name.partition("/")
    named = bool(slash) and (any(sign in first for sign in ".:[") or first == "localhost")
    registry, path = (first, rest) if named else (DEFAULT_REGISTRY, name)
    repository, _, tag = path.partition(":")
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in repository:
        repository = f"library/{repository}"
    return registry, repository, tag


def _check(text: str, registry: str, repository: str, tag: str, digest: str | None) -> None:
    sound = (
        _REGISTRY.fullmatch(registry)
        and REPOSITORY.fullmatch(repository)
        and len(repository) <= 255
        and (not tag or TAG.fullmatch(tag))
        and (digest is None or DIGEST.fullmatch(digest))
        and not text.partition("@")[0].endswith(":")
    )
    if not sound:
        raise InvalidInput(
            f"{text[:300]!r} is not an image reference.",
            fix="Write it like 'registry.example:5000/team/model:v1' or '...@sha256:<64 hex digits>', in lower case.",
        )
