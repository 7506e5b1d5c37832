"""Packages of an index, versions in Debian's order, and the walk from a few roots to all that they need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from penstock.ground.errors import EnvironmentMismatch
from penstock.images.bases.apt_sources import stanzas

_RUNS = re.compile(r"(\D*)(\d*)")
_NAME = re.compile(rb"^Package: (\S+)$", re.MULTILINE)


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """One .deb of an archive; ``path`` is below ``archive``."""

    name: str
    version: str
    architecture: str
    archive: str
    path: str
    sha256: str
    size_bytes: int
    depends: str = ""

    @property
    def url(self) -> str:
        return f"{self.archive}/{self.path}"


class PackageIndex:
    """The newest version of each package over several indexes; a stanza is parsed only when it is asked for."""

    def __init__(self) -> None:
        self._places: dict[str, list[tuple[str, bytes, int]]] = {}

    def add(self, archive: str, text: bytes) -> None:
        """Adds the packages of one index of ``archive``."""
        for match in _NAME.finditer(text):
            self._places.setdefault(match[1].decode(), []).append((archive, text, match.start()))

    def find(self, name: str) -> Package | None:
        """The newest package of that name."""
        found = (_package(*place) for place in self._places.get(name, ()))
        return max(found, key=lambda package: version_key(package.version), default=None)

    def provider(self, virtual: str) -> Package | None:
        """A package that provides the name ``virtual``; the first by name when there are several."""
        wanted = re.compile(
            rb"^Provides: .*?(?<![\w.+-])" + re.escape(virtual.encode()) + rb"(?![\w.+-])", re.MULTILINE
        )
        for text in {id(text): text for places in self._places.values() for _, text, _ in places}.values():
            names = sorted(_owner(text, match.start()) for match in wanted.finditer(text))
            if names:
                return self.find(names[0])
        return None


def _owner(text: bytes, position: int) -> str:
    start = text.rfind(b"\n\n", 0, position) + 2 if b"\n\n" in text[:position] else 0
    match = _NAME.search(text, start)
    return match[1].decode() if match else ""


def _package(archive: str, text: bytes, start: int) -> Package:
    end = text.find(b"\n\n", start)
    fields = next(stanzas(text[start : end if end >= 0 else len(text)].decode()))
    needs = (fields.get("Pre-Depends"), fields.get("Depends"))
    return Package(
        name=fields["Package"],
        version=fields["Version"],
        architecture=fields["Architecture"],
        archive=archive,
        path=fields["Filename"],
        sha256=fields["SHA256"],
        size_bytes=int(fields["Size"]),
        depends=", ".join(need for need in needs if need),
    )


def closure(index: PackageIndex, roots: Iterable[str], *, without: frozenset[str]) -> tuple[Package, ...]:
    """The roots and all they depend on, but what ``without`` names, sorted by name.

    Of alternatives the first that is known is taken, and none where one of them is left out on purpose.
    Raises EnvironmentMismatch for a package that the index lacks.
    """
    chosen: dict[str, Package] = {}
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        package = index.find(name) or index.provider(name)
        if package is None:
            raise EnvironmentMismatch(
                f"The Debian archive has no package {name!r}.", fix="Refresh it, or give --base an image reference."
            )
        if package.name not in chosen:
            chosen[package.name] = package
            waiting += _needed(package.depends, index, without, chosen)
    return tuple(chosen[name] for name in sorted(chosen))


def _needed(depends: str, index: PackageIndex, without: frozenset[str], chosen: Mapping[str, Package]) -> Iterable[str]:
    for group in filter(None, (part.strip() for part in depends.split(","))):
        names = [re.split(r"[\s(:\[]", choice.strip())[0] for choice in group.split("|")]
        if without.intersection(names) or any(name in chosen for name in names):
            continue
        yield next((name for name in names if index.find(name)), names[0])


def version_key(text: str) -> tuple[int, list[Any], list[Any]]:
    """Orders versions as deb-version(7) says: 1.0~rc1 < 1.0 < 1.0-1 < 1.0+b1 < 1:0.1."""
    epoch, colon, rest = text.partition(":")
    rest = rest if colon else text
    upstream, dash, revision = rest.rpartition("-")
    return int(epoch) if colon else 0, _runs(upstream if dash else rest), _runs(revision if dash else "0")


def _runs(text: str) -> list[tuple[list[int], int]]:
    """Runs of other signs and of digits by turns; '~' sorts before the end, letters before all other signs."""
    return [([*map(_order, signs), 0], int(digits or 0)) for signs, digits in _RUNS.findall(text)]


def _order(sign: str) -> int:
    return -1 if sign == "~" else ord(sign) if sign.isalpha() else ord(sign) + 256
