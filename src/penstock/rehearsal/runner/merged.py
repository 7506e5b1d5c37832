"""The image's layers as one tree, for levels that cannot mount an overlay: made of hard links, made once."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from pathlib import Path

from penstock.ground.files import ensure_directory, locked, remove_tree
from penstock.rehearsal.runner.spec import ContainerSpec


def merged_tree(spec: ContainerSpec) -> Path:
    """The directory that holds ``spec.layers`` merged; shared by containers of the same layers; read-only."""
    key = sha256("\n".join(str(layer) for layer in spec.layers).encode()).hexdigest()[:32]
    shelf = ensure_directory(spec.layers[0].parent / "merged")
    tree = shelf / key
    with locked(shelf / f"{key}.lock"):
        if not tree.exists():
            partial = shelf / f"{key}.partial"
            remove_tree(partial)
            for layer in reversed(spec.layers):
                _lay_over(layer, partial)
            partial.rename(tree)
    return tree


def _lay_over(layer: Path, target: Path) -> None:
    ensure_directory(target)
    for folder, directories, files in os.walk(layer):
        place = target / Path(folder).relative_to(layer)
        if _is_opaque(folder):
            remove_tree(place)
        if place.is_symlink() or place.is_file():
            place.unlink()
        place.mkdir(exist_ok=True)
        shutil.copymode(folder, place)
        for name in [*files, *(item for item in directories if Path(folder, item).is_symlink())]:
            _place(Path(folder, name), place / name)


def _place(source: Path, target: Path) -> None:
    remove_tree(target)
    if _is_whiteout(source):
        return
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    try:
        os.link(source, target)
    except OSError:  # another file system, or no more links to this file
        shutil.copy2(source, target)


def _is_whiteout(path: Path) -> bool:
    found = path.lstat()
    return (found.st_mode & 0o170000) == 0o020000 and found.st_rdev == 0


def _is_opaque(folder: str) -> bool:
    for name in ("trusted.overlay.opaque", "user.overlay.opaque"):
        try:
            if os.getxattr(folder, name) == b"y":
                return True
        except OSError:
            continue
    return False
