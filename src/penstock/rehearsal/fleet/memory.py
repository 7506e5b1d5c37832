"""What containers really hold and use, and the ceiling of their instance type."""

from __future__ import annotations

import mmap
import os
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from penstock.rehearsal.runner.container import Container

_ENGINE = "conmon"
_TICKS = os.sysconf("SC_CLK_TCK")


class Usage(NamedTuple):
    """What a container and all it started use: resident bytes, and processor seconds since they began."""

    held_bytes: int
    cpu_s: float


def usages(containers: Iterable[Container]) -> dict[Container, Usage]:
    """What each container uses now; one walk through /proc for all."""
    watched = list(containers)
    if not watched:
        return {}
    table, children, engines = _processes()
    return {
        container: _used({container.process.pid, *engines.get(container.spec.name, ())}, table, children)
        for container in watched
    }


def is_over(container: Container, held: int) -> bool:
    """Whether that is more than its instance type has."""
    return container.spec.memory_bytes is not None and held > container.spec.memory_bytes


def say_killed(container: Container, held: int) -> None:
    """Writes into the container's log why it was ended."""
    with container.log.open("a", encoding="utf-8") as log:
        log.write(f"penstock: killed: it held {held} bytes; its instance has {container.spec.memory_bytes}.\n")


def _used(roots: set[int], table: dict[int, Usage], children: dict[int, list[int]]) -> Usage:
    waiting, held, seconds = list(roots), 0, 0.0
    while waiting:
        pid = waiting.pop()
        usage = table.get(pid, Usage(0, 0.0))
        held, seconds = held + usage.held_bytes, seconds + usage.cpu_s
        waiting += children.get(pid, [])
    return Usage(held, seconds)


def _processes() -> tuple[dict[int, Usage], dict[int, list[int]], dict[str, list[int]]]:
    """Each process's usage, its children, and the engine's helpers by the container name they carry."""
    table: dict[int, Usage] = {}
    children: dict[int, list[int]] = defaultdict(list)
    engines: dict[str, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            head, _, tail = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
            fields, pid = tail.split(), int(folder.name)
            ticks = sum(map(int, fields[11:15]))  # its own and its ended children's, in user and kernel mode
            table[pid] = Usage(int(fields[21]) * mmap.PAGESIZE, ticks / _TICKS)
            children[int(fields[1])].append(pid)
            if head.endswith(f"({_ENGINE}"):
                words = (folder / "cmdline").read_bytes().split(b"\0")
                if b"-n" in words:
                    engines[words[words.index(b"-n") + 1].decode()].append(pid)
    return table, children, engines
