"""The level of bubblewrap: namespaces set up by bwrap on the merged tree, which the container cannot write to."""

from __future__ import annotations

import shutil

from penstock.rehearsal.runner.merged import merged_tree
from penstock.rehearsal.runner.spec import MODEL_DIRECTORY, MODELS_DIRECTORY, ContainerSpec, Launch


class Bubblewrap:
    name = "bwrap"
    description = "bubblewrap on the image's layers merged into one read-only tree"
    sees_host = False

    def why_not(self) -> str | None:
        return None if shutil.which("bwrap") else "bwrap is not installed"

    def launch(self, spec: ContainerSpec) -> Launch:
        return Launch(document={"shape": "command", "argv": _command(spec), "environment": spec.environment})

    def forget(self, name: str) -> None:
        """Nothing: bwrap's --die-with-parent leaves nothing."""


def _command(spec: ContainerSpec) -> list[str]:
    tree = merged_tree(spec)
    command = [shutil.which("bwrap") or "bwrap", "--unshare-all"]
    command += [] if spec.isolate_network else ["--share-net"]
    for entry in sorted(tree.iterdir()):
        if entry.name in ("dev", "proc", "tmp", "opt", "sys"):
            continue
        if entry.is_symlink():
            command += ["--symlink", str(entry.readlink()), f"/{entry.name}"]
        else:
            command += ["--ro-bind", str(entry), f"/{entry.name}"]
    command += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--ro-bind", "/sys", "/sys"]
    for entry in sorted((tree / "opt").iterdir()) if (tree / "opt").is_dir() else ():
        if entry.name != "ml":
            command += ["--ro-bind", str(entry), f"/opt/{entry.name}"]
    model = spec.model or (tree / MODEL_DIRECTORY.lstrip("/"))
    if model.is_dir():
        command += ["--ro-bind", str(model), MODEL_DIRECTORY]
    if spec.models:
        command += ["--ro-bind", str(spec.models), MODELS_DIRECTORY]
    command += ["--die-with-parent", "--hostname", spec.hostname, "--chdir", spec.directory or "/", "--", *spec.argv]
    return command
