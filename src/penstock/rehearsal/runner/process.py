"""The last level: a plain process of this machine on the image's layers; it proves the program, not the image."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

from penstock.ground.errors import EnvironmentMismatch
from penstock.rehearsal.runner.merged import merged_tree
from penstock.rehearsal.runner.spec import MODEL_DIRECTORY, ContainerSpec, Launch


class PlainProcess:
    name = "process"
    description = "a plain process of this machine that uses the image's layers; nothing is isolated"
    sees_host = True

    def why_not(self) -> str | None:
        return None

    def launch(self, spec: ContainerSpec) -> Launch:
        tree = merged_tree(spec)
        argv = _argv(tree, spec)
        return Launch(document={"shape": "command", "argv": argv, "environment": _environment(tree, spec)})

    def forget(self, name: str) -> None:
        """Nothing: the process group is all there is."""


def _argv(tree: Path, spec: ContainerSpec) -> list[str]:
    """The entrypoint as this machine can run it: a Python of the image becomes the Python that runs the plane."""
    program = _find(tree, spec.argv[0], spec.environment.get("PATH", ""))
    if program is None:
        return list(spec.argv)
    arguments = [_here(tree, argument) for argument in spec.argv[1:]]
    if program.name.startswith("python"):  # -I and -E would hide the layers' packages from it
        return [sys.executable, *(item for item in arguments if item not in ("-I", "-E"))]
    with program.open("rb") as file:
        first = file.readline(256)
    if first.startswith(b"#!") and b"python" in first:
        return [sys.executable, str(program), *arguments]
    return [str(program), *arguments]


def _here(tree: Path, argument: str) -> str:
    """An argument that names a file of the image, as that file is named here."""
    path = tree / argument.lstrip("/")
    return str(path) if argument.startswith("/") and path.exists() else argument


def _find(tree: Path, program: str, search: str) -> Path | None:
    """The program inside the tree, as the container would find it."""
    candidates = [program] if "/" in program else [f"{folder}/{program}" for folder in search.split(":") if folder]
    for candidate in candidates:
        path = tree / candidate.lstrip("/")
        if path.is_symlink() and path.name.startswith("python"):
            return path
        if path.is_file():
            return path
    return None


def _environment(tree: Path, spec: ContainerSpec) -> dict[str, str]:
    sites = sorted(tree.glob("opt/*/lib/python3*/site-packages"))
    _check_python(sites)
    folders = [str(tree / folder.lstrip("/")) for folder in spec.environment.get("PATH", "").split(":") if folder]
    environment = {**spec.environment, "PATH": ":".join([*folders, os.defpath])}
    if sites:
        given = [str(tree / part.lstrip("/")) for part in spec.environment.get("PYTHONPATH", "").split(":") if part]
        environment["PYTHONPATH"] = ":".join([*given, *map(str, sites)])
    model = spec.model or tree / MODEL_DIRECTORY.lstrip("/")
    if model.is_dir():
        environment["PENSTOCK_MODEL_PATH"] = str(model)
    return environment


def _check_python(sites: list[Path]) -> None:
    for site in sites:
        version = site.parent.name.removeprefix("python")
        if version != ".".join(platform.python_version_tuple()[:2]):
            raise EnvironmentMismatch(
                f"The image holds packages for Python {version}; a plain process here is {platform.python_version()}.",
                fix="Use a runner that isolates (--runner unshare), or a plane on that Python.",
            )
