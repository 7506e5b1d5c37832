"""Which machine and which Python an image is for, and the names that others give it."""

from __future__ import annotations

import platform as host
import sys

import msgspec

from penstock.ground.errors import InvalidInput

_UV_PLATFORMS = {"amd64": "x86_64-manylinux_2_28", "arm64": "aarch64-manylinux_2_28"}
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


class Target(msgspec.Struct, frozen=True):
    """A Python minor version, an operating system, a processor, and whether a GPU: ("3.11", "linux/amd64", False)."""

    python: str
    platform: str = "linux/amd64"
    gpu: bool = False

    @property
    def architecture(self) -> str:
        """``amd64`` or ``arm64``: the word that Docker and Debian share."""
        return self.platform.partition("/")[2]

    @property
    def machine(self) -> str:
        """``x86_64`` or ``aarch64``: the kernel's word."""
        return _MACHINES[self.architecture]

    @property
    def uv_platform(self) -> str:
        """uv's word; glibc 2.28 is older than that of every base offered here, so its wheels run on all of them."""
        return _UV_PLATFORMS[self.architecture]

    @property
    def site_packages(self) -> str:
        """Where packages lie in the image."""
        return f"opt/venv/lib/python{self.python}/site-packages"


def build_target(python: str, *, platform: str = "linux/amd64", gpu: bool = False) -> Target:
    """The target for a Python version ("3.11" or "3.11.7") and a platform. Raises InvalidInput."""
    architecture = platform.partition("/")[2].partition("/")[0]
    if not platform.startswith("linux/") or architecture not in _UV_PLATFORMS:
        raise InvalidInput(f"No image can be built for {platform!r}.", fix="Give linux/amd64 or linux/arm64.")
    parts = python.split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]) or parts[0] != "3":
        raise InvalidInput(f"{python!r} is no Python version.", fix="Give one like 3.11.")
    return Target(f"{parts[0]}.{parts[1]}", f"linux/{architecture}", gpu)


def host_python() -> str:
    """The minor version of the Python that runs this."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def host_platform() -> str:
    """The Linux platform of this machine's processor; ``linux/amd64`` where it is neither of the two known ones."""
    architecture = {"aarch64": "arm64", "arm64": "arm64"}.get(host.machine().lower(), "amd64")
    return f"linux/{architecture}"
