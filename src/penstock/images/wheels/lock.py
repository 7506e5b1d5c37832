"""A lock: the exact wheels, by hash, that meet a model's requirements on one target."""

from __future__ import annotations

import hashlib
import re
import tomllib
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from penstock.ground.errors import EnvironmentMismatch, InvalidInput
from penstock.images.target import Target

_WAYS_OUT = "Require a version that has wheels for this platform, or build the wheel yourself and put it on your index."
_MANYLINUX = re.compile(r"manylinux_(\d+)_(\d+)_")
_LEGACY = {"manylinux1": (2, 5), "manylinux2010": (2, 12), "manylinux2014": (2, 17)}


class LockedWheel(msgspec.Struct, frozen=True, kw_only=True):
    """One wheel: where it was found and the bytes it must have; ``size_bytes`` is None when the index did not say."""

    name: str
    version: str
    filename: str
    url: str
    sha256: str
    size_bytes: int | None = None


class Lock(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for and what that came to; ``wheels`` are sorted by name."""

    target: Target
    requirements: tuple[str, ...]
    wheels: tuple[LockedWheel, ...]

    def requirements_text(self) -> bytes:
        """The lock as a requirements file with hashes, which pip and uv read; it names no index and no credential."""
        head = f"# Python {self.target.python}, {self.target.platform}; install with --require-hashes\n"
        lines = (f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in self.wheels)
        return (head + "".join(lines)).encode()

    def digest(self) -> str:
        """The hex SHA-256 of what would be installed."""
        return hashlib.sha256(self.requirements_text()).hexdigest()

    def find(self, name: str) -> LockedWheel | None:
        """The wheel of the project ``name``, in its normalized spelling."""
        return next((wheel for wheel in self.wheels if wheel.name == name), None)


def normalized(name: str) -> str:
    """A project's name as indexes compare it (PEP 503): ``Foo._Bar`` is ``foo-bar``."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pylock(
    text: str, *, requirements: tuple[str, ...], target: Target, among: frozenset[str] = frozenset()
) -> Lock:
    """The lock in a ``pylock.toml`` (PEP 751) that was resolved for ``target``.

    Of several wheels of a package the most specific is taken, and before it one whose SHA-256 is ``among`` the wanted.
    Raises EnvironmentMismatch for a package that is no wheel, InvalidInput for a text that is no pylock.
    """
    try:
        packages = tomllib.loads(text).get("packages", [])
        wheels = [_locked(package, among) for package in packages]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise InvalidInput(f"This is no pylock.toml: {error}.", fix="Resolve again to make a fresh one.") from error
    return Lock(target=target, requirements=requirements, wheels=tuple(sorted(wheels, key=lambda wheel: wheel.name)))


def _locked(package: dict[str, Any], among: frozenset[str]) -> LockedWheel:
    name, version = normalized(package["name"]), package.get("version", "")
    found = package.get("wheels") or ([package["archive"]] if "archive" in package else [])
    found = [wheel for wheel in found if _filename(wheel).endswith(".whl")]
    if not found:
        raise EnvironmentMismatch(f"{name} {version} comes without a wheel.", fix=_WAYS_OUT)
    wanted = [wheel for wheel in found if wheel.get("hashes", {}).get("sha256") in among]
    best = max(wanted or found, key=lambda wheel: _rank(_filename(wheel)))
    if "sha256" not in best.get("hashes", {}):
        raise EnvironmentMismatch(
            f"The index gives no SHA-256 for {_filename(best)}.", fix="Use an index that publishes SHA-256 hashes."
        )
    return LockedWheel(
        name=name,
        version=version or _filename(best).split("-")[1],
        filename=_filename(best),
        url=best.get("url") or best["path"],
        sha256=best["hashes"]["sha256"],
        size_bytes=best.get("size"),
    )


def _filename(wheel: dict[str, Any]) -> str:
    return str(wheel.get("name") or unquote(urlsplit(wheel.get("url") or wheel["path"]).path).rsplit("/", 1)[-1])


def _rank(filename: str) -> tuple[int, int, tuple[int, int], str]:
    """Orders wheels that all fit the target: the most specific Python first, then the newest glibc, then the name."""
    interpreters, abis, platforms = (part.split(".") for part in filename.removesuffix(".whl").split("-")[-3:])
    exact = 2 if any(abi.startswith("cp") for abi in abis) else 1 if "abi3" in abis else 0
    minor = max((int(tag[3:]) for tag in interpreters if tag.startswith("cp3") and tag[3:].isdigit()), default=0)
    return exact, minor, max(map(_glibc, platforms)), filename


def _glibc(platform: str) -> tuple[int, int]:
    match = _MANYLINUX.match(platform)
    if match:
        return int(match[1]), int(match[2])
    return _LEGACY.get(platform.partition("_")[0], (0, 0))
