"""A lock's wheels -> layers: one for each large wheel, the small ones together, made once and shared by all images."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import msgspec

from penstock.ground.errors import IntegrityError
from penstock.ground.files import sha256_of
from penstock.ground.progress import SILENT, Progress
from penstock.images.bytecode import Interpreter
from penstock.images.target import Target
from penstock.images.wheels.lock import Lock, LockedWheel
from penstock.images.wheels.place import wheel_entries
from penstock.images.wheels.wheel import open_wheel
from penstock.oci.cache import BlobCache
from penstock.oci.layer import LayerBlob, LayerEntry, write_layer

_LAYOUT = "wheels-2"  # goes up with every change to what the same wheels become
_LARGE_BYTES = 1 << 20
_MOST_LARGE = 80  # of the 127 layers that container engines take; the rest is for bases, program and model


class Group(msgspec.Struct, frozen=True):
    """The wheels of one layer."""

    wheels: tuple[LockedWheel, ...]

    @property
    def note(self) -> str:
        """Why the layer is there, for people."""
        listed = ", ".join(f"{wheel.name} {wheel.version}" for wheel in self.wheels)
        return f"packages: {listed}" if len(self.wheels) > 1 else f"package: {listed}"


def grouped(lock: Lock, paths: dict[str, Path]) -> tuple[Group, ...]:
    """The lock's wheels by layer: those of 1 MiB and more alone (the 80 largest), the others together, last."""
    sizes = {wheel.name: paths[wheel.name].stat().st_size for wheel in lock.wheels}
    largest = sorted(lock.wheels, key=lambda wheel: (-sizes[wheel.name], wheel.name))
    large = [wheel for wheel in largest if sizes[wheel.name] >= _LARGE_BYTES][:_MOST_LARGE]
    small = tuple(wheel for wheel in lock.wheels if wheel not in large)
    return (*(Group((wheel,)) for wheel in large), *((Group(small),) if small else ()))


def ensure_wheel_layers(
    lock: Lock,
    paths: dict[str, Path],
    *,
    interpreter: Interpreter | None,
    blobs: BlobCache,
    progress: Progress = SILENT,
) -> tuple[tuple[Group, LayerBlob], ...]:
    """The layers of all groups, those not in the cache made now, several at a time."""
    groups = grouped(lock, paths)
    with progress.phase("Lay out packages") as phase, ThreadPoolExecutor(os.cpu_count() or 1) as pool:

        def made(group: Group) -> LayerBlob:
            phase.detail(group.wheels[0].name)
            return ensure_layer(group, paths, lock.target, interpreter=interpreter, blobs=blobs)

        return tuple(zip(groups, pool.map(made, groups), strict=True))


def ensure_layer(
    group: Group, paths: dict[str, Path], target: Target, *, interpreter: Interpreter | None, blobs: BlobCache
) -> LayerBlob:
    """The layer of one group."""
    key = layer_key(group, target, interpreter)
    known = blobs.find(key)
    if known is not None:
        return known
    with ExitStack() as stack:
        return write_layer(_entries(group, paths, target, interpreter, stack), blobs, key=key)


def layer_key(group: Group, target: Target, interpreter: Interpreter | None) -> str:
    """What a layer depends on: the wheels' hashes, the place they go to, and who compiled them."""
    compiled = interpreter.version if interpreter else "no bytecode"
    return " ".join((_LAYOUT, target.python, compiled, *(wheel.sha256 for wheel in group.wheels)))


def _entries(
    group: Group, paths: dict[str, Path], target: Target, interpreter: Interpreter | None, stack: ExitStack
) -> Iterator[LayerEntry]:
    """The group's entries; where two wheels bring the same file the later one's stays, as with any installer."""
    entries: dict[str, LayerEntry] = {}
    for wheel in group.wheels:
        path = paths[wheel.name]
        if sha256_of(path) != wheel.sha256:
            path.unlink()
            raise IntegrityError(f"The kept wheel {path.name} was damaged and has been removed.", fix="Build again.")
        opened = stack.enter_context(open_wheel(path))
        scratch = stack.enter_context(tempfile.TemporaryDirectory(prefix="penstock-"))
        made = wheel_entries(opened, target, interpreter=interpreter, scratch=Path(scratch))
        entries.update((entry.name, entry) for entry in made)
    yield from entries.values()
