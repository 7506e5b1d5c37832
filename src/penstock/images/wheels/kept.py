"""The lock that is kept with a model: the exact packages of its last build, used again wherever it is built next."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from penstock.ground.errors import EnvironmentMismatch, IntegrityError, StorageFailed
from penstock.ground.files import write_atomically
from penstock.images.target import Target
from penstock.images.wheels.lock import Lock
from penstock.images.wheels.resolve import resolve, resolve_pins, wanted_lines

_FOR = "# Made for: "


def lock_name(target: Target) -> str:
    """The file's name in the model's folder; each platform has its own, because its wheels are others."""
    kind = "-gpu" if target.gpu else ""
    return f"requirements-{target.platform.replace('/', '-')}{kind}.lock"


def resolve_for_model(
    folder: Path,
    requirements: tuple[str, ...],
    target: Target,
    *,
    cache_dir: Path,
    refresh: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Lock:
    """What the lock kept in the model's ``folder`` names, if it was made for these requirements; else ``resolve``.

    Raises IntegrityError when an index has other bytes now under a locked version, EnvironmentMismatch when it has none
    any more; and as ``resolve`` does.
    """
    wanted = wanted_lines(requirements)
    pins = () if refresh else _pins(folder / lock_name(target), wanted, target)
    if not pins:
        return resolve(wanted, target, cache_dir=cache_dir, environment=environment, refresh=refresh)
    try:
        found = resolve_pins(pins, target, cache_dir=cache_dir, environment=environment)
    except EnvironmentMismatch as error:
        raise EnvironmentMismatch(
            f"What {folder / lock_name(target)} names is not all on the index any more: {error.message}",
            fix="Build with --refresh to lock it anew.",
        ) from error
    lock = msgspec.structs.replace(found, requirements=wanted)
    _check(lock, pins)
    return lock


def keep_lock(folder: Path, lock: Lock) -> None:
    """Writes the lock into the model's folder, where one may write; a model in a read-only place goes without."""
    path, content = folder / lock_name(lock.target), _text(lock)
    with suppress(StorageFailed, OSError):
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)


def _text(lock: Lock) -> bytes:
    return lock.requirements_text() + f"{_FOR}{_one_line(lock.requirements)}\n".encode()


def _pins(path: Path, wanted: tuple[str, ...], target: Target) -> tuple[str, ...]:
    """The lock's lines, or none when it was made for other requirements or another Python."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ()
    lines = text.splitlines()
    made_for = any(line == f"{_FOR}{_one_line(wanted)}" for line in lines)
    if not made_for or not text.startswith(f"# Python {target.python},"):
        return ()
    return tuple(line for line in lines if line and not line.startswith("#"))


def _one_line(requirements: tuple[str, ...]) -> str:
    return " | ".join(requirements)


def _check(lock: Lock, pins: tuple[str, ...]) -> None:
    """An index may not put other bytes under a version that is locked."""
    for wheel in lock.wheels:
        if f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}" not in pins:
            raise IntegrityError(
                f"The model is locked to other bytes of {wheel.name} {wheel.version} than the index has now.",
                fix="Build with --refresh to lock it anew, if the index can be trusted.",
            )
