"""Where a run comes from: the person, the script or notebook, the commit."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from penstock.api import names

_GIT_DEPTH = 40


def source_tags() -> dict[str, str]:
    """The tags that tell a run's user, source and git commit, as far as they can be known."""
    notebook = "ipykernel" in sys.modules
    tags = {
        names.USER: user_name(),
        names.SOURCE_NAME: sys.argv[0] or "<interactive>" if not notebook else "notebook",
        names.SOURCE_TYPE: "NOTEBOOK" if notebook else "LOCAL",
    }
    commit = git_commit(Path.cwd())
    return {**tags, names.SOURCE_GIT_COMMIT: commit} if commit else tags


def user_name() -> str:
    """Who is logging: MLFLOW_TRACKING_USERNAME, else the system's user."""
    given = os.environ.get("MLFLOW_TRACKING_USERNAME")
    if given:
        return given
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def git_commit(directory: Path) -> str | None:
    """The commit that HEAD is at in the repository around ``directory``, read from its files; None if there is none."""
    for folder in (directory, *directory.parents)[:_GIT_DEPTH]:
        git = folder / ".git"
        if git.is_dir():
            return _head_of(git)
    return None


def _head_of(git: Path) -> str | None:
    try:
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        reference = head.removeprefix("ref: ")
        loose = git / reference
        if loose.is_file():
            return loose.read_text().strip()
        packed = (git / "packed-refs").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    return next((line.split(" ")[0] for line in packed if line.endswith(f" {reference}")), None)
