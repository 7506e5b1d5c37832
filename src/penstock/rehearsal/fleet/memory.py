"""How much memory containers really hold, and the ceiling of their instance type."""

from __future__ import annotations

import mmap
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from penstock.rehearsal.runner.container import Container

_ENGINE = "conmon"


def held_bytes(containers: Iterable[Container]) -> list[tuple[Container, int]]:
    """The bytes that each container with a ceiling holds now; one walk through /proc for all."""
    watched = [container for container in containers if container.spec.memory_bytes is not None]
    if not watched:
        return []
    resident, children, engines = _processes()
    return [
        (container, _held({container.process.pid, *engines.get(container.spec.name, ())}, resident, children))
        for container in watched
    ]


def is_over(container: Container, held: int) -> bool:
    """Whether that is more than its instance type has."""
    return held > (container.spec.memory_bytes or held)


def say_killed(container: Container, held: int) -> None:
    """Writes into the container's log why it was ended."""
    with container.log.open("a", encoding="utf-8") as log:
        log.write(f"penstock: killed: it held {held} bytes; its instance has {container.spec.memory_bytes}.\n")


def _held(roots: set[int], resident: dict[int, int], children: dict[int, list[int]]) -> int:
    waiting, total = list(roots), 0
    while waiting:
        pid = waiting.pop()
        total += resident.get(pid, 0)
        waiting += children.get(pid, [])
    return total


def _processes() -> tuple[dict[int, int], dict[int, list[int]], dict[str, list[int]]]:
    """Each process's resident bytes, its children, and the engine's helpers by the container name they carry."""
    resident: dict[int, int] = {}
    children: dict[int, list[int]] = defaultdict(list)
    engines: dict[str, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            head, _, tail = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
            fields, pid = tail.split(), int(folder.name)
            resident[pid] = int(fields[21]) * mmap.PAGESIZE
            children[int(fields[1])].append(pid)
            if head.endswith(f"({_ENGINE}"):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if b"-n" in words:
                    engines[words[words.index(b"-n") + 1].decode()].append(pid)
    return resident, children, engines
