"""Which processes a plane has, found by walking the kernel's own table, so that their end can be proved."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class Process(Struct, frozen=True):
    """A process, named for good by its id and its start time in the kernel's ticks."""

    pid: int
    parent: int
    started: str

    def alive(self) -> bool:
        """Whether it still runs; a process that has ended and only waits to be reaped does not."""
        return _read(Path(f"/proc/{self.pid}")) == self


def family(pid: int, *, mentioning: Path) -> tuple[Process, ...]:
    """The process ``pid``, all its descendants, and every process whose command line names ``mentioning``."""
    table = {process.pid: process for entry in Path("/proc").glob("[0-9]*") if (process := _read(entry))}
    found = {pid} | {each for each in table if _mentions(each, str(mentioning))}
    while more := {each for each, process in table.items() if process.parent in found} - found:
        found |= more
    return tuple(table[each] for each in sorted(found) if each in table)


def _read(entry: Path) -> Process | None:
    """The process behind ``/proc/PID``; None when it is gone or has ended. Source: proc(5), stat."""
    try:
        fields = (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else Process(int(entry.name), int(fields[1]), fields[19])


def _mentions(pid: int, text: str) -> bool:
    try:
        return text.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
