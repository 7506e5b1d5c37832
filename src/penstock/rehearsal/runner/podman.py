"""The level of a container engine: podman on the image's overlay, without podman's own slow import of images."""

from __future__ import annotations

import os
import shutil
import subprocess

from penstock.rehearsal.runner.namespaces import overlay
from penstock.rehearsal.runner.spec import ContainerSpec, Launch

# Both limits are given, and nproc below 32769, because podman lowers its own first and may not raise them again.
_ULIMITS = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=4096:4096")


class Podman:
    name = "podman"
    description = "podman and runc on the image's unpacked layers"
    sees_host = False

    def why_not(self) -> str | None:
        for program in ("podman", "runc"):
            if shutil.which(program) is None:
                return f"{program} is not installed"
        return None if os.getuid() == 0 else "as an ordinary user, namespaces give the same without an engine"

    def launch(self, spec: ContainerSpec) -> Launch:
        document = {"shape": "command", **overlay(spec), "argv": _command(spec), "environment": dict(os.environ)}
        return Launch(document=document, dies_by="TERM")

    def forget(self, name: str) -> None:
        """Removes the engine's container of that name, if it is still there."""
        subprocess.run(
            ["podman", "rm", "--force", "--ignore", "--time", "0", name],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=60,
        )  # fmt: skip


def _command(spec: ContainerSpec) -> list[str]:
    command = [
        "podman", "--runtime=runc", "run", "--rm", "--name", spec.name, "--label", "penstock.plane=1", *_ULIMITS,
        "--network", "none" if spec.isolate_network else "host", "--log-driver", "none", "--no-hosts",
        "--security-opt", "no-new-privileges", "--workdir", spec.directory or "/", "--entrypoint", "",
    ]  # fmt: skip
    for name, value in spec.environment.items():
        command += ["--env", f"{name}={value}"]
    for path, place in spec.read_only.items():
        command += ["--volume", f"{path}:{place}:ro"]
    if spec.user:
        command += ["--user", spec.user]
    return [*command, "--rootfs", str(spec.home / "root"), *spec.argv]
