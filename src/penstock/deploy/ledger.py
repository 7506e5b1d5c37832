"""Every resource made, written down before it is made: append-only JSON lines that survive a kill at any point."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from penstock.deploy.resources import Kind, Resource
from penstock.ground.clock import SYSTEM_CLOCK, Clock
from penstock.ground.files import ensure_directory, locked, storage_errors


class Event(StrEnum):
    MAKING = "making"
    MADE = "made"
    REMOVING = "removing"
    GONE = "gone"
    AWAITING = "awaiting"
    SERVED = "served"
    FAILED = "failed"
    DELETED = "deleted"


_PRESENT = {Event.MAKING, Event.MADE, Event.REMOVING}


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line: what happened to which resource of which deployment."""

    at_ms: int
    deployment: str
    event: Event
    kind: Kind | None = None
    name: str = ""
    detail: dict[str, Any] = {}


class Ledger:
    """The ledger of one account, region and place. Safe between processes; a torn last line is passed over."""

    def __init__(self, path: Path, *, clock: Clock = SYSTEM_CLOCK) -> None:
        self.path = path
        self._clock = clock

    def record(self, deployment: str, event: Event, resource: Resource | None = None, **detail: Any) -> None:
        """Appends one entry and returns once it is on the disk. Raises StorageFailed."""
        entry = Entry(
            at_ms=self._clock.now_ms(),
            deployment=deployment,
            event=event,
            kind=resource.kind if resource else None,
            name=resource.name if resource else "",
            detail=detail,
        )
        ensure_directory(self.path.parent)
        with storage_errors(self.path):
            _append(self.path, msgspec.json.encode(entry) + b"\n")

    def entries(self, deployment: str | None = None) -> Iterator[Entry]:
        """The entries, oldest first."""
        if not self.path.exists():
            return
        for line in self.path.read_bytes().splitlines():
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except msgspec.DecodeError:
                continue  # A line cut short by a kill: its effect had not begun, or was recorded again on resuming.
            if deployment is None or entry.deployment == deployment:
                yield entry

    def resources(self, deployment: str) -> tuple[Resource, ...]:
        """What is, or may be, there for ``deployment``, in the order in which it was first made."""
        return fold(self.entries(deployment))

    def unproven(self, deployment: str) -> tuple[Resource, ...]:
        """What was made since ``deployment`` last served: the part that a failure takes back."""
        return unproven(self.entries(deployment))

    def awaited(self, deployment: str) -> str | None:
        """The config that the last create or update asked for, while nobody has seen how it ended; else None."""
        last: str | None = None
        for entry in self.entries(deployment):
            if entry.event is Event.AWAITING:
                last = str(entry.detail["config"])
            elif entry.event in (Event.SERVED, Event.FAILED, Event.DELETED):
                last = None
        return last

    def deployments(self) -> tuple[str, ...]:
        """Names of the deployments that still have something."""
        names = dict.fromkeys(entry.deployment for entry in self.entries())
        return tuple(name for name in names if self.resources(name))

    def history(self, deployment: str) -> tuple[Entry, ...]:
        """What served when: the entries that say so, oldest first."""
        told = {Event.SERVED, Event.FAILED, Event.DELETED}
        return tuple(entry for entry in self.entries(deployment) if entry.event in told)

    def locked(self, deployment: str) -> AbstractContextManager[None]:
        """Keeps other deploys of the same name on this machine waiting while the block runs."""
        return locked(self.path.with_name(f"{self.path.stem}.{deployment}.lock"))


def ledger_path(state_dir: Path, *, account: str, region: str, place: str) -> Path:
    """Where the ledger of that account, region and place (see AwsSession.place) is kept."""
    digits = hashlib.sha256(place.encode()).hexdigest()[:8]
    name = re.sub(r"[^0-9A-Za-z-]", "", f"{account}-{region}-{digits}")
    return state_dir / "ledgers" / f"{name}.jsonl"


def fold(entries: Iterator[Entry]) -> tuple[Resource, ...]:
    """The resources whose last entry says that they are, or may be, there. Pure."""
    last: dict[Resource, Event] = {}
    for entry in entries:
        if entry.kind is not None:
            last[Resource(entry.kind, entry.name)] = entry.event
    return tuple(resource for resource, event in last.items() if event in _PRESENT)


def unproven(entries: Iterator[Entry]) -> tuple[Resource, ...]:
    """The resources made since the last entry that says a deployment served. Pure."""
    since: list[Entry] = []
    for entry in entries:
        since = [] if entry.event is Event.SERVED else [*since, entry]
    return fold(iter(since))


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        os.write(descriptor, b"\n" + line if torn else line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
