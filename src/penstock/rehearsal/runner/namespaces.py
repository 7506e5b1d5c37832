"""The level that needs no container engine: Linux namespaces and an overlay of the image's layers, root or not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from penstock.ground.files import ensure_directory
from penstock.rehearsal.runner.spec import ContainerSpec, Launch


class Namespaces:
    name = "unshare"
    description = "Linux namespaces and an overlay of the image's layers"
    sees_host = False

    def why_not(self) -> str | None:
        return None if sys.platform == "linux" else "it needs Linux"

    def launch(self, spec: ContainerSpec) -> Launch:
        return Launch(
            document={
                "shape": "namespaces",
                **overlay(spec),
                "argv": list(spec.argv),
                "environment": spec.environment,
                "directory": spec.directory,
                "hostname": spec.hostname,
                "mapped": os.getuid() != 0,
                "user": user_of(spec),
                "isolate_network": spec.isolate_network,
                "read_only": {str(path): place for path, place in spec.read_only.items()},
            }
        )

    def forget(self, name: str) -> None:
        """Nothing: namespaces and mounts go with the last process."""


def overlay(spec: ContainerSpec) -> dict[str, object]:
    """The overlay part of a launch: short links to the layers, and the directories the mount needs."""
    lower = ensure_directory(spec.home / "lower")
    for number, layer in enumerate(spec.layers):
        (lower / str(number)).unlink(missing_ok=True)
        (lower / str(number)).symlink_to(layer)
    for name in ("upper", "work", "memory", "root"):
        ensure_directory(spec.home / name)
    return {
        "lower": str(lower),
        "layers": [str(number) for number in range(len(spec.layers))],
        "root": str(spec.home / "root"),
    }


def user_of(spec: ContainerSpec) -> tuple[int, int] | None:
    """The (uid, gid) that the image's User names, looked up in the image's own passwd; None for root."""
    name, _, group = spec.user.partition(":")
    if name in ("", "0", "root"):
        return None
    if name.isdigit():
        return int(name), int(group) if group.isdigit() else 0
    for layer in spec.layers:
        for line in _lines(layer / "etc" / "passwd"):
            fields = line.split(":")
            if fields[0] == name and len(fields) > 3:
                return int(fields[2]), int(fields[3])
    return None


def _lines(path: Path) -> list[str]:
    return path.read_text(errors="replace").splitlines() if path.is_file() else []
